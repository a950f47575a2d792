"""Three and more swept hyperparameters: a line for each setting across its values and what they give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cpd.verdict.document import Document
from cpd.views.figures.chosen import left_out
from cpd.views.figures.heatmap import BROKEN, MOST_CONSTRAINTS, bounds_of, mean_of
from cpd.views.figures.hyperparameters import Family, in_several
from cpd.views.figures.limits import limits, on_log_scale, reached
from cpd.views.figures.log_axis import power_text
from cpd.views.figures.looks import wrapped
from cpd.views.figures.quantities import Quantity, objective, several_seeds
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, is_best, is_useful, setting_text
from cpd.views.tables.numbers import number

MOST_PANELS, MOST_HYPERPARAMETERS, MOST_QUANTITIES = 6, 6, 5

MOST_TICKS = 6

LETTERS_PER_INCH, LETTERS = 13, 12
"""Of an axis's name that fit into an inch, and of a value beside an axis."""

KINDS = ("not feasible", "feasible", "useful", "best of its method")
"""Settings from what is drawn first to what is drawn last."""


@dataclass(frozen=True)
class Upright:
    """One upright axis, from 0 to 1.

    Attributes:
        name: With its unit.
        ticks: Places and texts.
        region: Ends of the feasible region; None where there is none.
    """

    name: str
    ticks: list[tuple[float, str]]
    region: tuple[float, float] | None = None


@dataclass(frozen=True)
class Path:
    """One setting.

    Attributes:
        places: On each axis, from 0 to 1, beyond these where it blew up; None where it has no value.
        kind: One of :data:`KINDS`.
        text: Its hyperparameters.
    """

    places: list[float | None]
    kind: str
    text: str


@dataclass(frozen=True)
class Paths:
    """A method's panel."""

    label: str
    axes: list[Upright]
    paths: list[Path]


@dataclass(frozen=True)
class Parallel:
    """All that the picture shows, one panel per method."""

    panels: list[Paths]
    seeds: int
    notes: list[str] = field(default_factory=list)


def parallel_data(document: Document, constraints: Sequence[str] | None = None) -> Parallel:
    """The settings of each method across their hyperparameters, the constraints and the objective.

    Args:
        document: Contract 3's object.
        constraints: Those with an axis; default: all where they are few, else how many are violated.

    Raises:
        CpdError: No method's settings differ in several hyperparameters.
    """
    found, single = in_several(document, "parallel", "several")
    few = len(document["constraints"]) <= MOST_CONSTRAINTS
    names = list(document["constraints"]) if constraints is None and few else constraints
    shown = None if names is None else list(names)[:MOST_QUANTITIES]
    notes = [] if shown is None else left_out(document, shown)
    notes += [f"the first {MOST_PANELS} of {len(found)}"] if len(found) > MOST_PANELS else []
    notes += _without(found[:MOST_PANELS])
    notes += [f"not shown: {', '.join(single)}, of fewer than two hyperparameters"] if single else []
    panels = [_paths(document, family, shown) for family in found[:MOST_PANELS]]
    return Parallel(panels, several_seeds(document), notes)


def _without(found: Sequence[Family]) -> list[str]:
    """Hyperparameters for which there is no room."""
    return [
        f"{family.label}: without {', '.join(one_line(axis.name) for axis in family.axes[MOST_HYPERPARAMETERS:])}"
        for family in found
        if len(family.axes) > MOST_HYPERPARAMETERS
    ]


def _paths(document: Document, family: Family, names: Sequence[str] | None) -> Paths:
    shown = [BROKEN] if names is None else bounds_of(document, family, names)
    shown.append(objective(document))
    useful = [is_useful(document, row) for row in family.rows]
    axes, columns = [], []
    for hyper in family.axes[:MOST_HYPERPARAMETERS]:
        last = len(hyper.texts) - 1
        places = [hyper.place(row) for row in family.rows]
        columns.append([None if place is None else place / last for place in places])
        axes.append(Upright(one_line(hyper.name), [(k / last, _cut(hyper.texts[k])) for k in _some(last + 1)]))
    for quantity in shown:
        values = [mean_of(document, row, quantity) for row in family.rows]
        axis, along = _scaled(quantity, values, useful)
        axes.append(axis)
        columns.append(along)
    rows = zip(*columns, strict=True)
    kinds = [_kind(document, row, good) for row, good in zip(family.rows, useful, strict=True)]
    texts = [setting_text(row.setting) for row in family.rows]
    paths = [Path(list(places), kind, text) for places, kind, text in zip(rows, kinds, texts, strict=True)]
    return Paths(family.label, axes, paths)


def _kind(document: Document, row: Line, useful: bool) -> str:
    if is_best(document, row):
        return KINDS[3]
    return KINDS[2] if useful else KINDS[1] if row.all_feasible else KINDS[0]


def _cut(text: str) -> str:
    return wrapped(text, LETTERS, most=1)[0]


def _some(count: int) -> list[int]:
    """Places of the values that are written: as many as fit, the first and the last among them."""
    if count <= MOST_TICKS:
        return list(range(count))
    return [round(k * (count - 1) / (MOST_TICKS - 1)) for k in range(MOST_TICKS)]


def _scaled(
    quantity: Quantity, values: Sequence[float | None], useful: Sequence[bool]
) -> tuple[Upright, list[float | None]]:
    """A quantity's axis, and where the values stand on it."""
    known = [value for value in values if value is not None]
    trusted = [value for value, good in zip(values, useful, strict=True) if good and value is not None]
    kept = reached(quantity, known, trusted)
    if on_log_scale(quantity, kept):
        low, high = math.log10(min(kept)), math.log10(max(kept))
        found = [None if v is None else (math.log10(v) - low) / (high - low) if v > 0 else -1.0 for v in values]
        powers = range(math.ceil(low), math.floor(high) + 1)
        step = math.ceil(len(powers) / 4)
        ticks = [
            ((power - low) / (high - low), power_text(10.0**power, number(10.0**power))) for power in powers[::step]
        ]
        return Upright(quantity.label, ticks), found
    low, high = limits(quantity, kept)
    scale = 100 if quantity.share else 1
    ticks = [((at - low) / (high - low), number(scale * at, 3)) for at in _round_ticks(low, high)]
    region = quantity.feasible_region()
    ends = None if region is None else tuple(min(max((end - low) / (high - low), 0.0), 1.0) for end in region)
    places = [None if value is None else (value - low) / (high - low) for value in values]
    return Upright(quantity.label, ticks, ends), places  # type: ignore[arg-type]


def _round_ticks(low: float, high: float) -> list[float]:
    """About four round numbers between two ends."""
    unit = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(unit * k for k in (1, 2, 5, 10, 20) if (high - low) / (unit * k) <= 5)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
