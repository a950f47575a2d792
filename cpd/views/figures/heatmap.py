"""Two swept hyperparameters: a cell for each pair of values, coloured by what it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cpd.verdict.document import Document
from cpd.views.figures.chosen import broken_in, left_out
from cpd.views.figures.hyperparameters import Family, Hyperparameter, in_several
from cpd.views.figures.quantities import Quantity, constraint, objective, several_seeds, spread
from cpd.views.tables.lines import Line, is_best, is_useful, setting_text

MOST_CONSTRAINTS = 4
"""Constraints with a panel of their own where none is named; of more, a panel counts those that are violated."""

MOST_MAPS = 12

BROKEN = Quantity("metric", "violated constraints")


@dataclass(frozen=True)
class Cell:
    """The best setting of a pair of values.

    Attributes:
        x: Place of its value on the horizontal axis.
        y: And on the vertical one.
        text: All its hyperparameters.
        values: One per quantity, means over the seeds; None where there is none.
        unfinished: Runs that diverged or failed.
    """

    x: int
    y: int
    text: str
    values: tuple[float | None, ...]
    feasible: bool
    useful: bool
    best: bool
    unfinished: int


@dataclass(frozen=True)
class Map:
    """A method's settings; ``levels`` are the ones of its runs."""

    label: str
    x: Hyperparameter
    y: Hyperparameter
    cells: list[Cell]
    quantities: list[Quantity]


@dataclass(frozen=True)
class Heatmap:
    """All that the picture shows: of each map a panel per quantity."""

    maps: list[Map]
    seeds: int
    notes: list[str] = field(default_factory=list)


def heatmap_data(document: Document, constraints: Sequence[str] | None = None) -> Heatmap:
    """The settings of each method with two swept hyperparameters, or of its widest two the best of the others.

    Args:
        document: Contract 3's object.
        constraints: Those with a panel; default: all where they are few, else how many are violated.

    Raises:
        CpdError: No method's settings differ in two hyperparameters.
    """
    found, single = in_several(document, "heatmap", "two")
    few = len(document["constraints"]) <= MOST_CONSTRAINTS
    names = list(document["constraints"]) if constraints is None and few else constraints
    notes = [] if names is None else left_out(document, names)
    notes += [f"the first {MOST_MAPS} of {len(found)}"] if len(found) > MOST_MAPS else []
    notes += [f"{f.label}: a cell shows the best over {_others(f)}" for f in found[:MOST_MAPS] if len(f.axes) > 2]
    notes += [f"not shown: {', '.join(single)}, of fewer than two"] if single else []
    maps = [_map(document, family, names) for family in found[:MOST_MAPS]]
    return Heatmap(maps, several_seeds(document), notes)


def _others(family: Family) -> str:
    return ", ".join(axis.name for axis in family.axes[2:])


def _map(document: Document, family: Family, names: Sequence[str] | None) -> Map:
    aim = objective(document)
    bounds = [BROKEN] if names is None else bounds_of(document, family, names)
    x, y = family.axes[:2]
    placed = [(x.place(row), y.place(row), row) for row in family.rows]
    together: dict[tuple[int, int], list[Line]] = {}
    for a, b, row in placed:
        if a is not None and b is not None:
            together.setdefault((a, b), []).append(row)
    rows = {at: min(some, key=lambda row: _rank(document, row, aim)) for at, some in together.items()}
    cells = [_cell(document, a, b, row, [*bounds, aim]) for (a, b), row in rows.items()]
    return Map(family.label, x, y, cells, [*bounds, aim])


def bounds_of(document: Document, family: Family, names: Sequence[str]) -> list[Quantity]:
    """The constraints as quantities: their levels are those of a method's settings, all else is the document's."""
    own: Document = {**document, "runs": [run for row in family.rows for run in row.runs]}
    return [replace(constraint(document, name), levels=constraint(own, name).levels) for name in names]


def _cell(document: Document, x: int, y: int, row: Line, shown: Sequence[Quantity]) -> Cell:
    return Cell(
        x,
        y,
        setting_text(row.setting),
        tuple(mean_of(document, row, quantity) for quantity in shown),
        row.all_feasible,
        is_useful(document, row),
        is_best(document, row),
        sum(row.unfinished().values()),
    )


def mean_of(document: Document, row: Line, quantity: Quantity) -> float | None:
    """A setting's mean of a quantity over its seeds, the number of violated constraints included."""
    if quantity is not BROKEN:
        return spread(quantity.of(run) for run in row.runs).mean
    names = document["constraints"]
    return spread(sum(broken_in(document, run, name) for name in names) for run in row.finished).mean


def _rank(document: Document, row: Line, aim: Quantity) -> tuple[bool, bool, bool, float, float]:
    """The best first, then what is useful, what is feasible, what violates little."""
    broken, height = mean_of(document, row, BROKEN), mean_of(document, row, aim)
    return (
        not is_best(document, row),
        not is_useful(document, row),
        not row.all_feasible,
        math.inf if broken is None else broken,
        math.inf if height is None else height,
    )
