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


Verdict = Literal["satisfied", "violated", "uncertain"]
"""What the judged examples say of a constraint at the confidence that is asked for."""

Interval = list[float] | list[list[float] | None] | None
"""``[low, high]``, one for each component of a vector constraint; None where nothing says how sure a value is."""


class SensitivityRow(TypedDict):
    """The change of the objective per unit of a constraint's level, see :mod:`cpd.verdict.sensitivity`.

    ``predicted`` by the multiplier, ``measured`` at neighbouring levels, with its ``error``; whether both ``agree``,
    and ``why`` not: ``surrogate``, ``not settled``, ``not convex``, or ``unknown`` where runs have no residuals.
    """

    predicted: float | None
    measured: float | None
    error: float | None
    agree: bool | None
    why: str | None


class ConstraintRow(TypedDict):
    """One constraint of a run; ``value`` is the strict one. A vector constraint gives lists.

    On the judged data with the ``interval`` of the value at the document's confidence, and the ``verdict``.
    ``sensitivity`` is there where its level is swept.
    """

    value: Number
    surrogate: Number
    violation: Number
    multiplier: Number
    feasible_share: float | None
    interval: NotRequired[Interval]
    verdict: NotRequired[Verdict | None]
    sensitivity: NotRequired[SensitivityRow]


class HeldOutConstraintRow(TypedDict):
    """One constraint of a run on held-out examples; likewise."""

    value: Number
    surrogate: Number
    violation: Number
    interval: NotRequired[Interval]
    verdict: NotRequired[Verdict | None]


class HeldOutRow(TypedDict):
    """A run on held-out examples, and how many they are."""

    objective: float | None
    constraints: dict[str, HeldOutConstraintRow]
    metrics: dict[str, float | None]
    examples: int | None


class KktRow(TypedDict):
    """Residuals of the conditions of optimality of a run on the training data, see :class:`cpd.outcome.Kkt`.

    ``of`` is ``strict`` or ``surrogate``: whose gradients they are; ``stationary`` whether all of them are small.
    """

    stationarity: float | None
    primal: float | None
    dual: float | None
    complementarity: float | None
    of: str
    stationary: bool


class MeasuredRow(TypedDict):
    """What was measured of a run along the way."""

    measured: RecordedMeasures


class MixtureRow(TypedDict):
    """One iterate of a mixture that is judged: the steps done there, and its share."""

    step: int
    share: float


class RunRow(TypedDict):
    """One training and the verdict on it.

    ``same_as_seed`` names an earlier run of the setting that trained in the same way, number for number: then the seed
    changed nothing, and both are counted as one. ``selected_step`` has the steps done at the iterate that is judged,
    None where that is the last one; ``curves`` only what was measured along the way, where something was.
    ``objective``, ``constraints`` and ``metrics`` are on training data, ``feasible`` says what holds on those that are
    judged; ``examples`` has how many examples training data have, None where nobody knows. ``mixture`` and
    ``averaged``, the last share of the training whose parameters' mean is judged, are there only where such is judged.
    ``holds_only_by`` names the constraints of which the surrogate and the strict value do not agree, and the one by
    which they hold; it is there where there are some. ``fighting`` names the constraints, or their components, that
    contradict each other, where the diagnosis is that. ``satisfied`` says how many constraints hold, and is there with
    ``satisfied_of`` where there are many, each component of a vector counted. ``model`` is the file of the judged
    weights; None where they are not kept.
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
    model: str | None
    selected_step: NotRequired[int | None]
    curves: NotRequired[MeasuredRow]
    mixture: NotRequired[list[MixtureRow]]
    averaged: NotRequired[float]
    held_out: NotRequired[HeldOutRow | None]
    examples: NotRequired[int | None]
    same_as_seed: NotRequired[int]
    verdict: NotRequired[Verdict | None]
    kkt: NotRequired[KktRow | None]
    holds_only_by: NotRequired[Mapping[str, str]]
    fighting: NotRequired[list[str]]
    satisfied: NotRequired[int | None]
    satisfied_of: NotRequired[int]


class SummaryRow(TypedDict):
    """One method; ``levels`` only where levels are swept, and then one row for each choice of them.

    A setting is useful at objectives up to ``useful_up_to``, which is the ``mark`` and the gap. Decades that go up to
    an end of the grid are ``at_edge``: they may go on beyond it. ``satisfied_settings`` hold with the document's
    confidence; the best one's verdict and intervals, one per seed, are at ``best_confidence``: it was chosen.
    """

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
    mark: NotRequired[float | None]
    useful_up_to: NotRequired[float | None]
    feasible_at_edge: NotRequired[bool]
    useful_at_edge: NotRequired[bool]
    satisfied_settings: NotRequired[int]
    best_verdict: NotRequired[Verdict | None]
    best_confidence: NotRequired[float]
    best_intervals: NotRequired[dict[str, list[Interval]]]


class Iteration(TypedDict):
    """One coefficient of a search.

    Numbers are means over the seeds that completed; ``seeds`` says how many did, and ``spread`` is the standard
    deviation of the value over them, None for a single one. Searches of earlier versions have neither.

    ``pruned`` is the side of the target on which a training was given up; ``violated`` names the other constraints
    that do not hold for every seed.

    In a search of several coefficients, ``coefficients``, ``values``, ``spreads`` and ``distances`` are those of each
    constraint that is searched, ``setting`` is what was trained, and ``distance`` how far the constraint ``worst`` is
    from met, in tolerances: below 1 all are. ``coefficient``, ``value`` and ``spread`` are those of the search's
    ``constraint``.
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
    setting: NotRequired[dict[str, list[float]]]
    coefficients: NotRequired[dict[str, float]]
    values: NotRequired[dict[str, float | None]]
    spreads: NotRequired[dict[str, float | None]]
    worst: NotRequired[str]
    distance: NotRequired[float | None]
    distances: NotRequired[dict[str, float | None]]


class SearchBlock(TypedDict):
    """A bisection: its aim, its iterations, and how it ended.

    The outcome is ``solved``, ``infeasible`` (the target is met, another constraint is not), ``unattainable`` (the
    value jumps across the target), ``not_bracketed`` or ``out_of_budget``. ``trainings`` counts every seed.
    ``hyperparameter`` is what was searched, ``METHOD.NAME``, where that is not the penalty coefficient; an iteration's
    ``coefficient`` is then a value of it.

    A search of several coefficients has ``targets`` and ``tolerances`` by constraint, and its ``strategy``; its
    ``constraint`` is the one that is furthest from met at the iteration that it reports.
    """

    constraint: str
    hyperparameter: NotRequired[str]
    target: float
    tolerance: float
    outcome: str
    trainings: int
    iterations: list[Iteration]
    strategy: NotRequired[str]
    targets: NotRequired[dict[str, float]]
    tolerances: NotRequired[dict[str, float]]
    lows: NotRequired[dict[str, float]]


class Quartiles(TypedDict):
    """A number over seeds: ``median``, ``low`` and ``high`` quartile, and ``each`` seed's own.

    None where it is not reached: then it counts as larger than any, in the median and the quartiles too.
    """

    median: float | None
    low: float | None
    high: float | None
    each: list[float | None]


class MethodBudgetRow(TypedDict):
    """One method at an equal budget, see :mod:`cpd.verdict.budgets`; ``levels`` only where levels are swept.

    ``trainings`` is how many it had with a seed, at most: fewer than the budget where its grids have fewer settings.
    """

    method: str
    levels: NotRequired[dict[str, float]]
    seeds: int
    trainings: int
    useful_seeds: int
    useful_share: float
    trainings_to_first_useful: Quartiles
    steps_to_first_useful: Quartiles
    distance: Quartiles
    best_objective: Quartiles


class BudgetBlock(TypedDict):
    """Methods at equal budgets: ``trainings`` of each for each seed, whose settings the ``sampler`` chose."""

    trainings: int
    sampler: str
    methods: list[MethodBudgetRow]


class TransferRow(TypedDict):
    """One method's best setting of one case in another, see :mod:`cpd.verdict.transfer`.

    ``setting`` is what was carried over, None where nothing was feasible there. What it came to in the other case:
    ``feasible`` and ``useful``, ``objective`` over the seeds, and the ``worst`` constraint with its ``violation``. Then
    the method's own best setting of that case, and by how much its objective is missed: ``cost``. ``distance`` is that
    from the best of all methods. ``moved_decades`` is log10 of the own best over what was carried, of what was swept.
    """

    method: str
    levels: NotRequired[dict[str, float]]
    setting: dict[str, Plain] | None
    source_objective: float | None
    seeds: int
    feasible_seeds: int
    feasible: bool
    useful: bool
    objective: Quartiles
    worst: str | None
    violation: float | None
    best_setting: dict[str, Plain] | None
    best_objective: float | None
    cost: Quartiles
    distance: Quartiles
    moved_decades: float | None
    useful_at_source: int
    useful_at_both: int


# Keys that are words of Python.
TransferBlock = TypedDict(
    "TransferBlock", {"from": dict[str, Plain], "to": dict[str, Plain], "methods": list[TransferRow]}
)
"""What the best setting of one case of a sweep costs in another: the values of both, by dotted key."""


class JudgementRow(TypedDict):
    """What kept models were judged on after their sweep: its name, what the examples are called, their hash, when."""

    name: str
    data: str
    examples: str
    judged: str


class Document(TypedDict):
    """All of it: ``summary`` and ``gap`` after a sweep or a comparison, ``search`` after a bisection.

    ``budget`` is there where every method had the same number of trainings.

    ``transfer`` is there where the best settings of one case of the grids are carried over to another.

    ``judge`` says which data decide, ``training`` or ``held_out``: what is feasible, best and useful; ``confidence``
    how sure a verdict is to be. ``judgement`` is there where the held-out examples are others than the sweep's.
    """

    task: str
    objective: str
    constraints: dict[str, BoundRow]
    runs: list[RunRow]
    summary: NotRequired[list[SummaryRow]]
    search: NotRequired[SearchBlock]
    budget: NotRequired[BudgetBlock]
    transfer: NotRequired[TransferBlock]
    judge: NotRequired[str]
    confidence: NotRequired[float]
    gap: NotRequired[float | str]
    judgement: NotRequired[JudgementRow]
