"""Contract 3 as types: the object that ``--format json`` prints and that every view reads.

Plain dictionaries at run time. Every number is finite or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict, TypeGuard

from cpd.outcome import Number, Recorded, RecordedMeasures

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


class MeasuredRow(TypedDict):
    """What was measured of a run along the way."""

    measured: RecordedMeasures


class RunRow(TypedDict):
    """One training and the verdict on it.

    ``selected_step`` has the steps done at the iterate that is judged, None where that is the last one; ``curves`` only
    what was measured along the way, where something was.
    """

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
    selected_step: NotRequired[int | None]
    curves: NotRequired[MeasuredRow]


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
    """One coefficient of a search.

    Numbers are means over the seeds that completed; ``seeds`` says how many did, and ``spread`` is the standard
    deviation of the value over them, None for a single one. Searches of earlier versions have neither.

    ``pruned`` is the side of the target on which a training was given up; ``violated`` names the other constraints
    that do not hold for every seed.
    """

    iteration: int
    coefficient: float
    value: float | None
    objective: float | None
    metrics: dict[str, float | None]
    spread: NotRequired[float | None]
    seeds: NotRequired[int]
    pruned: NotRequired[Literal["above", "below"]]
    violated: NotRequired[list[str]]


class SearchBlock(TypedDict):
    """A bisection: its aim, its iterations, and how it ended.

    The outcome is ``solved``, ``infeasible`` (the target is met, another constraint is not), ``unattainable`` (the
    value jumps across the target), ``not_bracketed`` or ``out_of_budget``. ``trainings`` counts every seed.
    """

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
