"""A spec as validated objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from cpd.errors import closest
from cpd.spec.validation import Checked, InvalidError, at_least, finite, one_of, shown, whole, word

OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")
"""Optimizers of ``torch.optim`` that act element by element, so that runs stay apart when fused."""

ACROSS_ELEMENTS = ("LBFGS", "SparseAdam", "Adafactor", "Muon")
"""Optimizers of ``torch.optim`` that do not."""

Number = Annotated[float, BeforeValidator(finite)]
NonNegative = Annotated[float, BeforeValidator(at_least(0)), WithJsonSchema({"type": "number", "minimum": 0})]
Positive = Annotated[
    float,
    BeforeValidator(at_least(0, exclusive=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Word = Annotated[str, BeforeValidator(word)]


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


class Optimizer(Checked):
    """The models' optimizer: a name of ``torch.optim`` and its options; in YAML ``{name: SGD, lr: 0.02}``."""

    name: str = "SGD"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name", mode="before")
    @classmethod
    def _acts_element_by_element(cls, name: Any) -> Any:
        if name in ACROSS_ELEMENTS:
            message = f"{name} does not act element by element, so runs cannot be fused"
            raise InvalidError(message, f"valid: {', '.join(OPTIMIZERS)}")
        if name not in OPTIMIZERS:
            raise InvalidError(f"unknown optimizer {shown(name)}", closest(str(name), OPTIMIZERS))
        return name


class Train(Checked):
    """The training recipe.

    Attributes:
        steps: Steps of a training; or give ``epochs``.
        epochs: Passes over the data.
        batch_size: Examples in a minibatch; ``all`` of them by default (None here).
        optimizer: The models' optimizer, by its name in ``torch.optim``, with its options.
        dtype: ``float32`` or ``float64``.
    """

    steps: Annotated[int, BeforeValidator(whole(1))] | None = None
    epochs: Positive | None = None
    batch_size: int | None = None
    optimizer: Optimizer = Optimizer()
    dtype: Annotated[Literal["float32", "float64"], BeforeValidator(one_of("float32", "float64"))] = "float32"

    @field_validator("batch_size", mode="before")
    @classmethod
    def _all_or_some(cls, value: Any) -> int | None:
        if value is None or value == "all":
            return None
        if isinstance(value, str):
            raise InvalidError(f"expected an integer >= 1 or all, got {shown(value)}")
        return whole(1)(value)

    @model_validator(mode="after")
    def _one_budget(self) -> Train:
        if self.steps is None and self.epochs is None:
            raise InvalidError("neither steps nor epochs says how long to train", "add steps: 10000 or epochs: 150")
        if self.steps is not None and self.epochs is not None:
            raise InvalidError("both steps and epochs say how long to train", "keep one of them")
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
    """

    target: str
    path: str | None
    source: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    modules: dict[str, str] = Field(default_factory=dict)
    depends: dict[str, str] = Field(default_factory=dict)
    package: str = ""

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


class Search(Checked):
    """A search for the penalty coefficient that brings a constraint's value to a target.

    Attributes:
        constraint: Its name; left out (None) where the task has only one.
        target: The value to reach.
        low: Smallest coefficient.
        high: Largest coefficient.
        tolerance: How close to the target is close enough.
        strategy: How the next coefficient is chosen.
        max_trainings: Coefficients after which the search gives up; each is trained with every seed.
    """

    constraint: Word | None = None
    target: Number
    low: Positive = 1e-3
    high: Positive = 1.0
    tolerance: Positive = 0.01
    strategy: Annotated[Literal["bisection", "illinois"], BeforeValidator(one_of("bisection", "illinois"))] = (
        "bisection"
    )
    max_trainings: Annotated[int, BeforeValidator(whole(2))] = 40

    @model_validator(mode="after")
    def _ordered(self) -> Search:
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
        search: What to search for; None for a sweep.
        notes: What the user should know, e.g. duplicates left out.
        places: Where a dotted key is that ``place`` does not have: an option, or the task's file below a sweep's.
    """

    name: str
    place: str
    text: str
    description: str = ""
    problem: ProblemSource
    objective: str
    constraints: dict[str, Constraint]
    train: Train
    seeds: tuple[int, ...] = (0,)
    methods: dict[str, tuple[dict[str, Any], ...]]
    levels: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    search: Search | None = None
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
