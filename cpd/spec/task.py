"""What a spec says, as validated objects."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cpd.errors import CpdError, closest
from cpd.spec.validation import Checked, Invalid, at_least, finite, one_of, shown, whole, word
from cpd.spec.yaml_loader import scalar

Sense = Literal["<=", ">=", "=="]
Number = Annotated[float, BeforeValidator(finite)]
NonNegative = Annotated[float, BeforeValidator(at_least(0))]
Positive = Annotated[float, BeforeValidator(at_least(0, exclusive=True))]
Word = Annotated[str, BeforeValidator(word)]

SHORT_FORM = re.compile(r"\s*(<=|>=|==)\s*(\S+)\s*")

ELEMENTWISE = (
    "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop",
)  # fmt: skip
"""Optimizers of ``torch.optim`` that act on each number alone, so that many runs can share one."""

ACROSS_ELEMENTS = ("LBFGS", "SparseAdam", "Adafactor", "Muon")
"""Optimizers of ``torch.optim`` that do not."""


class Constraint(Checked):
    """What a measured value must satisfy.

    Attributes:
        level: The bound; a sweep may try others.
        sense: How value and level are compared.
        tolerance: The largest violation that counts as none.
    """

    level: Number
    sense: Annotated[Sense, BeforeValidator(one_of("<=", ">=", "=="))]
    tolerance: NonNegative = 0.001


class Optimizer(Checked):
    """An element-wise optimizer of ``torch.optim``; in YAML ``{name: SGD, lr: 0.02}``.

    Attributes:
        name: Its class.
        options: ``lr`` and whatever else its constructor takes.
    """

    name: str = "SGD"
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            raise Invalid(f"{shown(raw)} is not a mapping", "write e.g. {name: SGD, lr: 0.02}")
        if isinstance(raw.get("options"), dict) and raw.keys() <= {"name", "options"}:
            return raw
        options = {key: value for key, value in raw.items() if key != "name"}
        return {"options": options} | ({"name": raw["name"]} if "name" in raw else {})

    @field_validator("name", mode="before")
    @classmethod
    def _known(cls, name: Any) -> Any:
        if name in ACROSS_ELEMENTS:
            raise Invalid(
                f"'{name}' acts across elements, so runs could not be trained as one program",
                f"valid: {', '.join(ELEMENTWISE)}",
            )
        if name not in ELEMENTWISE:
            raise Invalid(f"unknown optimizer {shown(name)}", closest(str(name), ELEMENTWISE))
        return name

    @model_validator(mode="after")
    def _step_size(self) -> Optimizer:
        if "lr" in self.options:
            try:
                at_least(0)(self.options["lr"])
            except Invalid as error:
                raise Invalid(error.message, error.hint, key="lr") from None
        return self


class Train(Checked):
    """The training recipe.

    Attributes:
        steps: Updates of the model, or None where ``epochs`` says how long to train.
        epochs: Passes over the data, or None.
        batch_size: Examples in a step; None (``all`` in YAML) for all of them.
        optimizer: Of the model.
        dtype: Of the model, the data and the multipliers.
    """

    steps: Annotated[int, BeforeValidator(whole(1))] | None = None
    epochs: Annotated[int, BeforeValidator(whole(1))] | None = None
    batch_size: int | None = None
    optimizer: Optimizer
    dtype: Annotated[Literal["float32", "float64"], BeforeValidator(one_of("float32", "float64"))] = "float32"

    @field_validator("batch_size", mode="before")
    @classmethod
    def _all_or_some(cls, value: Any) -> int | None:
        if value is None or value == "all":
            return None
        if isinstance(value, str):
            raise Invalid(f"{shown(value)} is not a batch size", "write a whole number from 1 on, or all")
        return whole(1)(value)

    @model_validator(mode="after")
    def _one_budget(self) -> Train:
        if self.steps is None and self.epochs is None:
            raise Invalid("neither steps nor epochs says how long to train", "add steps: 10000 or epochs: 150")
        if self.steps is not None and self.epochs is not None:
            raise Invalid("both steps and epochs say how long to train", "keep one of them")
        return self


class ProblemSource(Checked):
    """Where a problem's class is, and its source text, which travels with the sweep.

    Attributes:
        target: As written, ``package.module:Class`` or ``file.py:Class``.
        path: Absolute path of the file, or None for a module that Python finds by itself.
        source: Text of the module.
        arguments: Of the class.
    """

    target: str
    path: str | None = None
    source: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)


class Search(Checked):
    """A search for the coefficient that brings a constraint's value to a target.

    Attributes:
        constraint: Its name; None where the task has only one.
        target: The value to reach.
        low: Smallest coefficient.
        high: Largest coefficient.
        tolerance: How close to the target is close enough.
        strategy: How the next coefficient is chosen.
        max_trainings: Where the search gives up.
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
            raise Invalid(f"low {self.low:g} is not below high {self.high:g}", "the search needs two different ends")
        return self


class Task(Checked):
    """A problem with its levels and recipe, and everything to try on it.

    Attributes:
        name: Stem of the spec's file.
        place: The file as the user typed it, the prefix of errors.
        text: The specs as written.
        description: One line.
        objective: Its name in tables.
        constraints: By name, in the order of the spec.
        seeds: Without repetition.
        methods: Settings by method in the order of the grid, as given (defaults left out).
        levels: Swept levels; other constraints keep their own.
        search: What to search, for a spec that is no sweep.
        defaults: What each method takes for a hyperparameter that a setting leaves out.
        notes: What the user should know about how the spec was read.
    """

    name: str
    place: str
    text: str = ""
    description: str = ""
    problem: ProblemSource
    objective: str = "objective"
    constraints: dict[str, Constraint]
    train: Train
    seeds: tuple[int, ...] = (1,)
    methods: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    levels: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    search: Search | None = None
    defaults: dict[str, dict[str, Any]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


def constraint_mapping(raw: Any) -> Any:
    """Turn the short form ``">= 0.7"`` of a constraint into its mapping; leave anything else as it is.

    Raises:
        Invalid: A string that is no short form.
    """
    if not isinstance(raw, str):
        return raw
    match = SHORT_FORM.fullmatch(raw)
    try:
        level = scalar(match[2], "") if match else None
    except CpdError as error:
        raise Invalid(error.message, str(error.hint)) from None
    if match is None or isinstance(level, str | bool) or level is None:
        raise Invalid(f"{shown(raw)} is not a constraint", 'write e.g. ">= 0.7" with <=, >= or ==')
    return {"sense": match[1], "level": level}


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as plain values, from which :func:`task_from_json` builds it again."""
    return task.model_dump(mode="json")


def task_from_json(document: dict[str, Any]) -> Task:
    """Return the task that :func:`task_to_json` wrote down; no file is read."""
    return Task.model_validate(document)
