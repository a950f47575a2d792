"""Objective, violation and multiplier of chosen runs against the step: oscillation, damping and overshoot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cpd.views.figures.courses import Row, course_rows
from cpd.views.figures.dynamics import Dynamics
from cpd.views.figures.looks import look
from cpd.views.plots.axes import BEYOND, arrows, inside, log_scale, name_axis, name_lowest, name_panel, percent_ticks
from cpd.views.plots.sheet import FEW, HEADED, MANY, PANEL_HEIGHT, SMALL_HEIGHT, Sheet
from cpd.views.plots.style import FEASIBLE, SHADE, Key
from cpd.views.printable import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_dynamics(data: Dynamics, sheet: Sheet) -> None:
    """Draw the objective above the violations above the multipliers, constraints side by side in rows that wrap."""
    first, pairs = _grid(data, sheet)
    rows = {(row.kind, row.of): row for row in course_rows(data)}
    several = len(data.constraints) > 1
    beyond = [_draw_objective(first, data, rows["objective", ""], several)]
    for quantity, (violation, multiplier) in zip(data.constraints, pairs, strict=True):
        beyond.append(_draw_violation(violation, data, rows["violation", quantity.name], several))
        if multiplier is not None:
            beyond.append(_draw_multiplier(multiplier, data, rows["multiplier", quantity.name]))
    name_lowest(sheet.figure.axes, "step")
    total = len(data.courses) + data.left_out
    runs = [f"{len(data.courses)} of {total} runs"] if data.left_out else []
    sheet.finish(_keys(data, any(beyond)), [*runs, *data.notes])


def _grid(data: Dynamics, sheet: Sheet) -> tuple[Axes, list[tuple[Axes, Axes | None]]]:
    """The panel of the objective, and those of each constraint's violation and multiplier, where there are any."""
    count, deep = len(data.constraints), 1 + any(course.multipliers for course in data.courses)
    if count == 1:
        columns = 1 if sheet.style.alone > 1 else 1 + deep
        cells = sheet.grid(1 + deep, columns, PANEL_HEIGHT, sharex=True)
        return cells[0], [(cells[1], cells[2] if deep > 1 else None)]
    if deep == 1:
        cells = sheet.grid(1 + count, min(1 + count, MANY), SMALL_HEIGHT + HEADED, sharex=True)
        return cells[0], [(cell, None) for cell in cells[1:]]
    columns = FEW if count == FEW * FEW else min(count, MANY)
    cells = sheet.cells(1 + 2 * math.ceil(count / columns), columns, SMALL_HEIGHT + HEADED, sharex=True)
    places = [(1 + 2 * (k // columns)) * columns + k % columns for k in range(count)]
    used = {0, *places, *(place + columns for place in places)}
    for place, cell in enumerate(cells):
        if place not in used:
            cell.remove()
    return cells[0], [(cells[place], cells[place + columns]) for place in places]


def _draw_objective(ax: Axes, data: Dynamics, row: Row, several: bool) -> bool:
    """Draw the objective; whether some of it lies beyond the axis, and so on."""
    (name_panel if several else name_axis)(ax, data.objective.label)
    _scale(ax, row)
    return _draw_courses(ax, data, row)


def _draw_violation(ax: Axes, data: Dynamics, row: Row, several: bool) -> bool:
    if several:
        name_panel(ax, one_line(row.of))
    name_axis(ax, "violation (%)" if row.quantity.share else "violation")
    _scale(ax, row)
    if row.axis.region is not None:
        ax.axhspan(*row.axis.region, color=FEASIBLE, alpha=SHADE, linewidth=0, zorder=0)
    ax.axhline(0, color="#333333", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    if row.quantity.share:
        percent_ticks(ax.yaxis)
    return _draw_courses(ax, data, row)


def _draw_multiplier(ax: Axes, data: Dynamics, row: Row) -> bool:
    name_axis(ax, "multiplier")
    _scale(ax, row)
    return _draw_courses(ax, data, row)


def _scale(ax: Axes, row: Row) -> None:
    if row.axis.logarithmic:
        log_scale(ax, row.axis.ends)
    else:
        ax.set_ylim(*row.axis.ends)


def _draw_courses(ax: Axes, data: Dynamics, row: Row) -> bool:
    """Draw the lines, and what was measured along the way as rings over them."""
    beyond = []
    for k, (course, points) in enumerate(zip(data.courses, row.lines, strict=True)):
        # A step that shows nothing of a constraint is a gap in what was recorded: the line goes over it.
        known = [(step, y) for step, y in zip(course.steps, points, strict=False) if y is not None]
        if known:
            beyond.append(_draw_course(ax, known, k))
    for k, (steps, points) in enumerate(row.measured):
        if points:
            y = [math.nan if value is None else value for value in points]
            style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.2, "markerfacecolor": "white"}
            ax.plot(steps, inside(ax, y), color=look(k).color, markeredgewidth=0.8, zorder=20 + k, **style)
    return any(beyond)


def _draw_course(ax: Axes, known: Sequence[tuple[int, float]], k: int) -> bool:
    style = look(k)
    steps, values = [step for step, _ in known], [y for _, y in known]
    ax.plot(
        steps,
        inside(ax, values),
        color=style.color,
        linestyle=style.dash,
        linewidth=0.9,
        marker=style.marker,
        markersize=2.8,
        markevery=_every(len(known), k),
        zorder=2 + k,
    )
    return _leaves(ax, steps, values, style.color)


def _leaves(ax: Axes, steps: Sequence[int], values: Sequence[float], color: str) -> bool:
    """Put an arrow where a line leaves the axis, not at each of its points that lie beyond."""
    low, high = sorted(ax.get_ylim())
    side = [1 if value > high else -1 if value < low else 0 for value in values]
    at = [k for k, now in enumerate(side) if now and (k == 0 or side[k - 1] != now)]
    if at:
        arrows(ax, [steps[k] for k in at], [values[k] for k in at], color)
    return bool(at)


def _every(points: int, number: int) -> tuple[int, int]:
    """Where a line has markers: about five, not at the same steps as its neighbours'."""
    stride = max(points // 5, 1)
    return (min((2 * number + 1) * stride // 8, points - 1), stride)


def _keys(data: Dynamics, beyond: bool) -> list[Key]:
    said = [f" ({c.diagnosis.replace('_', ' ')})" if c.diagnosis else "" for c in data.courses]
    keys = [Key(c.label + more, *look(k)) for k, (c, more) in enumerate(zip(data.courses, said, strict=True))]
    if any(course.measured for course in data.courses):
        keys.append(Key(f"measured on {data.measured_on}", "#444444", "o", "", filled=False))
    return [*keys, Key("feasible region", "", "region", ""), *([BEYOND] if beyond else [])]
