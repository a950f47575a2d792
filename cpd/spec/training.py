"""The parts of a training recipe: groups of parameters, schedules of the step-size, clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_serializer, model_validator

from cpd.errors import closest
from cpd.spec.validation import Checked, InvalidError, at_least, finite, one_of, shown

SCHEDULERS = (
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "StepLR",
)
"""Schedulers of ``torch.optim.lr_scheduler`` whose value depends on the step alone."""

NO_SCHEDULERS: Mapping[str, tuple[str, str]] = {
    "ReduceLROnPlateau": ("depends on measured values, not on the step alone", "use CosineAnnealingLR or StepLR"),
    "LambdaLR": ("takes a function, which a file cannot hold", "chain others in a list, or use PolynomialLR"),
    "MultiplicativeLR": ("takes a function, which a file cannot hold", "use ExponentialLR or MultiStepLR"),
    "SequentialLR": ("is what a list of schedules is", "write a list: [{name: LinearLR, ...}, {name: StepLR, ...}]"),
    "ChainedScheduler": ("multiplies schedules", "write one, or a list of them: each lasts its own time"),
}
"""The others, why they are refused, and what to write instead."""

LENGTHS = ("T_max", "T_0", "total_iters", "total_steps", "step_size", "step_size_up", "step_size_down")
"""Options of schedulers that are numbers of their steps, which may be ``all``."""

WHOLE = ("T_max", "total_iters", "total_steps")
"""Those that say how long a schedule lasts, the first that is there."""


def _share_or_steps(value: Any) -> float:
    number = at_least(0, exclusive=True)(value)
    if number > 1 and number != int(number):
        raise InvalidError(f"{shown(value)} is neither a share below 1 nor a number of steps", "write 0.1 or 100")
    return number


class Group(Checked):
    """Parameters whose names match a pattern, and the optimizer's options that are theirs.

    Attributes:
        pattern: As :mod:`fnmatch` reads it.
        options: Of the optimizer.
    """

    pattern: str
    options: dict[str, Any]


def groups_of(value: Any) -> Any:
    """``{pattern: {option: value}}`` as groups in order, for the first match wins.

    Raises:
        InvalidError: It is no mapping of mappings.
    """
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        if isinstance(value, tuple):  # groups already
            return value
        raise InvalidError(f"{shown(value)} is not a mapping", 'write {"*.bias": {weight_decay: 0}}')
    found = []
    for pattern, options in value.items():
        if not isinstance(options, Mapping):
            raise InvalidError(f"{shown(options)} is not a mapping", "write {weight_decay: 0}", key=str(pattern))
        if "lr" in options:
            try:
                options = {**options, "lr": at_least(0)(options["lr"])}
            except InvalidError as error:
                raise InvalidError(error.message, error.hint, key=f"{pattern}.lr") from None
        found.append({"pattern": str(pattern), "options": dict(options)})
    return found


class Schedule(Checked):
    """A scheduler of ``torch.optim.lr_scheduler`` and its options; in YAML ``{name: CosineAnnealingLR, T_max: all}``.

    Attributes:
        name: Of the scheduler.
        options: Its options; ``all`` as a number of steps is the whole training, or what is left of it.
        every: When it makes a step: after each step of the optimizer, or at the end of each epoch.
        lasts: How many of its steps it lasts, or the share of all, before the next one of the list begins; ``for``
            in YAML.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    every: Annotated[Literal["step", "epoch"], BeforeValidator(one_of("step", "epoch"))] = "step"
    lasts: Annotated[float, BeforeValidator(_share_or_steps)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_options(cls, value: Any) -> Any:
        """Options stand beside the name."""
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping):
            raise InvalidError(f"{shown(value)} is not a mapping", "write {name: CosineAnnealingLR, T_max: all}")
        if "name" not in value:
            raise InvalidError("a schedule without a name", "add e.g. name: CosineAnnealingLR")
        own = {"lasts" if key == "for" else key: value[key] for key in ("name", "every", "for") if key in value}
        return {**own, "options": {key: option for key, option in value.items() if key not in ("name", "every", "for")}}

    @model_serializer
    def _as_in_a_file(self) -> dict[str, Any]:
        lasts = {} if self.lasts is None else {"for": self.lasts}
        return {"name": self.name, "every": self.every, **lasts, **self.options}

    @field_validator("name", mode="before")
    @classmethod
    def _by_the_step_alone(cls, name: Any) -> Any:
        if name in NO_SCHEDULERS:
            reason, hint = NO_SCHEDULERS[name]
            raise InvalidError(f"{name} {reason}", hint)
        if name not in SCHEDULERS:
            raise InvalidError(f"unknown scheduler {shown(name)}", closest(str(name), SCHEDULERS))
        return name

    @model_validator(mode="after")
    def _lengths(self) -> Schedule:
        for name, value in self.options.items():
            if value == "all" and name not in LENGTHS:
                hint = f"all is a number of steps: {', '.join(LENGTHS)}"
                raise InvalidError(f"'all' is no value of {name}", hint, key=name)
        return self


def schedules_of(value: Any) -> Any:
    """One schedule, or a list of them, as a list; none of them is None.

    Raises:
        InvalidError: An empty list.
    """
    if value is None or not isinstance(value, list | tuple):
        return value if value is None else (value,)
    if not value:
        raise InvalidError("an empty list schedules nothing", "leave it out")
    return tuple(value)


def one_clock(schedules: tuple[Schedule, ...] | None) -> tuple[Schedule, ...] | None:
    """Check that schedules of a chain step together, and that all but the last say how long they last.

    Raises:
        InvalidError: They do not.
    """
    if schedules is None:
        return None
    if len({schedule.every for schedule in schedules}) > 1:
        raise InvalidError("some step every epoch and some every step", "write every: epoch in all of them, or in none")
    if len(schedules) == 1 and schedules[0].lasts is not None:
        raise InvalidError("for says when the next one begins, and there is none", "write a list, or leave it out")
    for k, schedule in enumerate(schedules[:-1]):
        if schedule.lasts is None and not any(name in schedule.options for name in WHOLE):
            message = f"{schedule.name} does not say how long it lasts"
            raise InvalidError(message, "add for: 100, or a share of the training, for: 0.1", key=str(k))
    return schedules


def _norm_type(value: Any) -> float | str:
    return "inf" if value in ("inf", float("inf")) else at_least(0, exclusive=True)(value)


class Clip(Checked):
    """How large a gradient may be, for each run by its own.

    Attributes:
        norm: Largest norm of the gradient for all parameters together.
        value: Largest size of each of its numbers.
        type: Which norm: 2, 1, another number above 0, or ``inf``.
    """

    norm: Annotated[float, BeforeValidator(at_least(0, exclusive=True))] | None = None
    value: Annotated[float, BeforeValidator(at_least(0, exclusive=True))] | None = None
    type: Annotated[float | Literal["inf"], BeforeValidator(_norm_type)] = 2.0

    @model_validator(mode="after")
    def _one_of_them(self) -> Clip:
        if (self.norm is None) == (self.value is None):
            raise InvalidError("clips either by norm or by value", "write {norm: 1.0} or {value: 0.5}")
        if self.value is not None and self.type != 2.0:
            raise InvalidError("type is that of a norm", "leave it out, or write {norm: 1.0}", key="type")
        return self


def share(value: Any) -> float:
    """Check a share above 0 and up to 1.

    Raises:
        InvalidError: It is something else.
    """
    number = finite(value)
    if not 0 < number <= 1:
        raise InvalidError(f"{shown(value)} is not a share of the training", "write a number above 0, up to 1")
    return number
