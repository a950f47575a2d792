"""Objective, violation and multiplier of chosen runs against the step: oscillation, damping and overshoot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cpd.errors import CpdError
from cpd.outcome import Number, Recorded, RecordedMeasures
from cpd.verdict.document import Document, Recordings, RunRow
from cpd.verdict.feasibility import excess, oriented
from cpd.verdict.judged import judges
from cpd.views.figures.chosen import left_out, telling
from cpd.views.figures.quantities import Quantity, constraint, drawable, level_label, objective
from cpd.views.printable import one_line
from cpd.views.tables.lines import components, constants, is_best, lines, setting_text

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
    feasible: bool = False


@dataclass(frozen=True)
class Dynamics:
    """All that the picture shows; ``left_out`` recorded runs are not chosen, ``measured_on`` says on which data.

    ``notes`` say which constraints are not shown.
    """

    objective: Quantity
    constraints: list[Quantity]
    courses: list[Course]
    left_out: int
    measured_on: str = "all training data"
    notes: list[str] = field(default_factory=list)

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
    constraints: Sequence[str] | None = None,
) -> Dynamics:
    """The recorded courses of some runs.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        chosen: Places of the runs in the document; default: see :func:`choose`.
        most: How many to choose.
        constraints: Those that are shown; default: where there are many, those that are violated most.

    Raises:
        CpdError: Nothing was recorded of them.
    """
    recorded = [k for k, curve in enumerate(curves) if curve is not None and curve["steps"]]
    places = [k for k in (choose(document, recorded, most) if chosen is None else chosen) if k in recorded]
    if not places:
        raise CpdError("no curves were recorded of these runs", place="--kind dynamics", hint="try --kind front")
    held_out = judges(document) == "held_out"
    document = {**document, "judge": "training"}  # the curves are the training's
    names = telling(document) if constraints is None else constraints
    bounds = [constraint(document, name) for name in names]
    labels = _labels(document, places)
    own = [_by_held_out(curve) if held_out else curve for curve in curves]
    courses = [_course(document["runs"][k], own[k], bounds, label) for k, label in zip(places, labels, strict=True)]
    notes = left_out(document, names)
    data = Dynamics(objective(document), bounds, courses, len(recorded) - len(places), notes=notes)
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
        run["feasible"],
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
