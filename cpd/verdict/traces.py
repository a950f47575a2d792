"""Violations and multipliers of each component of a constraint over a training: a diagnosis looks at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cpd.outcome import ConstraintOutcome, Curves, Number, Run, finite_or_none
from cpd.verdict.feasibility import Bound, holds, oriented, slack


@dataclass(frozen=True)
class Trace:
    """One component of a constraint over a training: oriented violations, oldest first.

    Attributes:
        tail: Over the last tenth of the steps.
        second_half: At the recorded points of the second half of the run.
        multipliers: At the recorded points of the last tenth; empty for a method without.
        tolerance: The constraint's, and what rounding adds.
        sense: The constraint's.
        gradient_norm: Relative to the largest seen; None when not measured.
        worth: Largest size of the objective seen at the recorded points.
        feasible: Whether the finished model satisfies this component.
    """

    tail: list[float]
    second_half: list[float]
    multipliers: list[float]
    tolerance: float
    sense: str
    gradient_norm: float | None
    worth: float
    feasible: bool


def traces_of(run: Run, name: str, outcome: ConstraintOutcome, bound: Bound, dtype: str) -> list[Trace]:
    """One trace per component of a constraint whose value and tail are finite."""
    level = float(run.key.levels.get(name, bound.level))
    curves = run.curves or Curves([], [], {}, {})
    traces = []
    for k, component in enumerate(outcome.value if isinstance(outcome.value, list) else [outcome.value]):
        value, tail = finite_or_none(component), _violations(outcome.tail, k, level, bound.sense)
        if value is None or len(tail) < len(outcome.tail):
            continue
        points = curves.constraints.get(name, [])
        trace = Trace(
            tail=tail,
            second_half=_violations(points[len(points) // 2 :], k, level, bound.sense),
            multipliers=_last_multipliers(curves, name, k),
            tolerance=bound.tolerance + slack(value, level, dtype),
            sense=bound.sense,
            gradient_norm=outcome.gradient_norm,
            worth=max((abs(f) for f in curves.objective if f is not None), default=math.inf),
            feasible=holds(value, level, bound, dtype),
        )
        traces.append(trace)
    return traces


def _violations(points: Sequence[Number], k: int, level: float, sense: str) -> list[float]:
    """Violations of the k-th component at recorded points, those that are finite."""
    found = [finite_or_none(_component(point, k)) for point in points]
    return [oriented(value, level, sense) for value in found if value is not None]


def _last_multipliers(curves: Curves, name: str, k: int) -> list[float]:
    """Recorded multipliers over the last tenth of the steps, or the last two recorded ones where those are fewer."""
    numbers = [finite_or_none(_component(point, k)) for point in curves.multipliers.get(name, [])]
    start = curves.steps[-1] * 0.9 if curves.steps else 0
    first = min(sum(step < start for step in curves.steps), max(0, len(numbers) - 2))
    return [x for x in numbers[first:] if x is not None]


def _component(point: Number, k: int) -> float | None:
    """The k-th component of a recorded point of a vector constraint, or a scalar constraint's point itself."""
    return point[k] if isinstance(point, list) else point
