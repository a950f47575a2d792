"""The outcome of a run: plain numbers, its recorded points packed; no torch, and numpy only where points are packed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NotRequired, SupportsFloat, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Number = float | list[float | None] | None
"""A scalar constraint's number, a vector constraint's list, or None where it is not finite or does not exist."""


def finite_or_none(value: SupportsFloat | None) -> float | None:
    """Return a number as Python's float, None where it is missing or not finite.

    Args:
        value: Python's, numpy's or torch's number, or None.
    """
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer that is larger than any float
        return None
    return number if math.isfinite(number) else None


class Series(Sequence[Any]):
    """Recorded points, packed: a list of floats, or of lists of floats, to whoever reads it.

    A number that is not finite reads as None.

    Args:
        numbers: ``[points]``, or ``[points, k]`` for a vector constraint, in single or double precision.
    """

    __slots__ = ("numbers",)

    def __init__(self, numbers: NDArray[np.floating[Any]]) -> None:
        self.numbers = numbers

    @classmethod
    def of(cls, points: Sequence[Any]) -> Series:
        """Pack points, in single precision where that loses nothing.

        Args:
            points: Numbers, or lists of numbers; None in place of either counts as not finite.

        Raises:
            ValueError: The points differ in length.
        """
        if isinstance(points, Series):
            return points
        import numpy as np

        doubles = np.array(_rows(points), np.float64)
        with np.errstate(over="ignore"):  # what is too large for single precision is found by comparing
            singles = doubles.astype(np.float32)
        return cls(singles if np.array_equal(singles, doubles, equal_nan=True) else doubles)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at: Any) -> Any:
        return _listed(self.numbers[at])

    def __iter__(self) -> Iterator[Any]:
        return iter(_listed(self.numbers))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, list | Series) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))


def _rows(points: Sequence[Any]) -> Sequence[Any]:
    """The points of a series; a missing one of a vector constraint has every component missing."""
    lengths = {len(point) for point in points if isinstance(point, list)}
    if len(lengths) > 1:
        raise ValueError(f"the points of a series have {' and '.join(map(str, sorted(lengths)))} components")
    return [[None] * length if point is None else point for length in lengths for point in points] or points


def _listed(numbers: Any) -> Any:
    """Python's numbers in place of numpy's, with None where one is not finite."""
    if not numbers.ndim:
        return finite_or_none(numbers)
    finite = abs(numbers) < math.inf
    if not finite.all():
        numbers = numbers.astype(object)
        numbers[~finite] = None
    return numbers.tolist()


class Status(StrEnum):
    """The way a run ended."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    PRUNED = "pruned"
    """Given up on the way, where the user asked for that: no result, and not stored."""


class Diagnosis(StrEnum):
    """Why a run did not settle."""

    OSCILLATING = "oscillating"
    MULTIPLIER_DIVERGING = "multiplier_diverging"
    BUDGET_EXHAUSTED = "budget_exhausted"
    VANISHING_CONSTRAINT_GRADIENT = "vanishing_constraint_gradient"
    CONTRADICTORY_CONSTRAINTS = "contradictory_constraints"
    BLOWN_UP = "blown_up"
    UNBOUNDED = "unbounded"
    OBJECTIVE_MOVING = "objective_moving"


SECTIONS = ("train.", "arguments.")
"""What the dotted keys of a setting begin with: they stand for values of the recipe and of the problem's arguments."""


def is_dotted(name: str) -> bool:
    """Whether a part of a setting is a value of ``train`` or ``arguments``, and no hyperparameter of the method."""
    return name.startswith(SECTIONS)


def hyperparameters_of(setting: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a setting that is its method's."""
    return {name: value for name, value in setting.items() if not is_dotted(name)}


@dataclass(frozen=True)
class RunKey:
    """One training to do: a method's setting at given constraint levels with a seed.

    Attributes:
        setting: The hyperparameters as given (defaults left out), e.g. ``{"coefficient": 0.1}``, and by dotted keys the
            values of grids over the recipe and the problem's arguments, e.g. ``{"train.optimizer.lr": 0.01}``.
        levels: Every constraint's level.
        id: Hash of all that changes the run's number, or None where there is no store.
    """

    method: str
    setting: Mapping[str, Any]
    levels: Mapping[str, float]
    seed: int
    id: str | None = None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The part of the setting that is the method's."""
        return hyperparameters_of(self.setting)

    @property
    def dotted(self) -> dict[str, Any]:
        """The part of the setting that is the recipe's and the problem's, by dotted key."""
        return {name: value for name, value in self.setting.items() if is_dotted(name)}


@dataclass(frozen=True)
class Evidence:
    """What says how sure a constraint's strict value is, of the examples that it was measured on.

    Attributes:
        counted: Of a share that counts whole examples, how many count and of how many: a pair for each component; None
            of anything else.
        resampled: Strict values on resamples of the examples, ``[B]``, or ``[B][k]`` for a vector constraint; empty
            where nothing was resampled.
        size: Of what was resampled, how many examples the smallest group has that it is made of; None where the value
            does not depend on any. One for each component of a vector constraint, where that is known.
    """

    counted: Sequence[tuple[float, float]] | None = None
    resampled: Sequence[Any] = field(default_factory=list)
    size: int | Sequence[int] | None = None


@dataclass(frozen=True)
class ConstraintOutcome:
    """One constraint of a finished run.

    Attributes:
        value: The strict value of the finished model.
        surrogate: The differentiable value of the finished model.
        multiplier: Its multiplier; None for methods without one.
        tail: Strict values over the last tenth of the steps, oldest first, thinned to at most about 1000 points
            (``[points]``, or ``[points][k]`` for a vector constraint); of a run that diverged, of the steps before.
        gradient_norm: Norm of the surrogate's gradient at the end, relative to the largest one seen at the recorded
            points of the run (the largest component of a vector constraint); None when not measured.
        held: Share of the last tenth of the steps, all of them, at which every component held at the level and the
            tolerance that it was trained with; of the points in ``checked`` where there are any; None when not counted.
        tolerance: That tolerance.
        checked: Of a training by minibatches, strict values on the judged data at some points of its last tenth,
            oldest first; empty otherwise.
        evidence: What an interval of the strict value is drawn from; None where nothing was kept.
    """

    value: Number = None
    surrogate: Number = None
    multiplier: Number = None
    tail: Sequence[Any] = field(default_factory=list)
    gradient_norm: float | None = None
    held: float | None = None
    tolerance: float | None = None
    evidence: Evidence | None = None
    checked: Sequence[Any] = field(default_factory=list)

    @property
    def last_values(self) -> Sequence[Any]:
        """Strict values over the last tenth of the steps: on the judged data, where minibatches are noisy."""
        return self.checked if len(self.checked) else self.tail


@dataclass(frozen=True)
class Ending:
    """What was seen around the parameters at which a run's training ended.

    Attributes:
        components: The components whose gradients were taken, ``(constraint, place)`` each; of many those that were
            furthest from their levels.
        products: Inner products of the gradients of their surrogates, ``[m][m]``.
        scale: Norm of the parameters, there or at the start, whichever is larger: how far a change of their own size
            goes.
        recedes: Whether the objective fell without slowing down, and no constraint got worse, as far as 10,000 times
            ``scale`` down the gradient of what was trained on; None where that could not be evaluated.
    """

    components: Sequence[tuple[str, int]]
    products: Sequence[Sequence[float]]
    scale: float
    recedes: bool | None = None


@dataclass(frozen=True)
class Kkt:
    r"""How far a finished model is from the conditions of Karush, Kuhn and Tucker, on the training data.

    With lambda what the method's multipliers or coefficients come to there:

    Attributes:
        stationarity: Norm of the gradient of ``f + lambda g``, relative to that of f; None where neither is finite.
        primal: The largest violation, 0 where there is none.
        dual: How far below 0 an inequality's multiplier is at most, 0 where none is.
        complementarity: Sum of ``|lambda_i g_i|`` over the inequalities.
        of: ``strict``, or ``surrogate`` where some constraint's gradient is that of its surrogate.
        settled: Whether stationarity, dual and complementarity are small at the tolerance trained with.
    """

    stationarity: float | None
    primal: float | None
    dual: float | None
    complementarity: float | None
    of: str
    settled: bool


@dataclass(frozen=True)
class HeldOut:
    """A finished model on examples that no run trained on.

    Attributes:
        examples: How many.
        objective: Theirs.
        constraints: Of each constraint its value, surrogate and evidence on them.
        metrics: By name.
        error: Why there is nothing to judge on them: no example counts for some constraint.
    """

    examples: int | None = None
    objective: float | None = None
    constraints: Mapping[str, ConstraintOutcome] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    error: str | None = None


class RecordedMeasures(TypedDict):
    """:class:`MeasuredCurves` as plain lists."""

    steps: list[int]
    objective: list[float | None]
    constraints: dict[str, list[Number]]
    surrogates: dict[str, list[Number]]
    metrics: dict[str, list[float | None]]
    held_out: NotRequired[RecordedMeasures]


class Recorded(TypedDict):
    """:class:`Curves` as plain lists: what views, exports and trackers read."""

    steps: list[int]
    objective: list[float | None]
    constraints: dict[str, list[Number]]
    multipliers: dict[str, list[Number]]
    measured: NotRequired[RecordedMeasures | None]


@dataclass(frozen=True)
class MeasuredCurves:
    """What was measured of a run along the way, on all training data, thinned to at most about 500 points.

    What was measured on held-out examples, at the same steps, is one of its own.

    Attributes:
        steps: Steps done at each point, ``[points]``, ascending.
        objective: ``[points]``.
        constraints: Strict value by name, ``[points]`` or ``[points][k]``.
        surrogates: Differentiable value, likewise.
        metrics: By name, ``[points]``.
        held_out: The same on held-out examples; None where there are none.
    """

    steps: Sequence[int]
    objective: Sequence[float | None]
    constraints: Mapping[str, Sequence[Any]]
    surrogates: Mapping[str, Sequence[Any]]
    metrics: Mapping[str, Sequence[float | None]]
    held_out: MeasuredCurves | None = None

    def plain(self) -> RecordedMeasures:
        """The same as lists."""
        found: RecordedMeasures = {
            "steps": list(self.steps),
            "objective": list(self.objective),
            "constraints": {name: list(points) for name, points in self.constraints.items()},
            "surrogates": {name: list(points) for name, points in self.surrogates.items()},
            "metrics": {name: list(points) for name, points in self.metrics.items()},
        }
        return found if self.held_out is None else {**found, "held_out": self.held_out.plain()}


@dataclass(frozen=True)
class Curves:
    """Recorded points of a run, thinned to at most about 500.

    Attributes:
        steps: Step of each point, ``[points]``, ascending; of a long training at irregular distances.
        objective: ``[points]``.
        constraints: Strict value by name, ``[points]`` or ``[points][k]``.
        multipliers: Likewise; empty for methods without multipliers.
        measured: What was measured along the way; None where nothing was.
    """

    steps: Sequence[int]
    objective: Sequence[float | None]
    constraints: Mapping[str, Sequence[Any]]
    multipliers: Mapping[str, Sequence[Any]]
    measured: MeasuredCurves | None = None

    def until(self, done: int) -> Curves:
        """The points of the first ``done`` steps alone."""
        end = bisect_left(self.steps, done)
        return replace(
            self,
            steps=self.steps[:end],
            objective=_part(self.objective, slice(end)),
            constraints={name: _part(points, slice(end)) for name, points in self.constraints.items()},
            multipliers={name: _part(points, slice(end)) for name, points in self.multipliers.items()},
        )

    def last_tenth(self, name: str, done: int) -> Sequence[Any]:
        """A constraint's points in the last tenth of so many steps."""
        return _part(self.constraints[name], slice(bisect_left(self.steps, done - max(1, done // 10)), None))

    def plain(self) -> Recorded:
        """The same as lists."""
        return {
            "steps": list(self.steps),
            "objective": list(self.objective),
            "constraints": {name: list(points) for name, points in self.constraints.items()},
            "multipliers": {name: list(points) for name, points in self.multipliers.items()},
            "measured": None if self.measured is None else self.measured.plain(),
        }


def _part(points: Sequence[Any], part: slice) -> Sequence[Any]:
    """Some of the points, packed where they were."""
    return Series(points.numbers[part].copy()) if isinstance(points, Series) else points[part]


@dataclass(frozen=True)
class Run:
    """One finished training: key, status and plain numbers. Verdicts are computed when shown: :mod:`cpd.verdict`.

    Attributes:
        steps: Steps done.
        error: Why it failed or diverged; of a completed run, that it diverged after the iterate that is judged.
        selected_step: Steps done at the iterate that is judged, where that need not be the last one; else None.
        ended_early: Whether it ended before all steps were done, for it had been feasible long enough.
        held_out: The same model on held-out examples; None where there are none.
        examples: How many examples the model was measured on in training data; None where there are no data.
        ending: What was seen around its last parameters; None where that was not looked at.
        kkt: Residuals of the conditions of optimality; None of a run that did not complete.
        mixture: The iterates of the mixture that is judged, by the steps done there, each with its share; empty where
            one iterate is. Numbers are then the means of theirs.
        averaged: The last share of the training whose parameters' mean is judged; None where no mean is.
        model: The file of its judged weights; None where they are not kept. Not stored: the file itself says so.
    """

    key: RunKey
    status: Status
    objective: float | None = None
    constraints: Mapping[str, ConstraintOutcome] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    error: str | None = None
    curves: Curves | None = None
    selected_step: int | None = None
    ended_early: bool = False
    held_out: HeldOut | None = None
    examples: int | None = None
    ending: Ending | None = None
    kkt: Kkt | None = None
    mixture: Sequence[tuple[int, float]] = ()
    averaged: float | None = None
    model: str | None = None
