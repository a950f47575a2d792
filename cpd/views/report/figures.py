"""The pictures again, to be touched: their data as plotly figures, every point with its setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cpd.errors import CpdError
from cpd.verdict.document import Document, Recordings
from cpd.verdict.judged import judged_document
from cpd.views.plots.axes import quantity_values
from cpd.views.plots.bisection import Bisection, bisection_data
from cpd.views.plots.dynamics import Course, Dynamics, Points, dynamics_data
from cpd.views.plots.front import Front, Panel, front_data
from cpd.views.plots.quantities import Quantity
from cpd.views.plots.sensitivity import MEASURED, Levels, Solved, Tangent, levels_data
from cpd.views.plots.tuning import Series, Setting, Tuning, tuning_data
from cpd.views.report.panels import Figure, Panels, amount, log_layout, plotly_text, rounded
from cpd.views.tables.numbers import number

MOST_COURSES = 7
"""Runs whose courses a report carries: each is hundreds of numbers."""

Measured = tuple[list[int], Points]
"""Steps, and what was measured there."""

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "triangle-left")


def figures(document: Document, curves: Recordings) -> list[Figure]:
    """Every kind of picture that a document has data for.

    Returns:
        For each ``{kind, title, caption, data, layout}``, the last two for plotly; numbers at six digits.
    """
    judged = judged_document(document)
    makers: list[Callable[[], Figure]] = [
        lambda: bisection_figure(bisection_data(judged)),
        lambda: tuning_figure(tuning_data(judged)),
        lambda: front_figure(front_data(judged)),
        lambda: levels_figure(levels_data(judged)),
        lambda: dynamics_figure(dynamics_data(document, curves, most=MOST_COURSES)),
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
    panels = Panels(len(data.quantities), x=log_layout(data.axis, data.swept))
    for place, quantity in enumerate(data.quantities):
        panels.quantity(
            place, quantity, quantity_values(s.values[place] for line in data.series for s in line.settings)
        )
        for k, line in enumerate(data.series):
            panels.add(place, k, line.label, _tuning_trace(data, line, place, k, quantity))
    seeds = f"Each point is a mean over {data.seeds} seeds, its bar the standard deviation. " if data.seeds > 1 else ""
    caption = f"{seeds}Open points are not feasible; large ones are the best of their method. " + ". ".join(data.notes)
    return panels.figure("tuning", "Tuning", caption)


def _tuning_trace(data: Tuning, line: Series, place: int, k: int, quantity: Quantity) -> dict[str, Any]:
    settings = line.settings
    symbols = [SYMBOLS[k % len(SYMBOLS)] + ("" if s.feasible else "-open") for s in settings]
    trace: dict[str, Any] = {
        "x": [data.axis.place(s.x) for s in settings],
        "y": [s.values[place].mean for s in settings],
        "mode": "lines+markers",
        "marker": {"symbol": symbols, "size": [13 if s.best else 7 for s in settings]},
        "text": [_tuning_hover(line, s, place, quantity) for s in settings],
    }
    if data.seeds > 1:
        trace["error_y"] = {"type": "data", "array": [s.values[place].deviation for s in settings], "thickness": 1}
    return trace


def _tuning_hover(line: Series, setting: Setting, place: int, quantity: Quantity) -> str:
    value = setting.values[place]
    spread = f" ± {amount(value.deviation, quantity)}" if value.count > 1 else ""
    verdict = ["best of its method"] if setting.best else ["feasible" if setting.feasible else "not feasible"]
    unfinished = [f"{setting.unfinished} diverged or failed"] if setting.unfinished else []
    return plotly_text(
        line.label, setting.text, f"{quantity.name} {amount(value.mean, quantity)}{spread}", *verdict, *unfinished
    )


def bisection_figure(data: Bisection) -> Figure:
    """The constraint's value against the coefficient, the iterations numbered."""
    shown = [(k, data.axis.place(x), y) for k, x, y in data.iterations if y is not None]
    panels = Panels(1, x=log_layout(data.axis, data.name), height=380)
    quantity = data.quantity
    panels.quantity(0, quantity, [y for _, _, y in shown])
    trace = {
        "x": [x for _, x, _ in shown],
        "y": [y for _, _, y in shown],
        "mode": "lines+markers",
        "line": {"width": 1, "dash": "dot"},
        "marker": {"symbol": ["circle" if k == data.found else "circle-open" for k, _, _ in shown], "size": 10},
        "text": [
            plotly_text(f"iteration {k}", f"{data.name} {number(x, 6)}", f"{quantity.name} {amount(y, quantity)}")
            for k, x, y in shown
        ],
    }
    panels.add(0, 0, "iterations", trace)
    for k, x, y in shown:
        panels.note(0, str(k), x, y)
    return panels.figure("bisection", "Search", f"Outcome: {data.outcome.replace('_', ' ')}. Numbers are iterations.")


def front_figure(data: Front) -> Figure:
    """Objective against constraint value, every run a point, with the non-dominated front."""
    panels = Panels(len(data.panels), x={}, height=400, shared=False)
    for place, panel in enumerate(data.panels):
        panels.quantity(place, data.objective, [run.y for run in panel.runs], logarithmic=False)
        panels.quantity_across(place, panel.quantity, [run.x for run in panel.runs])
        shape = "vh" if panel.quantity.sense == ">=" else "hv"
        line = {"shape": shape, "color": "#777777", "width": 1, "dash": "solid"}
        x, y = [p[0] for p in panel.front], [p[1] for p in panel.front]
        front = {"x": x, "y": y, "mode": "lines", "line": line, "hoverinfo": "skip"}
        panels.add(place, len(data.methods), "non-dominated", front)
        for k, method in enumerate(data.methods):
            panels.add(place, k, method, _front_trace(data, panel, k))
    missing = f" {data.missing} runs without numbers are not shown." if data.missing else ""
    caption = f"Every run is a point; open points are not feasible, large ones are the best of their method.{missing}"
    return panels.figure("front", "Trade-off", caption)


def _front_trace(data: Front, panel: Panel, k: int) -> dict[str, Any]:
    own = [run for run in panel.runs if run.method == data.methods[k]]
    symbols = [SYMBOLS[k % len(SYMBOLS)] + ("" if run.feasible else "-open") for run in own]
    return {
        "x": [run.x for run in own],
        "y": [run.y for run in own],
        "mode": "markers",
        "marker": {"symbol": symbols, "size": [13 if run.best else 7 for run in own]},
        "text": [
            plotly_text(
                f"{run.method}, seed {run.seed}",
                run.text,
                f"{panel.quantity.name} {amount(run.x, panel.quantity)}",
                f"{data.objective.name} {amount(run.y, data.objective)}",
                "feasible" if run.feasible else "not feasible",
            )
            for run in own
        ],
    }


def levels_figure(data: Levels) -> Figure:
    """Best objective against constraint level, with the slope that the multiplier predicts."""
    panels = Panels(len(data.panels), x={}, height=400, shared=False)
    for place, panel in enumerate(data.panels):
        quantity, found = panel
        ends = [y for own in (*panel.tangents, *panel.measured) for _, heights in own for y in heights]
        means = [s.objective.mean for line in found for s in line.solved if s.objective.mean is not None]
        panels.quantity(place, data.objective, [*means, *ends], logarithmic=False)
        panels.across(place, f"level of {quantity.label}", quantity.share)
        for k, (line, own) in enumerate(zip(found, panel.tangents, strict=True)):
            panels.add(place, k, line.label, _levels_trace(data, quantity, line.solved, line.label, k))
            panels.add(place, k, line.label, _slopes_trace(own))
            panels.add(place, k, line.label, _slopes_trace(panel.measured[k], measured=True))
    surrogate = any(s.of_surrogate for panel in data.panels for line in panel.found for s in line.solved)
    predicted = "of the surrogate's price, the multiplier" if surrogate else "that the multiplier predicts"
    caption = (
        f"The best feasible setting at each level; the thick lines have the slope {predicted}, the dashed ones the one "
        "measured between levels."
    )
    return panels.figure("levels", "Sensitivity to the level", caption)


def _slopes_trace(tangents: Sequence[Tangent], measured: bool = False) -> dict[str, Any]:
    """Tangents as one line with gaps."""
    line = {"width": 1, "dash": "dash", "color": MEASURED} if measured else {"width": 3}
    return {
        "x": [at for levels, _ in tangents for at in (*levels, None)],
        "y": [at for _, heights in tangents for at in (*heights, None)],
        "mode": "lines",
        "line": line,
        "opacity": 1 if measured else 0.5,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _levels_trace(data: Levels, quantity: Quantity, solved: Sequence[Solved], label: str, k: int) -> dict[str, Any]:
    return {
        "x": [s.level for s in solved],
        "y": [s.objective.mean for s in solved],
        "mode": "lines+markers",
        "line": {"dash": "dot", "width": 1},
        "marker": {"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 9},
        "text": [
            plotly_text(
                label,
                s.text,
                f"{quantity.name} {quantity.level_text(s.level)}",
                f"{data.objective.name} {amount(s.objective.mean, data.objective)}",
                *([f"predicted slope {number(s.slope)}"] if s.slope is not None else []),
                *([f"measured slope {number(s.measured)}"] if s.measured is not None else []),
            )
            for s in solved
        ],
    }


def dynamics_figure(data: Dynamics) -> Figure:
    """Objective, violations and multipliers of chosen runs against the step."""
    rows: list[tuple[Quantity, list[Points], list[Measured]]] = [(data.objective, data.objectives, data.measured())]
    for bound in data.constraints:
        sense = "==" if bound.sense == "==" else "<="
        name = f" of {bound.name}" if len(data.constraints) > 1 else ""
        violation = Quantity("constraint", f"violation{name}", bound.share, sense, bound.tolerance, (0.0,))
        rows.append((violation, data.violations(bound.name), data.measured(bound.name)))
        rows.append((Quantity("metric", f"multiplier{name}"), data.multipliers(bound.name), []))
    rows = [row for row in rows if any(row[1])]
    panels = Panels(len(rows), x={"title": {"text": "step"}, "exponentformat": "none", "separatethousands": True})
    for place, (quantity, found, measured) in enumerate(rows):
        drawn = [*found, *(points for _, points in measured)]
        panels.quantity(place, quantity, [y for points in drawn for y in points if y is not None])
        for k, (course, points) in enumerate(zip(data.courses, found, strict=True)):
            if points:
                panels.add(place, k, course.label, _course_trace(course, points))
        for k, (course, (steps, points)) in enumerate(zip(data.courses, measured, strict=False)):
            if points:
                panels.add(place, k, course.label, _measured_trace(steps, points))
    total = len(data.courses) + data.left_out
    chosen = (
        f"{len(data.courses)} of {total} runs: each method's best, one of each diagnosis, then others evenly spread. "
    )
    caption = "A violation at or below the line is feasible. Click a name to hide its lines."
    if any(course.measured for course in data.courses):
        caption += f" Rings were measured on {data.measured_on}."
    return panels.figure("dynamics", "Dynamics", (chosen if data.left_out else "") + caption)


def _measured_trace(steps: list[int], points: Points) -> dict[str, Any]:
    return {
        "x": steps,
        "y": points,
        "mode": "markers",
        "marker": {"symbol": "circle-open", "size": 6},
        "showlegend": False,
        "hoverinfo": "x+y+name",
    }


def _course_trace(course: Course, points: list[float | None]) -> dict[str, Any]:
    return {
        "x": course.steps,
        "y": points,
        "mode": "lines",
        "connectgaps": True,
        "line": {"width": 1.3, "dash": "solid"},
        "hoverinfo": "x+y+name",
    }
