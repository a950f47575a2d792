"""Objective against constraint value, every run a point, with the non-dominated front: the paper's Figure 3."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from cpd.verdict.averages import mean
from cpd.views.figures.front import Front, Panel, Trained
from cpd.views.figures.looks import look, wrapped
from cpd.views.figures.panel_axes import front_axes
from cpd.views.plots.axes import BEYOND, arrows, inside, quantity_axis
from cpd.views.plots.sheet import FEW, MANY, Sheet
from cpd.views.plots.style import Key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT, SMALL_HEIGHT = 2.4, 1.9
"""Of a panel in inches, and of one in three columns."""

MOST_OF_FEW = 4
"""Panels in two columns."""

OBJECTIVE_LETTERS = 24
"""Of a line of the objective's name, that is as long as a panel is high."""

PLENTY, CROWD = 300, 2000
"""Runs from which on points are small, and tiny."""


def draw_front(data: Front, sheet: Sheet) -> None:
    """Draw one panel per constraint, the objective upwards."""
    count = len(data.panels)
    columns = min(count, FEW if count <= MOST_OF_FEW else MANY)
    grid = sheet.grid(count, columns, HEIGHT if columns <= FEW else SMALL_HEIGHT)
    beyond = [_draw_panel(ax, data, panel) for panel, ax in zip(data.panels, grid, strict=True)]
    for place, ax in enumerate(grid):
        if place % columns == 0 or columns <= FEW:
            ax.set_ylabel("\n".join(wrapped(data.objective.label, OBJECTIVE_LETTERS)))
    missing = (
        [f"not shown: {data.missing} run{'s' if data.missing > 1 else ''} without numbers"] if data.missing else []
    )
    sheet.finish(_keys(data, any(beyond)), [*data.notes, *missing])


def _draw_panel(ax: Axes, data: Front, panel: Panel) -> bool:
    """Draw a constraint's runs; whether some of them lie beyond the axes."""
    upright, across = front_axes(data, panel)
    quantity_axis(ax, upright, named=False)
    quantity_axis(ax, across, vertical=False)
    where = "pre" if panel.quantity.sense == ">=" else "post"
    x, y = inside(ax, [p[0] for p in panel.front], vertical=False), inside(ax, [p[1] for p in panel.front])
    ax.step(x, y, where=where, color="#777777", linewidth=0.8, zorder=1.5)  # type: ignore[arg-type]
    beyond = [_draw_method(ax, data, panel, number) for number in range(len(data.methods))]
    best = _best_settings(panel)
    x, y = (
        inside(ax, [mean([place(run) for run in runs]) for runs in best], vertical=vertical)
        for vertical, place in ((False, attrgetter("x")), (True, attrgetter("y")))
    )
    ax.plot(x, y, "o", color="black", markerfacecolor="none", markersize=8.5, zorder=5)
    return any(beyond)


def _best_settings(panel: Panel) -> list[list[Trained]]:
    """The runs of each best setting: one ring for all of its seeds, at their mean."""
    found: list[list[Trained]] = []
    for run in (run for run in panel.runs if run.best):
        same = found and (found[-1][0].method, found[-1][0].text) == (run.method, run.text)
        if same and run.seed not in [other.seed for other in found[-1]]:
            found[-1].append(run)
        else:
            found.append([run])
    return found


def _draw_method(ax: Axes, data: Front, panel: Panel, number: int) -> bool:
    """Draw a method's runs, the feasible ones filled."""
    style = look(number)
    own = [run for run in panel.runs if run.method == data.methods[number]]
    count = len(panel.runs)
    size = 4 if count <= PLENTY else 2.5 if count <= CROWD else 1.5
    for feasible, face in ((False, "white"), (True, style.color)):
        points = [run for run in own if run.feasible is feasible and _is_inside(ax, run)]
        ax.plot(
            [run.x for run in points],
            [run.y for run in points],
            style.marker,
            color=style.color,
            markerfacecolor=face,
            markersize=size,
            markeredgewidth=0.9 if count <= PLENTY else 0.4,
            zorder=3 + feasible,
            rasterized=count > CROWD,
        )
    return arrows(ax, [run.x for run in own], [run.y for run in own], style.color)


def _is_inside(ax: Axes, run: Trained) -> bool:
    return inside(ax, [run.x], vertical=False) == [run.x] and inside(ax, [run.y]) == [run.y]


def _keys(data: Front, beyond: bool) -> list[Key]:
    runs = [run for panel in data.panels for run in panel.runs]
    keys = [Key(method, *look(number)[:2], "") for number, method in enumerate(data.methods)]
    keys += [Key("non-dominated", "#777777", "", "-")] if any(len(p.front) > 1 for p in data.panels) else []
    keys += [Key("feasible region", "", "region", "")] if any(p.quantity.feasible_region() for p in data.panels) else []
    keys += [Key("not feasible", "black", "o", "", filled=False)] if any(not run.feasible for run in runs) else []
    keys += [Key("best of its method", "black", "ring", "")] if any(run.best for run in runs) else []
    keys += [BEYOND] if beyond else []
    return keys
