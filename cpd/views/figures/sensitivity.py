"""Best objective against constraint level, with the slopes that the multiplier predicts and that levels measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from cpd.errors import CpdError
from cpd.outcome import Number
from cpd.verdict.document import Document
from cpd.views.figures.quantities import (
    Quantity,
    Spread,
    constraint,
    drawable,
    level_label,
    objective,
    several_seeds,
    spread,
)
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, best_line, components, entry_of, lines, setting_text, swept_levels

MOST_PANELS = 12


@dataclass(frozen=True)
class Solved:
    """A method's best feasible setting at a level.

    Attributes:
        level: Of the constraint.
        text: The setting.
        objective: Over its seeds.
        slope: ``dF*/dlevel`` as the mean multiplier predicts it; None for methods without multipliers.
        measured: As the setting's neighbouring levels measure it, the mean over its seeds; None where there are none.
        of_surrogate: Whether the multiplier is the price of a surrogate.
    """

    level: float
    text: str
    objective: Spread
    slope: float | None
    measured: float | None = None
    of_surrogate: bool = False


@dataclass(frozen=True)
class Sensitivity:
    """One line: a method, the other constraints' levels fixed; ``unsolved`` levels have nothing feasible."""

    label: str
    solved: list[Solved]
    unsolved: list[float]


Tangent = tuple[list[float], list[float]]
"""Levels and objectives of its two ends."""


class LevelPanel(NamedTuple):
    """One swept constraint and its lines."""

    quantity: Quantity
    found: list[Sensitivity]

    @property
    def reach(self) -> float:
        """Half the width of tangents: 0.4 of the least distance between levels, so that they stay apart."""
        levels = self.quantity.levels
        return 0.4 * min((b - a for a, b in pairwise(levels) if b > a), default=abs(levels[0]) or 1.0)

    @property
    def tangents(self) -> list[list[Tangent]]:
        """For each line, the tangents through its points that a multiplier predicts."""
        return [[t for point in line.solved if (t := tangent(point, self.reach))] for line in self.found]

    @property
    def measured(self) -> list[list[Tangent]]:
        """For each line, the tangents through its points with the slopes that are measured."""
        lines = [[(p, tangent(replace(p, slope=p.measured), self.reach)) for p in line.solved] for line in self.found]
        return [[t for _, t in line if t] for line in lines]


@dataclass(frozen=True)
class Levels:
    """All that the picture shows; one panel per swept constraint."""

    objective: Quantity
    panels: list[LevelPanel]
    seeds: int
    notes: list[str] = field(default_factory=list)


def levels_data(document: Document, constraints: Sequence[str] | None = None) -> Levels:
    """The best feasible setting of each method at each level, and the slope there.

    Args:
        document: Contract 3's object.
        constraints: Those with a panel, where their levels are swept; default: all of these.

    Raises:
        CpdError: No level is swept, or nothing is feasible.
    """
    rows = lines(document)
    every = swept_levels(rows)
    if not every:
        raise CpdError("no level is swept", place="--kind levels", hint="sweep one: --levels NAME=VALUE,VALUE")
    names = [name for name in every if constraints is None or name in constraints][:MOST_PANELS]
    if not names:
        swept = ", ".join(map(one_line, every))
        raise CpdError("their levels are not swept", place="--constraints", hint=f"those of {swept} are")
    shown = [LevelPanel(constraint(document, name), _lines_of(document, rows, name)) for name in names]
    if not any(line.solved for panel in shown for line in panel.found):
        raise CpdError("nothing is feasible at any level", place="--kind levels", hint="try --kind front")
    notes = [f"{len(names)} of {len(every)} swept constraints"] if len(names) < len(every) else []
    return Levels(objective(document), shown, several_seeds(document), notes)


def _lines_of(document: Document, rows: Sequence[Line], name: str) -> list[Sensitivity]:
    cells: dict[tuple[str, tuple[tuple[str, float], ...]], dict[float, list[Line]]] = {}
    for row in rows:
        others = tuple((n, level) for n, level in row.levels.items() if n != name and n in swept_levels(rows))
        cells.setdefault((row.method, others), {}).setdefault(row.levels[name], []).append(row)
    found = []
    for (method, others), by_level in cells.items():
        label = ", ".join([one_line(method), *(level_label(document, n, level) for n, level in others)])
        solved = [_solved(document, own, name) for _, own in sorted(by_level.items())]
        unsolved = [drawable(level) or 0.0 for level, s in zip(sorted(by_level), solved, strict=True) if s is None]
        found.append(Sensitivity(label, [s for s in solved if s is not None], unsolved))
    return found


def _solved(document: Document, rows: Sequence[Line], name: str) -> Solved | None:
    aim = objective(document)
    row = next((row for row in rows if (entry := entry_of(document, row)) and best_line([row], entry)), None)
    if row is None:
        return None
    multipliers = [run["constraints"][name]["multiplier"] for run in row.runs]
    return Solved(
        drawable(row.levels[name]) or 0.0,
        setting_text(row.setting),
        spread(aim.of(run) for run in row.runs),
        slope(multipliers, document["constraints"][name]["sense"]),
        spread(s["measured"] for run in row.runs if (s := run["constraints"][name].get("sensitivity"))).mean,
        any(kkt["of"] == "surrogate" for run in row.runs if (kkt := run.get("kkt"))),
    )


def slope(multipliers: Sequence[Number], sense: str) -> float | None:
    """``dF*/dlevel``: a raised level loosens ``<=`` and ``==`` (in the multiplier's sign) and tightens ``>=``.

    The Lagrangian is ``f + lambda (value - level)``, or ``f + lambda (level - value)`` for ``>=``, so its derivative
    in the level is minus or plus lambda. A vector's components share their level: their multipliers add up.
    """
    mean = drawable(spread(map(_total, multipliers)).mean)
    if mean is None:
        return None
    return mean if sense == ">=" else -mean


def _total(multiplier: Number) -> float | None:
    """The sum of a multiplier's components, as far as axes reach; None where one is missing."""
    known = [shown for part in components(multiplier) if (shown := drawable(part)) is not None]
    return drawable(math.fsum(known)) if len(known) == len(components(multiplier)) else None


def tangent(point: Solved, reach: float) -> Tangent | None:
    """The tangent through a point, ``reach`` to either side; None where there is no multiplier."""
    if point.slope is None or point.objective.mean is None:
        return None
    x = [point.level - reach, point.level + reach]
    return x, [point.objective.mean + point.slope * (at - point.level) for at in x]
