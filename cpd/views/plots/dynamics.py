"""Objective, violation and multiplier of chosen runs against the step: oscillation, damping and overshoot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cpd.errors import CpdError
from cpd.outcome import Number, Recorded, RecordedMeasures
from cpd.verdict.document import Document, Recordings, RunRow
from cpd.verdict.feasibility import excess, oriented
from cpd.verdict.judged import judges
from cpd.views.plots.axes import limits, log_scale, name_axis, name_lowest, on_log_scale, percent_ticks
from cpd.views.plots.quantities import Quantity, constraint, drawable, level_label, objective
from cpd.views.plots.style import COLUMN, FEASIBLE, PAGE, SHADE, Key, look, note, put_legend
from cpd.views.printable import one_line
from cpd.views.tables.lines import components, constants, is_best, lines, setting_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = list[float | None]

MOST_RUNS = 4
"""Runs that are told apart without effort, chosen where the user names none."""


@dataclass(frozen=True)
class Measures:
    """What was measured of one run along the way, on all training data.

    Attributes:
        violations: By constraint, as of a course.
    """

    steps: list[int]
    objective: Points
    violations: dict[str, Points]


@dataclass(frozen=True)
class Course:
    """One run against its steps.

    Attributes:
        label: Method, setting, and level and seed where they differ.
        violations: By constraint; a vector's most violated component at each step. Positive is not feasible.
        multipliers: By constraint, where the method has them; a vector's largest at each step.
        measured: None where nothing was measured along the way.
    """

    label: str
    steps: list[int]
    objective: Points
    violations: dict[str, Points]
    multipliers: dict[str, Points]
    diagnosis: str | None
    measured: Measures | None = None


@dataclass(frozen=True)
class Dynamics:
    """All that the picture shows; ``left_out`` recorded runs are not chosen, ``measured_on`` says on which data."""

    objective: Quantity
    constraints: list[Quantity]
    courses: list[Course]
    left_out: int
    measured_on: str = "all training data"

    @property
    def objectives(self) -> list[Points]:
        """One line per course."""
        return [course.objective for course in self.courses]

    def violations(self, constraint: str) -> list[Points]:
        """One line per course; empty where nothing was recorded."""
        return [course.violations.get(constraint, []) for course in self.courses]

    def measured(self, constraint: str | None = None) -> list[tuple[list[int], Points]]:
        """Steps and what was measured there of the objective, or of a constraint's violation: one pair per course."""
        own = [course.measured or Measures([], [], {}) for course in self.courses]
        return [(m.steps, m.objective if constraint is None else m.violations.get(constraint, [])) for m in own]

    def multipliers(self, constraint: str) -> list[Points]:
        """One line per course; empty for methods without."""
        return [course.multipliers.get(constraint, []) for course in self.courses]


def dynamics_data(
    document: Document,
    curves: Recordings,
    chosen: Sequence[int] | None = None,
    most: int = MOST_RUNS,
) -> Dynamics:
    """The recorded courses of some runs.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        chosen: Places of the runs in the document; default: see :func:`choose`.
        most: How many to choose.

    Raises:
        CpdError: Nothing was recorded of them.
    """
    recorded = [k for k, curve in enumerate(curves) if curve is not None and curve["steps"]]
    places = [k for k in (choose(document, recorded, most) if chosen is None else chosen) if k in recorded]
    if not places:
        raise CpdError("no curves were recorded of these runs", place="--kind dynamics", hint="try --kind front")
    held_out = judges(document) == "held_out"
    document = {**document, "judge": "training"}  # the curves are the training's
    bounds = [constraint(document, name) for name in document["constraints"]]
    labels = _labels(document, places)
    own = [_by_held_out(curve) if held_out else curve for curve in curves]
    courses = [_course(document["runs"][k], own[k], bounds, label) for k, label in zip(places, labels, strict=True)]
    data = Dynamics(objective(document), bounds, courses, len(recorded) - len(places))
    return replace(data, measured_on="held-out examples") if held_out else data


def _by_held_out(curve: Recorded | None) -> Recorded | None:
    """A run's curves with what was measured on held-out examples in place of what was on training data."""
    measured = curve and curve.get("measured")
    return {**curve, "measured": measured.get("held_out")} if curve and measured else curve


def choose(document: Document, recorded: Sequence[int], most: int) -> list[int]:
    """Choose runs that show the most: each method's best, then one of each diagnosis, then others evenly spread."""
    runs = document["runs"]
    best = {identity(run) for row in lines(document) if is_best(document, row) for run in row.runs[:1]}
    first = [k for k in recorded if identity(runs[k]) in best]
    seen = {(runs[k]["method"], runs[k]["diagnosis"]) for k in first}
    for k in recorded:
        kind = (runs[k]["method"], runs[k]["diagnosis"])
        if runs[k]["diagnosis"] and kind not in seen:
            first.append(k)
            seen.add(kind)
    others = [k for k in recorded if k not in set(first)]
    room = min(max(most - len(first), 0), len(others))
    spread = [others[(2 * i + 1) * len(others) // (2 * room)] for i in range(room)]
    return sorted([*first[:most], *spread])


def identity(run: RunRow) -> str:
    """A text that tells a run from all others of its document."""
    return repr((run["method"], sorted(run["setting"].items(), key=str), sorted(run["levels"].items()), run["seed"]))


def _labels(document: Document, places: Sequence[int]) -> list[str]:
    runs = [document["runs"][k] for k in places]
    rows = lines(document)
    labels = []
    for run in runs:
        same = constants(rows, run["method"])
        setting = {n: v for n, v in run["setting"].items() if n not in same}
        parts = [one_line(run["method"]), *([setting_text(setting)] if setting else [])]
        parts += [
            level_label(document, n, v) for n, v in run["levels"].items() if any(r["levels"][n] != v for r in runs)
        ]
        parts += [f"seed {run['seed']}"] if any(r["seed"] != run["seed"] for r in runs) else []
        labels.append(", ".join(parts))
    return labels


def _course(run: RunRow, curve: Recorded | None, bounds: Sequence[Quantity], label: str) -> Course:
    assert curve is not None
    violations = {q.name: _violations(curve["constraints"].get(q.name, []), run, q) for q in bounds}
    multipliers = {
        name: [_largest(point) for point in points] for name, points in curve["multipliers"].items() if points
    }
    return Course(
        label,
        list(curve["steps"]),
        [drawable(y) for y in curve["objective"]],
        {name: points for name, points in violations.items() if points},
        {name: points for name, points in multipliers.items() if any(y is not None for y in points)},
        run["diagnosis"],
        _measures(run, curve.get("measured"), bounds),
    )


def _measures(run: RunRow, found: RecordedMeasures | None, bounds: Sequence[Quantity]) -> Measures | None:
    if found is None:
        return None
    violations = {q.name: _violations(found["constraints"].get(q.name, []), run, q) for q in bounds}
    return Measures(list(found["steps"]), [drawable(y) for y in found["objective"]], violations)


def _violations(points: Sequence[Number], run: RunRow, quantity: Quantity) -> Points:
    """At each point the violation of the component furthest from feasible."""
    level, sense = drawable(run["levels"][quantity.name]) or 0.0, str(quantity.sense)
    found = [[oriented(value, level, sense) for value in _numbers(point)] for point in points]
    return [max(own, key=lambda violation: excess(violation, sense), default=None) for own in found]


def _numbers(point: Number) -> list[float]:
    return [shown for value in components(point) if (shown := drawable(value)) is not None]


def _largest(point: Number) -> float | None:
    return max(_numbers(point), default=None)


def draw_dynamics(data: Dynamics, figure: Figure) -> None:
    """Draw the objective above the violations above the multipliers, one column per constraint."""
    with_multipliers = any(course.multipliers for course in data.courses)
    rows, columns = 2 + with_multipliers, len(data.constraints)
    figure.set_size_inches(COLUMN if columns == 1 else PAGE, 0.9 + 1.3 * rows)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for column, quantity in enumerate(data.constraints):
        if column:
            grid[0][column].remove()
        else:
            _draw_objective(grid[0][0], data)
        _draw_violation(grid[1][column], data, quantity)
        if with_multipliers:
            _draw_multiplier(grid[2][column], data, quantity)
    name_lowest([ax for row in grid for ax in row if ax.figure is not None], "step")
    put_legend(figure, _keys(data))
    left_out = [f"{len(data.courses)} of {len(data.courses) + data.left_out} runs"] if data.left_out else []
    note(figure, left_out)


def _draw_objective(ax: Axes, data: Dynamics) -> None:
    values = _values([*data.objectives, *_points(data.measured())])
    name_axis(ax, data.objective.label)
    if on_log_scale(data.objective, values):
        log_scale(ax)
    _draw_courses(ax, data, data.objectives)
    _draw_measured(ax, data.measured())


def _draw_violation(ax: Axes, data: Dynamics, quantity: Quantity) -> None:
    found = data.violations(quantity.name)
    name_axis(ax, *_named(data, quantity), "violation (%)" if quantity.share else "violation")
    measured = data.measured(quantity.name)
    low, high = limits(Quantity("metric", quantity.name), [*_values([*found, *_points(measured)]), 0.0])
    ax.set_ylim(low, high)
    bottom = max(-quantity.tolerance, low) if quantity.sense == "==" else low
    ax.axhspan(bottom, min(quantity.tolerance, high), color=FEASIBLE, alpha=SHADE, linewidth=0, zorder=0)
    ax.axhline(0, color="#333333", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    if quantity.share:
        percent_ticks(ax.yaxis)
    _draw_courses(ax, data, found)
    _draw_measured(ax, measured)


def _draw_multiplier(ax: Axes, data: Dynamics, quantity: Quantity) -> None:
    found = data.multipliers(quantity.name)
    name_axis(ax, *_named(data, quantity), "multiplier")
    if on_log_scale(Quantity("metric", "multiplier"), _values(found)):
        log_scale(ax)
    _draw_courses(ax, data, found)


def _values(found: Sequence[Points]) -> list[float]:
    return [y for points in found for y in points if y is not None]


def _named(data: Dynamics, quantity: Quantity) -> list[str]:
    """A constraint's name where there are several."""
    return [one_line(quantity.name)] if len(data.constraints) > 1 else []


def _draw_courses(ax: Axes, data: Dynamics, found: Sequence[Points]) -> None:
    for k, (course, points) in enumerate(zip(data.courses, found, strict=True)):
        # A step that shows nothing of a constraint is a gap in what was recorded: the line goes over it.
        known = [(step, y) for step, y in zip(course.steps, points, strict=False) if y is not None]
        if known:
            style = look(k)
            ax.plot(
                *zip(*known, strict=True),
                color=style.color,
                linestyle=style.dash,
                linewidth=0.9,
                marker=style.marker,
                markersize=2.8,
                markevery=_every(len(known), k),
                zorder=2 + k,
            )


def _points(measured: Sequence[tuple[list[int], Points]]) -> list[Points]:
    return [points for _, points in measured]


def _draw_measured(ax: Axes, measured: Sequence[tuple[list[int], Points]]) -> None:
    """What was measured along the way, as rings over the lines."""
    for k, (steps, points) in enumerate(measured):
        if points:
            y = [math.nan if value is None else value for value in points]
            style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.2, "markerfacecolor": "white"}
            ax.plot(steps, y, color=look(k).color, markeredgewidth=0.8, zorder=20 + k, **style)


def _every(points: int, number: int) -> tuple[int, int]:
    """Where a line has markers: about five, not at the same steps as its neighbours'."""
    stride = max(points // 5, 1)
    return (min((2 * number + 1) * stride // 8, points - 1), stride)


def _keys(data: Dynamics) -> list[Key]:
    said = [f" ({c.diagnosis.replace('_', ' ')})" if c.diagnosis else "" for c in data.courses]
    keys = [Key(c.label + more, *look(k)) for k, (c, more) in enumerate(zip(data.courses, said, strict=True))]
    if any(course.measured for course in data.courses):
        keys.append(Key(f"measured on {data.measured_on}", "#444444", "o", "", filled=False))
    return [*keys, Key("feasible region", "", "region", "")]
