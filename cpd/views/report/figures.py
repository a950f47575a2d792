"""The pictures again, to be touched: their data as panels, every point with its setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from cpd.errors import CpdError
from cpd.verdict.document import Document, Recordings
from cpd.verdict.judged import judged_document
from cpd.views.figures.axis import thinned
from cpd.views.figures.bisection import Bisection, bisection_data
from cpd.views.figures.courses import Measured, Row, course_rows
from cpd.views.figures.dynamics import Course, Dynamics, Points, dynamics_data
from cpd.views.figures.front import Front, Trained, front_data
from cpd.views.figures.front import Panel as FrontPanel
from cpd.views.figures.log_axis import LogAxis
from cpd.views.figures.panel_axes import bisection_axis, front_axes, levels_axis, tuning_axis
from cpd.views.figures.quantities import Quantity
from cpd.views.figures.sensitivity import LevelPanel, Levels, Sensitivity, Tangent, levels_data
from cpd.views.figures.tuning import Setting, Tuning, tuning_data
from cpd.views.report.panels import (
    SYMBOLS,
    Figure,
    Panel,
    Series,
    figure,
    height_of,
    line_of,
    log_layout,
    plotly_text,
    rounded,
)
from cpd.views.tables.numbers import number

MOST_COURSES = 7
"""Runs whose courses a report carries: each is hundreds of numbers."""

MOST_POINTS = 40_000
"""Points of a figure of all runs, over all its panels: of more, each panel has fewer, and the page opens soon."""

FEWEST_POINTS = 500
"""Points of such a panel, however many panels there are."""

STEPS = {"exponentformat": "none", "separatethousands": True}

SIZES = ((60, 7), (200, 5), (math.inf, 3.5))
"""Pixels of a point where a line, or a cloud, has up to so many."""

LARGE = 13
"""Of the best of its method."""


def figures(document: Document, curves: Recordings) -> list[Figure]:
    """Every kind of picture that a document has data for, numbers at six digits."""
    judged, every = judged_document(document), list(document["constraints"])
    makers: list[Callable[[], Figure]] = [
        lambda: bisection_figure(bisection_data(judged)),
        lambda: tuning_figure(tuning_data(judged, every)),
        lambda: front_figure(front_data(judged, every)),
        lambda: levels_figure(levels_data(judged)),
        lambda: dynamics_figure(dynamics_data(document, curves, most=MOST_COURSES, constraints=every)),
    ]
    found = []
    for maker in makers:
        try:
            found.append(rounded(maker()))
        except CpdError:
            continue  # this document has no such picture: no search, no swept level, no curves
    return found


def tuning_figure(data: Tuning) -> Figure:
    """Constraint values, objective and metrics against the swept hyperparameter."""
    lines = [line_of(k, line.label) for k, line in enumerate(data.series)]
    if data.others:
        lines.append({"name": f"{len(data.others)} other lines", "color": "--others", "dash": "solid", "symbol": ""})
    panels = [_tuning_panel(data, place) for place in range(len(data.quantities))]
    seeds = f"Each point is a mean over {data.seeds} seeds, its bar the standard deviation. " if data.seeds > 1 else ""
    notes = f" Shown: {'; '.join(data.notes)}." if data.notes else ""
    caption = f"{seeds}Open points are not feasible; large ones are the best of their method.{notes}"
    return figure("tuning", "Tuning", caption, lines, panels)


def _tuning_panel(data: Tuning, place: int) -> Panel:
    panel = Panel(tuning_axis(data, place), data.swept, log_layout(data.axis), height_of(len(data.quantities)))
    if data.others:
        panel.add(len(data.series), _others_trace(data, place))
    for k, line in enumerate(data.series):
        panel.add(k, _tuning_trace(data, k, line.settings, place))
    return panel


def _others_trace(data: Tuning, place: int) -> dict[str, Any]:
    """The lines that are not among the best, as one with gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    for line in data.others:
        x += [*(data.axis.place(s.x) for s in line.settings), None]
        y += [*(s.values[place].mean for s in line.settings), None]
    return {"x": x, "y": y, "mode": "lines", "line": {"width": 0.8}}


def _tuning_trace(data: Tuning, k: int, settings: Sequence[Setting], place: int) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "x": [data.axis.place(s.x) for s in settings],
        "y": [s.values[place].mean for s in settings],
        "mode": "lines+markers",
        "marker": _marker(k, settings),
        "lead": [_tuning_lead(data.series[k].label, s) for s in settings],
    }
    if data.seeds > 1:
        trace["error_y"] = {"array": [s.values[place].deviation for s in settings]}
    return trace


def _tuning_lead(label: str, setting: Setting) -> str:
    unfinished = [f"{setting.unfinished} diverged or failed"] if setting.unfinished else []
    return plotly_text(label, setting.text, _verdict(setting), *unfinished)


def _verdict(point: Setting | Trained) -> str:
    return "best of its method" if point.best else "feasible" if point.feasible else "not feasible"


def _marker(k: int, points: Sequence[Setting] | Sequence[Trained]) -> dict[str, Any]:
    """Open where it is not feasible, large where it is the best."""
    symbol = SYMBOLS[k % len(SYMBOLS)]
    small = next(size for most, size in SIZES if len(points) <= most)
    return {
        "symbol": [symbol if p.feasible else f"{symbol}-open" for p in points],
        "size": [LARGE if p.best else small for p in points],
    }


def bisection_figure(data: Bisection) -> Figure:
    """The constraint's value against the coefficient, the iterations numbered."""
    shown = [(k, data.axis.place(x), y) for k, x, y in data.iterations if y is not None]
    layout = log_layout(data.axis)
    axis = bisection_axis(data)
    panel = Panel(axis, data.name, layout, height_of(1))
    trace = {
        "x": [x for _, x, _ in shown],
        "y": [y for _, _, y in shown],
        "mode": "lines+markers",
        "line": {"width": 1, "dash": "dot"},
        "marker": {"symbol": ["circle" if k == data.found else "circle-open" for k, _, _ in shown], "size": 10},
        "lead": [plotly_text(f"iteration {k}", f"{data.name} {number(x, 6)}") for k, x, _ in shown],
    }
    panel.add(0, trace)
    for k, x, y in shown:
        panel.note(str(k), _on_scale(data.axis, x), axis.inside(y))
    caption = f"Outcome: {data.outcome.replace('_', ' ')}. Numbers are iterations."
    return figure("bisection", "Search", caption, [line_of(0, "iterations")], [panel])


def _on_scale(axis: LogAxis, x: float) -> float:
    """Where notes count a value: at its power of ten on a logarithmic axis."""
    return x if axis.linear else math.log10(x)


def front_figure(data: Front) -> Figure:
    """Objective against constraint value, every run a point, with the non-dominated front."""
    most = max(MOST_POINTS // len(data.panels), FEWEST_POINTS)
    panels = [_front_panel(data, panel, most) for panel in data.panels]
    front: Series = {"name": "non-dominated", "color": "--front", "dash": "solid", "symbol": ""}
    lines = [*(line_of(k, method) for k, method in enumerate(data.methods)), front]
    total = max(len(panel.runs) for panel in data.panels)
    every = f"{most} of {total} runs are points, the best and the non-dominated ones among them"
    said = "Every run is a point" if total <= most else every
    missing = f" Not shown: {data.missing} without numbers." if data.missing else ""
    caption = f"{said}; open points are not feasible, large ones are the best of their method.{missing}"
    return figure("front", "Trade-off", caption, lines, panels)


def _front_panel(data: Front, own: FrontPanel, most: int) -> Panel:
    runs = _telling(own, most)
    height = height_of(len(data.panels)) + 20
    axis, across = front_axes(data, own)
    panel = Panel(axis, "", across, height)
    shape = "vh" if own.quantity.sense == ">=" else "hv"
    x, y = [across.inside(p[0]) for p in own.front], [axis.inside(p[1]) for p in own.front]
    panel.add(len(data.methods), {"x": x, "y": y, "mode": "lines", "line": {"shape": shape, "width": 1}})
    for k, method in enumerate(data.methods):
        panel.add(k, _front_trace(k, [run for run in runs if run.method == method]))
    return panel


def _telling(panel: FrontPanel, most: int) -> list[Trained]:
    """The runs that a panel shows: those on the front, the best, and others evenly spread."""
    runs, front = panel.runs, set(panel.front)
    if len(runs) <= most:
        return runs
    first = [k for k, run in enumerate(runs) if run.best or (run.x, run.y) in front][:most]
    others = sorted(set(range(len(runs))) - set(first))
    kept = {*first, *(others[k] for k in thinned(len(others), most - len(first)))} if len(first) < most else set(first)
    return [run for k, run in enumerate(runs) if k in kept]


def _front_trace(k: int, own: Sequence[Trained]) -> dict[str, Any]:
    return {
        "x": [run.x for run in own],
        "y": [run.y for run in own],
        "mode": "markers",
        "marker": _marker(k, own),
        "lead": [plotly_text(f"{run.method}, seed {run.seed}", run.text, _verdict(run)) for run in own],
    }


def levels_figure(data: Levels) -> Figure:
    """Best objective against constraint level, with the slope that the multiplier predicts."""
    labels = list(dict.fromkeys(line.label for panel in data.panels for line in panel.found))
    panels = [_levels_panel(data, panel, labels) for panel in data.panels]
    surrogate = any(s.of_surrogate for panel in data.panels for line in panel.found for s in line.solved)
    predicted = "of the surrogate's price, the multiplier" if surrogate else "that the multiplier predicts"
    caption = (
        f"The best feasible setting at each level; the thick lines have the slope {predicted}, the dashed ones the one "
        "measured between levels."
    )
    lines = [line_of(k, label) for k, label in enumerate(labels)]
    return figure("levels", "Sensitivity to the level", caption, lines, panels)


def _levels_panel(data: Levels, own: LevelPanel, labels: Sequence[str]) -> Panel:
    percent = {"tickformat": ".4~p"} if own.quantity.share else {}
    across = f"level of {own.quantity.label}"
    panel = Panel(levels_axis(data, own), across, percent, height_of(len(data.panels)))
    for line, tangents, measured in zip(own.found, own.tangents, own.measured, strict=True):
        k = labels.index(line.label)
        panel.add(k, _levels_trace(data, own.quantity, line, k))
        panel.add(k, _slopes_trace(tangents))
        panel.add(k, _slopes_trace(measured, measured=True))
    return panel


def _slopes_trace(tangents: Sequence[Tangent], measured: bool = False) -> dict[str, Any]:
    """Tangents as one line with gaps."""
    look = {"line": {"width": 1, "dash": "dash"}, "color": "--ink"} if measured else {"line": {"width": 3}}
    return {
        "x": [at for levels, _ in tangents for at in (*levels, None)],
        "y": [at for _, heights in tangents for at in (*heights, None)],
        "mode": "lines",
        "opacity": 1 if measured else 0.5,
        **look,
    }


def _levels_trace(data: Levels, quantity: Quantity, line: Sensitivity, k: int) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "x": [s.level for s in line.solved],
        "y": [s.objective.mean for s in line.solved],
        "mode": "lines+markers",
        "line": {"dash": "dot", "width": 1},
        "marker": {"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 9},
        "lead": [
            plotly_text(
                line.label,
                s.text,
                f"{quantity.name} {quantity.level_text(s.level)}",
                *([f"predicted slope {number(s.slope)}"] if s.slope is not None else []),
                *([f"measured slope {number(s.measured)}"] if s.measured is not None else []),
            )
            for s in line.solved
        ],
    }
    if data.seeds > 1:
        trace["error_y"] = {"array": [s.objective.deviation for s in line.solved]}
    return trace


def dynamics_figure(data: Dynamics) -> Figure:
    """Objective, violations and multipliers of chosen runs against the step."""
    rows = [row for row in course_rows(data) if any(row.lines)]
    panels = [_dynamics_panel(data, row, height_of(len(rows))) for row in rows]
    total = len(data.courses) + data.left_out
    chosen = (
        f"{len(data.courses)} of {total} runs: each method's best, one of each diagnosis, then others evenly spread. "
    )
    caption = "A violation at or below the line is feasible."
    if any(course.measured for course in data.courses):
        caption += f" Rings were measured on {data.measured_on}."
    lines = [line_of(k, course.label, points=False) for k, course in enumerate(data.courses)]
    return figure("dynamics", "Dynamics", (chosen if data.left_out else "") + caption, lines, panels)


def _dynamics_panel(data: Dynamics, row: Row, height: int) -> Panel:
    panel = Panel(row.axis, "step", dict(STEPS), height)
    panel.x = {"name": "step", "share": False}
    for k, (course, points) in enumerate(zip(data.courses, row.lines, strict=True)):
        if points:
            panel.add(k, _course_trace(course, points))
    for k, measured in enumerate(row.measured):
        if measured[1]:
            panel.add(k, _measured_trace(measured))
    return panel


def _measured_trace(measured: Measured) -> dict[str, Any]:
    steps, points = measured
    return {"x": steps, "y": points, "mode": "markers", "marker": {"symbol": "circle-open", "size": 6}, "lead": None}


def _course_trace(course: Course, points: Points) -> dict[str, Any]:
    line = {"width": 1.3}
    return {"x": course.steps, "y": points, "mode": "lines", "connectgaps": True, "line": line, "lead": None}
