"""Best objective against constraint level, with the slopes that the multiplier predicts and that levels measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cpd.views.figures.looks import COLORS, Look, look
from cpd.views.figures.panel_axes import levels_axis
from cpd.views.figures.quantities import (
    Quantity,
)
from cpd.views.figures.sensitivity import LevelPanel, Levels, Sensitivity, Tangent
from cpd.views.plots.axes import BEYOND, arrows, crosses, inside, name_axis, percent_ticks, quantity_axis
from cpd.views.plots.sheet import MANY, Sheet
from cpd.views.plots.style import GREY, Key
from cpd.views.printable import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 2.0

MOST_LINES = len(COLORS)
"""Lines that have a look of their own, of all panels together; the others are grey."""

MEASURED = "black"
"""Of measured slopes."""


def draw_levels(data: Levels, sheet: Sheet) -> None:
    """Draw one panel per swept constraint: points joined, and a short tangent through each."""
    count = len(data.panels)
    looks = _looks(data)
    beyond = []
    for panel, ax in zip(data.panels, sheet.grid(count, min(count, MANY), HEIGHT), strict=True):
        beyond.append(_draw_panel(ax, data, panel, looks))
    sheet.finish(_keys(data, looks, any(beyond)), data.notes, data.seeds)


def _looks(data: Levels) -> dict[str, Look]:
    """The looks of the lines that are coloured, by their labels: where there are many, some of each panel."""
    each = max(MOST_LINES // len(data.panels), 1)
    every = [list(dict.fromkeys(line.label for line in panel.found)) for panel in data.panels]
    labels = dict.fromkeys(label for own in every for label in own)
    if len(labels) > MOST_LINES:
        labels = dict.fromkeys(own[k * len(own) // each] for own in every for k in range(min(each, len(own))))
    return {label: look(k) for k, label in enumerate(labels)}


def _draw_panel(ax: Axes, data: Levels, panel: LevelPanel, looks: Mapping[str, Look]) -> bool:
    """Draw a constraint's lines; whether some points lie beyond the axis."""
    quantity_axis(ax, levels_axis(data, panel), named=False)
    name_axis(ax, data.objective.label)
    _level_axis(ax, panel.quantity, panel.reach)
    beyond = []
    for k, (line, own) in enumerate(zip(panel.found, panel.tangents, strict=True)):
        if line.label not in looks:
            x, y = [s.level for s in line.solved], [s.objective.mean or 0.0 for s in line.solved]
            ax.plot(x, inside(ax, y), ".", linestyle=":", color=GREY, linewidth=0.7, markersize=2, zorder=1.5)
            continue
        beyond.append(_draw_line(ax, line, own, looks[line.label], data.seeds))
        for levels, heights in panel.measured[k]:
            ax.plot(levels, heights, color=MEASURED, linestyle="--", linewidth=0.8, zorder=4)
    return any(beyond)


def _draw_line(ax: Axes, line: Sensitivity, tangents: Sequence[Tangent], style: Look, seeds: int) -> bool:
    x, values = [s.level for s in line.solved], [s.objective.mean or 0.0 for s in line.solved]
    y = inside(ax, values)
    ax.plot(x, y, style.marker, linestyle=":", linewidth=0.7, color=style.color, markersize=4, zorder=3)
    if seeds > 1:
        deviations = [s.objective.deviation for s in line.solved]
        ax.errorbar(x, y, deviations, fmt="none", ecolor=style.color, elinewidth=0.8, zorder=2)
    for levels, heights in tangents:
        ax.plot(levels, heights, color=style.color, linewidth=1.6, alpha=0.6, zorder=2)
    crosses(ax, line.unsolved, style.color)
    return arrows(ax, x, values, style.color)


def _level_axis(ax: Axes, quantity: Quantity, far: float) -> None:
    from matplotlib.ticker import MaxNLocator

    unit = " (%)" if quantity.share else ""
    name_axis(ax, f"level of {one_line(quantity.name)}{unit}", vertical=False)
    ax.set_xlim(quantity.levels[0] - 1.6 * far, quantity.levels[-1] + 1.6 * far)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if quantity.share:
        percent_ticks(ax.xaxis)


def _keys(data: Levels, looks: Mapping[str, Look], beyond: bool) -> list[Key]:
    found = [line for panel in data.panels for line in panel.found]
    keys = [Key(label, style.color, style.marker, ":") for label, style in looks.items()]
    others = len({line.label for line in found} - looks.keys())
    keys += [Key(f"{others} other line{'s' if others > 1 else ''}", GREY, ".", ":")] if others else []
    sloped = any(s.slope is not None for line in found for s in line.solved)
    priced = "slope that the multiplier predicts"
    if any(s.of_surrogate for line in found for s in line.solved):
        priced = "the multiplier, the price of the surrogate's level"
    keys += [Key(priced, "#555555", "", "-")] if sloped else []
    measured = any(s.measured is not None for line in found for s in line.solved)
    keys += [Key("slope measured between levels", MEASURED, "", "--")] if measured else []
    keys += [Key("nothing feasible", "black", "x", "")] if any(line.unsolved for line in found) else []
    keys += [BEYOND] if beyond else []
    return keys
