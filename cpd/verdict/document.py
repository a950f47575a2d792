"""Contract 3 as types: the object that ``--format json`` prints and that every view reads.

Plain dictionaries at run time. Every number is finite or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict, TypeGuard

from cpd.outcome import Number, Recorded

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""Any value that JSON can hold."""

Setting = Mapping[str, Plain]
"""Hyperparameters of a method by name."""

Recordings = Sequence[Recorded | None]
"""The recorded points of each run of a document, in the order of its runs; None for a run without."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number; a truth is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class BoundRow(TypedDict):
    """Level, sense and tolerance of a constraint; a run's own level stands in its ``levels``."""

    level: float
    sense: str
    tolerance: float


class ConstraintRow(TypedDict):
    """One constraint of a run; ``value`` is the strict one. A vector constraint gives lists."""

    value: Number
    surrogate: Number
    violation: Number
    multiplier: Number
    feasible_share: float | None


class RunRow(TypedDict):
    """One training and the verdict on it."""

    id: str | None
    method: str
    setting: dict[str, Plain]
    levels: dict[str, float]
    seed: int
    status: str
    feasible: bool
    objective: float | None
    constraints: dict[str, ConstraintRow]
    metrics: dict[str, float | None]
    steps: int
    seconds: float | None
    diagnosis: str | None
    error: str | None


class SummaryRow(TypedDict):
    """One method; ``levels`` only where levels are swept, and then one row for each choice of them."""

    method: str
    levels: NotRequired[dict[str, float]]
    settings: int
    feasible_settings: int
    feasible_decades: float | None
    useful_settings: int
    useful_decades: float | None
    best_setting: dict[str, Plain] | None
    best_objective: float | None
    trainings_to_first_useful: int | None


class Iteration(TypedDict):
    """One coefficient of a search; ``pruned`` is the side of the target on which its training was given up."""

    iteration: int
    coefficient: float
    value: float | None
    objective: float | None
    metrics: dict[str, float | None]
    pruned: NotRequired[Literal["above", "below"]]


class SearchBlock(TypedDict):
    """A bisection: its aim, its iterations, and its outcome, ``solved``, ``unattainable`` or ``out_of_budget``."""

    constraint: str
    target: float
    tolerance: float
    outcome: str
    trainings: int
    iterations: list[Iteration]


class Document(TypedDict):
    """All of it: ``summary`` after a sweep or a comparison, ``search`` after a bisection."""

    task: str
    objective: str
    constraints: dict[str, BoundRow]
    runs: list[RunRow]
    summary: NotRequired[list[SummaryRow]]
    search: NotRequired[SearchBlock]
