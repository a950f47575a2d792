"""A spec as validated objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from cpd.errors import closest
from cpd.spec.aims import STRATEGIES, Aim, NonZero, Number, Positive, aims_of
from cpd.spec.budget import Budget, Written
from cpd.spec.held_out import SHARE, Split, share_of_examples
from cpd.spec.measuring import Stop, every
from cpd.spec.training import Clip, Group, Schedule, groups_of, one_clock, schedules_of, share
from cpd.spec.transfer import Transfer
from cpd.spec.validation import Checked, InvalidError, at_least, one_of, shown, whole, word

OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")
"""Optimizers of ``torch.optim`` that act element by element, so that runs stay apart when fused."""

ACROSS_ELEMENTS = ("Adafactor", "Muon")
"""Optimizers of ``torch.optim`` that look across the elements of one run's parameter."""

ONE_BY_ONE = ("LBFGS",)
"""Optimizers of ``torch.optim`` that evaluate several times a step: each run trains by itself."""

NonNegative = Annotated[float, BeforeValidator(at_least(0)), WithJsonSchema({"type": "number", "minimum": 0})]
Word = Annotated[str, BeforeValidator(word)]


def lower_precision(value: Any) -> str:
    """The precision of ``autocast``.

    Raises:
        InvalidError: It is another one.
    """
    if value == "float16":
        raise InvalidError("float16 needs its gradients scaled, each run's by a number of its own", "use bfloat16")
    return str(one_of("bfloat16")(value))


class Constraint(Checked):
    """A constraint's level, sense and tolerance.

    Attributes:
        level: What the value is compared with.
        sense: ``<=``, ``>=`` or ``==``.
        tolerance: Largest violation that still counts as feasible, in the value's unit.
    """

    level: Number
    sense: Annotated[Literal["<=", ">=", "=="], BeforeValidator(one_of("<=", ">=", "=="))]
    tolerance: NonNegative = 1e-3


class MovingConstraint(Constraint):
    """A constraint whose level moves while a run is trained: to the run's level, at which it is judged.

    Attributes:
        start: The level at the first step; ``from`` in YAML.
        over: The share of the steps after which it has come to the run's level.
    """

    start: Number
    over: Annotated[float, BeforeValidator(share)]


class Optimizer(Checked):
    """The models' optimizer: a name of ``torch.optim`` and its options; in YAML ``{name: SGD, lr: 0.02}``."""

    name: str = "SGD"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name", mode="before")
    @classmethod
    def _is_known(cls, name: Any) -> Any:
        valid = (*OPTIMIZERS, *ACROSS_ELEMENTS, *ONE_BY_ONE)
        if name == "SparseAdam":
            raise InvalidError("SparseAdam takes sparse gradients alone", "use Adam")
        if name not in valid:
            raise InvalidError(f"unknown optimizer {shown(name)}", closest(str(name), valid))
        return name


class Train(Checked):
    """The training recipe.

    Attributes:
        steps: Steps of a training; or give ``epochs``.
        epochs: Passes over the data.
        batch_size: Examples in a minibatch; ``all`` of them by default (None here).
        constraint_batch_size: Examples of ``constraint_data()`` in a minibatch, for a problem that has them; likewise.
        optimizer: The models' optimizer, by its name in ``torch.optim``, with its options.
        dtype: ``float32`` or ``float64``.
        groups: Options of the optimizer for parameters by name, as patterns; the first that matches counts.
        schedule: How the step-size changes, by a scheduler's name in ``torch.optim.lr_scheduler`` with its options, or
            a list of them, one after the other.
        clip: How large a gradient may be: ``{norm: 1.0}`` or ``{value: 0.5}``.
        average: The last share of the training whose parameters' mean is judged; the last parameters by default (None
            here).
        accumulate: Minibatches that make one step, whose objectives and violations are averaged.
        measure_every: Steps, or epochs as ``1 epoch``, from one measure on all training data to the next; none by
            default.
        select: Which iterate is judged and kept: ``last``, the best that was measured, ``best_feasible``, or the best
            ``mixture`` of those that were.
        stop: When a run ends before all its steps are done.
        multipliers_share: Of the held-out examples, those on which multipliers move and nothing is judged; a half where
            some method has ``multipliers_on: held_out``, else none (None here).
        autocast: ``bfloat16``: the precision in which operations of a step are done where torch deems that safe;
            parameters, optimizer and values stay in ``dtype``.
    """

    steps: Annotated[int, BeforeValidator(whole(1))] | None = None
    epochs: Positive | None = None
    batch_size: int | None = None
    constraint_batch_size: int | None = None
    optimizer: Optimizer = Optimizer()
    dtype: Annotated[Literal["float32", "float64"], BeforeValidator(one_of("float32", "float64"))] = "float32"
    groups: Annotated[tuple[Group, ...], BeforeValidator(groups_of)] = ()
    schedule: Annotated[tuple[Schedule, ...] | None, BeforeValidator(schedules_of), AfterValidator(one_clock)] = None
    clip: Clip | None = None
    average: Annotated[float, BeforeValidator(share)] | None = None
    accumulate: Annotated[int, BeforeValidator(whole(1))] = 1
    measure_every: Annotated[int | str | None, BeforeValidator(every)] = None
    select: Annotated[
        Literal["last", "best_feasible", "mixture"], BeforeValidator(one_of("last", "best_feasible", "mixture"))
    ] = "last"
    stop: Stop | None = None
    multipliers_share: Annotated[float, BeforeValidator(share_of_examples), WithJsonSchema(SHARE)] | None = None

    @field_serializer("groups")
    def _by_pattern(self, groups: tuple[Group, ...]) -> dict[str, dict[str, Any]]:
        """As a file has them."""
        return {group.pattern: dict(group.options) for group in groups}

    @field_serializer("schedule")
    def _one_or_several(self, schedule: tuple[Schedule, ...] | None) -> Any:
        """Likewise."""
        written = None if schedule is None else [one.model_dump() for one in schedule]
        return written[0] if written is not None and len(written) == 1 else written

    autocast: Annotated[Literal["bfloat16"], BeforeValidator(lower_precision)] | None = None

    @field_validator("batch_size", "constraint_batch_size", mode="before")
    @classmethod
    def _all_or_some(cls, value: Any) -> int | None:
        if value is None or value == "all":
            return None
        if isinstance(value, str):
            raise InvalidError(f"expected an integer >= 1 or all, got {shown(value)}")
        return whole(1)(value)

    @model_validator(mode="after")
    def _one_precision(self) -> Train:
        if self.autocast is not None and self.dtype != "float32":
            message = f"{self.autocast} with dtype: {self.dtype}"
            raise InvalidError(message, "leave out one of them", key="autocast")
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> Train:
        if self.steps is None and self.epochs is None:
            raise InvalidError("neither steps nor epochs says how long to train", "add steps: 10000 or epochs: 150")
        if self.steps is not None and self.epochs is not None:
            raise InvalidError("both steps and epochs say how long to train", "keep one of them")
        return self

    @model_validator(mode="after")
    def _one_iterate(self) -> Train:
        if self.average is not None and self.select != "last":
            raise InvalidError("both select and average say which parameters are judged", "keep one of them")
        if self.select == "mixture" and self.stop is not None:
            message = "a mixture is of iterates of the whole training, and a run that stops early ends at its last"
            raise InvalidError(message, "keep select: mixture or stop", key="stop")
        if self.average is not None and self.stop is not None:
            message = "a run that stops early has no last share of the training, which average is of"
            raise InvalidError(message, "keep average or stop")
        return self

    @model_validator(mode="after")
    def _evaluates_once(self) -> Train:
        given = {"groups": self.groups, "clip": self.clip, "accumulate": self.accumulate > 1}
        if self.optimizer.name in ONE_BY_ONE and (refused := [name for name, value in given.items() if value]):
            message = f"{self.optimizer.name} evaluates several times a step, and takes no {refused[0]}"
            raise InvalidError(message, "leave it out, or use another optimizer", key=refused[0])
        return self


class ProblemSource(Checked):
    """Where a problem comes from.

    Attributes:
        target: As written: ``package.module:Class`` or ``file.py:Class``.
        path: Absolute path of ``file.py``; None for a module.
        source: The module's text; it travels with the sweep and enters the run's id.
        arguments: For the class.
        modules: Texts of the local modules that it imports, by relative path; likewise.
        depends: Hashes of what the task lists under ``depends``, by path or ``env:NAME``.
        package: What relative imports start from; empty for a file on its own.
        pickled: A class or an object that no file has, made by cloudpickle in this process; it travels to workers, and
            is neither stored nor part of an id.
    """

    target: str
    path: str | None
    source: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    modules: dict[str, str] = Field(default_factory=dict)
    depends: dict[str, str] = Field(default_factory=dict)
    package: str = ""
    pickled: bytes | None = Field(default=None, exclude=True, repr=False)

    @property
    def is_live(self) -> bool:
        """Whether no file has the class: it is a program's own, or a notebook's."""
        return self.target.startswith("__main__:")

    @property
    def folder(self) -> Path | None:
        """What is beside the problem: the folder of its file, or of the package that its name starts with."""
        if self.path is None:
            return None
        module = self.target.rpartition(":")[0]
        file = Path(self.path)
        above = 0 if module.endswith(".py") else module.count(".") + (file.name == "__init__.py")
        return file.parents[above]

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its imports are looked for, besides what is installed; of a file in a package also beside that."""
        if self.path is None or self.folder is None:
            return ()
        is_file = self.target.rpartition(":")[0].endswith(".py")
        above = len(self.package.split(".")) if self.package and is_file else 0
        return tuple(dict.fromkeys([self.folder, Path(self.path).parents[above]])) if above else (self.folder,)


class Program(Checked):
    """A training program of anyone's, in place of a problem and its recipe: a command, or a plain function.

    Attributes:
        words: Of the command, with placeholders; none of a function, which the task's ``problem`` then names.
        folder: Where it is started: that of the file that has the command.
        timeout: Seconds after which a run is ended.
        files: Files that travel to workers elsewhere, by path from the folder.
        check_with: What placeholders stand for where the task is checked alone, e.g. ``{steps: 2}``.
    """

    words: tuple[str, ...] = ()
    folder: str = "."
    timeout: Positive | None = None
    files: tuple[str, ...] = ()
    check_with: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_function(self) -> bool:
        """Whether it is a function, called in a worker."""
        return not self.words


class Search(Checked):
    """A search for the penalty coefficient that brings a constraint's value to a target, or for several.

    Attributes:
        hyperparameter: What is searched, ``METHOD.NAME``; left out (None) for the penalised method's coefficient.
        constraint: Its name; left out (None) where the task has only one.
        target: The value to reach.
        targets: In place of a constraint and a target: of several constraints the value that each is to reach by its
            own coefficient, or {target: 0.8, low: 0.01, high: 10, tolerance: 0.02}.
        low: Smallest coefficient; both are above 0, or below it where all constraints are equalities.
        high: Largest coefficient.
        tolerance: How close to the target is close enough.
        strategy: How the next coefficient is chosen: bisection or illinois for one; coordinates (one after the other)
            or simplex (all at once) for one of each constraint, of all to their levels where there are no targets.
        max_trainings: Coefficients after which the search gives up; each is trained with every seed.
    """

    hyperparameter: Word | None = None
    constraint: Word | None = None
    target: Number = Field(default_factory=float)
    targets: Annotated[dict[str, Aim], BeforeValidator(aims_of)] = Field(default_factory=dict)
    low: NonZero = 1e-3
    high: NonZero = 1.0
    tolerance: Positive = 0.01
    strategy: Annotated[
        Literal["bisection", "illinois", "coordinates", "simplex"], BeforeValidator(one_of(*STRATEGIES))
    ] = "bisection"
    max_trainings: Annotated[int, BeforeValidator(whole(2))] = 40

    @property
    def is_several(self) -> bool:
        """Whether a coefficient of each constraint is searched."""
        return self.strategy in STRATEGIES[2:]

    @model_validator(mode="before")
    @classmethod
    def _one_after_the_other(cls, value: Any) -> Any:
        """Several targets are searched so where nothing else is said."""
        return {"strategy": "coordinates", **value} if isinstance(value, dict) and value.get("targets") else value

    @model_validator(mode="after")
    def _aimed(self) -> Search:
        if self.targets and not self.is_several:
            raise InvalidError(
                f"{self.strategy} searches one coefficient", "write coordinates or simplex", key="strategy"
            )
        if not self.is_several and "target" not in self.model_fields_set:
            raise InvalidError("the key 'target' is missing", "add target: VALUE")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Search:
        if self.low < 0 < self.high:
            hint = "search one side at a time: give both ends above 0, or both below it"
            raise InvalidError(f"0 lies between low {self.low:g} and high {self.high:g}", hint)
        if self.low >= self.high:
            raise InvalidError(
                f"low {self.low:g} is not below high {self.high:g}", "the search needs two different ends"
            )
        return self


class Task(Checked):
    """A task or sweep, ready to run.

    Attributes:
        name: The file's stem.
        place: The file as the user typed it: prefix of errors.
        text: The file as written, the task's after the sweep's.
        description: One line.
        objective: Its name in tables.
        constraints: By name, in the order of the spec.
        seeds: Each one once.
        methods: Method -> its settings in grid order, as given (defaults left out).
        levels: Swept levels; constraints that are not named keep their own.
        grids: Values of those dotted keys of ``train`` and ``arguments`` that have several; ``train`` and the problem
            hold the first of each.
        search: What to search for; None for a sweep.
        budget: Trainings of each method, whose settings a sampler then chooses; None to train those of the grids.
        transfer: From which case to which settings are carried over; None to compare none.
        written: The grids as they were written; it is neither stored nor part of an id.
        program: What trains in place of a problem and its recipe; of a command both are empty.
        held_out: Which examples of ``data()`` no run trains on; None for those of ``Problem.held_out()``, if any.
        judge: Which data decide a verdict; None for held-out examples where there are any.
        notes: What the user should know, e.g. duplicates left out.
        places: Where a dotted key is that ``place`` does not have: an option, or the task's file below a sweep's.
    """

    name: str
    place: str
    text: str
    description: str = ""
    problem: ProblemSource
    objective: str
    constraints: dict[str, MovingConstraint | Constraint]
    train: Train
    seeds: tuple[int, ...] = (0,)
    methods: dict[str, tuple[dict[str, Any], ...]]
    levels: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    grids: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    search: Search | None = None
    budget: Budget | None = None
    transfer: Transfer | None = None
    written: Any = Field(default=Written(), exclude=True, repr=False)
    program: Program | None = None
    held_out: Split | None = None
    judge: Annotated[Literal["training", "held_out"], BeforeValidator(one_of("training", "held_out"))] | None = None
    notes: tuple[str, ...] = ()
    places: dict[str, str] = Field(default_factory=dict)

    def at(self, key: str) -> str:
        """The place of a key in errors, e.g. ``"tasks/rate.yaml: arguments.x"``."""
        return self.places.get(key, f"{self.place}: {key}")


def task_to_json(task: Task) -> dict[str, Any]:
    """A task as plain JSON values."""
    return task.model_dump(mode="json")


def task_from_json(value: dict[str, Any]) -> Task:
    """The task that :func:`task_to_json` wrote down; no file is read."""
    return Task.model_validate(value)
