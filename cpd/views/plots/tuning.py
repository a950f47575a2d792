"""Constraint values, objective and metrics against the swept hyperparameter: the paper's Figure 2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cpd.views.figures.looks import look
from cpd.views.figures.panel_axes import tuning_axis
from cpd.views.figures.tuning import Series, Setting, Tuning
from cpd.views.plots.axes import BEYOND, arrows, crosses, inside, name_lowest, quantity_axis
from cpd.views.plots.log_axis import draw_log_axis
from cpd.views.plots.sheet import Sheet
from cpd.views.plots.style import GREY, Key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLENTY, CROWD = 40, 150
"""Settings of a line from which on its points are small, and tiny."""


def draw_tuning(data: Tuning, sheet: Sheet) -> None:
    """Draw one panel per quantity over a shared axis; on a logarithmic one 0 stands apart at its left."""
    axes = sheet.panels(len(data.quantities))
    beyond = [_draw_panel(ax, data, place) for place, ax in enumerate(axes)]
    name_lowest(axes, data.swept)
    sheet.finish(_keys(data, any(beyond)), data.notes, data.seeds)


def _draw_panel(ax: Axes, data: Tuning, place: int) -> bool:
    """Draw a quantity; whether some of it lies beyond the axis."""
    quantity_axis(ax, tuning_axis(data, place))
    draw_log_axis(ax, data.axis)
    _draw_others(ax, data, place)
    beyond = [_draw_series(ax, data, line, place, number) for number, line in enumerate(data.series)]
    for number, line in enumerate(data.series):
        crosses(ax, [data.axis.place(s.x) for s in line.settings if s.unfinished], look(number).color)
    return any(beyond)


def _pieces(data: Tuning, line: Series) -> Iterator[list[Setting]]:
    """What is joined: the point at 0 stands apart."""
    zero = data.axis.zero is not None
    yield [s for s in line.settings if s.x > 0 or not zero]
    yield [s for s in line.settings if s.x <= 0 and zero]


def _draw_others(ax: Axes, data: Tuning, place: int) -> None:
    """Draw the lines that are not among the best, all of them as one."""
    x: list[float] = []
    y: list[float] = []
    for line in data.others:
        for piece in _pieces(data, line):
            x += [*(data.axis.place(s.x) for s in piece), math.nan]
            y += [*inside(ax, _means(piece, place)), math.nan]
    many = len(x) > CROWD
    ax.plot(x, y, ".", linestyle="-", color=GREY, linewidth=0.6, markersize=1.5, zorder=1.5, rasterized=many)


def _means(settings: Sequence[Setting], place: int) -> list[float]:
    means = [s.values[place].mean for s in settings]
    return [math.nan if mean is None else mean for mean in means]


def _draw_series(ax: Axes, data: Tuning, line: Series, place: int, number: int) -> bool:
    """Draw a line; whether some of it lies beyond the axis."""
    style = look(number)
    for piece in _pieces(data, line):
        x, means = [data.axis.place(s.x) for s in piece], _means(piece, place)
        y = inside(ax, means)
        ax.plot(x, y, color=style.color, linestyle=style.dash, linewidth=1, zorder=2)
        if data.seeds > 1:
            low, high = _bars(ax, [s.values[place].deviation for s in piece], means)
            ax.errorbar(x, y, (low, high), fmt="none", ecolor=style.color, elinewidth=0.8, zorder=2)
    _draw_points(ax, data, line, place, number)
    x, y = [data.axis.place(s.x) for s in line.settings], _means(line.settings, place)
    return arrows(ax, x, y, style.color)


def _bars(ax: Axes, deviations: Sequence[float], means: Sequence[float]) -> tuple[list[float], list[float]]:
    """Error bars down and up, as far as the axis goes."""
    at = inside(ax, means)
    ends = [inside(ax, [mean + side * d for mean, d in zip(means, deviations, strict=True)]) for side in (-1, 1)]
    return [abs(y - end) for y, end in zip(at, ends[0], strict=True)], [
        abs(end - y) for y, end in zip(at, ends[1], strict=True)
    ]


def _draw_points(ax: Axes, data: Tuning, line: Series, place: int, number: int) -> None:
    """Filled points are feasible; the best has a ring."""
    style = look(number)
    count = len(line.settings)
    size = 3.5 if count <= PLENTY else 2.4 if count <= CROWD else 1.6
    low, high = sorted(ax.get_ylim())
    found = [(data.axis.place(s.x), y, s) for s, y in zip(line.settings, _means(line.settings, place), strict=True)]
    shown = [(x, y, s) for x, y, s in found if low <= y <= high]
    for feasible, face in ((True, style.color), (False, "white")):
        own = [(x, y) for x, y, s in shown if s.feasible is feasible]
        ax.plot(
            [x for x, _ in own],
            [y for _, y in own],
            style.marker,
            color=style.color,
            markerfacecolor=face,
            markersize=size,
            markeredgewidth=0.9 if count <= PLENTY else 0.5,
            zorder=3,
        )
    rings = [(x, inside(ax, [y])[0]) for x, y, s in found if s.best and not math.isnan(y)]
    ax.plot(
        [x for x, _ in rings],
        [y for _, y in rings],
        "o",
        color="black",
        markerfacecolor="none",
        markersize=8,
        markeredgewidth=0.9,
        zorder=4,
    )


def _keys(data: Tuning, beyond: bool) -> list[Key]:
    settings = [s for line in data.series for s in line.settings]
    count = len(data.others)
    keys = [Key(line.label, *look(number)) for number, line in enumerate(data.series)]
    keys += [Key(f"{count} other line{'s' if count > 1 else ''}", GREY, ".", "-")] if count else []
    keys += [Key("feasible region", "", "region", "")] if any(q.feasible_region() for q in data.quantities) else []
    open_points = any(not s.feasible and value.mean is not None for s in settings for value in s.values)
    keys += [Key("not feasible", "black", "o", "", filled=False)] if open_points else []
    keys += [Key("best of its method", "black", "ring", "")] if any(s.best for s in settings) else []
    keys += [Key("diverged or failed", "black", "x", "")] if any(s.unfinished for s in settings) else []
    keys += [BEYOND] if beyond else []
    return keys
