"""Best objective against constraint level, with the slopes that the multiplier predicts and that levels measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from cpd.errors import CpdError
from cpd.outcome import Number
from cpd.verdict.document import Document
from cpd.views.plots.axes import crosses, name_axis, percent_ticks, quantity_axis, quantity_values
from cpd.views.plots.quantities import (
    Quantity,
    Spread,
    constraint,
    drawable,
    level_label,
    objective,
    several_seeds,
    spread,
)
from cpd.views.plots.style import COLUMN, PAGE, Key, Look, look, note, put_legend
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, best_line, components, entry_of, lines, setting_text, swept_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MEASURED = "black"
"""Of measured slopes."""


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


def levels_data(document: Document) -> Levels:
    """The best feasible setting of each method at each level, and the slope there.

    Raises:
        CpdError: No level is swept, or nothing is feasible.
    """
    rows = lines(document)
    names = swept_levels(rows)
    if not names:
        raise CpdError("no level is swept", place="--kind levels", hint="sweep one: --levels NAME=VALUE,VALUE")
    shown = [LevelPanel(constraint(document, name), _lines_of(document, rows, name)) for name in names]
    if not any(line.solved for panel in shown for line in panel.found):
        raise CpdError("nothing is feasible at any level", place="--kind levels", hint="try --kind front")
    return Levels(objective(document), shown, several_seeds(document))


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


def draw_levels(data: Levels, figure: Figure) -> None:
    """Draw one panel per swept constraint: points joined, and a short tangent through each."""
    count = len(data.panels)
    figure.set_size_inches(COLUMN if count == 1 else PAGE, 2.7)
    grid = figure.subplots(1, count, squeeze=False)[0]
    for panel, ax in zip(data.panels, grid, strict=True):
        _draw_panel(ax, data, panel)
    put_legend(figure, _keys(data))
    note(figure, [], data.seeds)


def tangent(point: Solved, reach: float) -> Tangent | None:
    """The tangent through a point, ``reach`` to either side; None where there is no multiplier."""
    if point.slope is None or point.objective.mean is None:
        return None
    x = [point.level - reach, point.level + reach]
    return x, [point.objective.mean + point.slope * (at - point.level) for at in x]


def _draw_panel(ax: Axes, data: Levels, panel: LevelPanel) -> None:
    ends = [y for own in (*panel.tangents, *panel.measured) for _, heights in own for y in heights]
    points = quantity_values(s.objective for line in panel.found for s in line.solved)
    quantity_axis(ax, data.objective, [*ends, *points])
    _level_axis(ax, panel.quantity, panel.reach)
    for k, (line, own) in enumerate(zip(panel.found, panel.tangents, strict=True)):
        _draw_line(ax, line, own, look(k), data.seeds)
        for levels, heights in panel.measured[k]:
            ax.plot(levels, heights, color=MEASURED, linestyle="--", linewidth=0.8, zorder=4)


def _draw_line(ax: Axes, line: Sensitivity, tangents: Sequence[Tangent], style: Look, seeds: int) -> None:
    x, y = [s.level for s in line.solved], [s.objective.mean or 0.0 for s in line.solved]
    ax.plot(x, y, style.marker, linestyle=":", linewidth=0.7, color=style.color, markersize=4, zorder=3)
    if seeds > 1:
        deviations = [s.objective.deviation for s in line.solved]
        ax.errorbar(x, y, deviations, fmt="none", ecolor=style.color, elinewidth=0.8, zorder=2)
    for levels, heights in tangents:
        ax.plot(levels, heights, color=style.color, linewidth=1.6, alpha=0.6, zorder=2)
    crosses(ax, line.unsolved, style.color)


def _level_axis(ax: Axes, quantity: Quantity, far: float) -> None:
    from matplotlib.ticker import MaxNLocator

    unit = " (%)" if quantity.share else ""
    name_axis(ax, f"level of {one_line(quantity.name)}{unit}", vertical=False)
    ax.set_xlim(quantity.levels[0] - 1.6 * far, quantity.levels[-1] + 1.6 * far)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if quantity.share:
        percent_ticks(ax.xaxis)


def _keys(data: Levels) -> list[Key]:
    found = [line for panel in data.panels for line in panel.found]
    labels = list(dict.fromkeys(line.label for line in found))
    keys = [Key(label, *look(k)[:2], ":") for k, label in enumerate(labels)]
    sloped = any(s.slope is not None for line in found for s in line.solved)
    priced = "slope that the multiplier predicts"
    if any(s.of_surrogate for line in found for s in line.solved):
        priced = "the multiplier, the price of the surrogate's level"
    keys += [Key(priced, "#555555", "", "-")] if sloped else []
    measured = any(s.measured is not None for line in found for s in line.solved)
    keys += [Key("slope measured between levels", MEASURED, "", "--")] if measured else []
    keys += [Key("nothing feasible", "black", "x", "")] if any(line.unsolved for line in found) else []
    return keys
