"""Violations and multipliers of all components of a constraint over a training: a diagnosis looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpd.outcome import ConstraintOutcome, Curves, Run
from cpd.verdict.feasibility import Bound, allowances, held, level_of, slacks, violations
from cpd.verdict.gradients import vanished
from cpd.verdict.points import Array, filled, matrix

TAIL = 0.9
"""Share of the steps after which the tail begins."""

LEAST_SEEN = 20
"""A component that minibatches showed less often says nothing of how it moved."""


@dataclass(frozen=True)
class Traces:
    """The K components of a constraint over a training, oldest first; a column each.

    Attributes:
        tail: Oriented violations over the last tenth of the steps, ``[points, K]``.
        half: Oriented violations at the recorded points of the second half of the run.
        multipliers: At the same points; NaN for a method without.
        late: From which of those points on the multipliers are the tail's.
        quarters: Where each quarter of the second half begins among its points, and its end.
        objective: At the same points, as shares of its range over the run, ``[points, K]``; none where it is unknown.
        tolerance: The constraint's, and what rounding adds, ``[K]``.
        rounding: The most that rounding moves a violation, ``[K]``.
        sense: The constraint's.
        checked: Oriented violations on the judged data at points of the last tenth; none where steps see all data.
        whole: Oriented violations at the recorded points of the whole run, ``[points', K]``.
        gone: Whether the gradient of each component has vanished, ``[K]``.
        feasible: Whether the finished model satisfies each component, ``[K]``.
    """

    tail: Array
    half: Array
    multipliers: Array
    late: int
    quarters: list[int]
    objective: Array
    tolerance: Array
    rounding: Array
    sense: str
    checked: Array
    whole: Array
    gone: NDArray[np.bool_]
    feasible: NDArray[np.bool_]

    def only(self, chosen: NDArray[np.bool_]) -> Traces:
        """The chosen components alone."""
        shared = {"late", "quarters", "sense"}
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return Traces(**{name: part if name in shared else part[..., chosen] for name, part in parts.items()})


def traces_of(run: Run, name: str, outcome: ConstraintOutcome, bound: Bound, dtype: str) -> Traces:
    """The components of a constraint whose value is finite; of one that minibatches show but now and then, see them.

    Where a step shows nothing of a component there is a gap. Each component then has the points that it was seen at:
    as many of the last ones as nearly all have, and the few that were seen less often are left out.
    """
    level = level_of(run.key, name, bound)
    (value,) = matrix([outcome.value])
    tail = matrix(outcome.tail, len(value))
    curves = run.curves or Curves([], [], {}, {})
    first = first_after(curves.steps, 0.5)
    half = _since(curves.constraints.get(name, []), first, len(value))
    multipliers = _since(curves.multipliers.get(name, []), first, len(value))
    objective = objective_of(curves)[first:]
    objective = np.broadcast_to(objective, (len(objective), len(value)))
    late = max(0, min(first_after(curves.steps, TAIL) - first, len(multipliers) - 2))
    quarters = quarters_of(curves.steps[first:], len(half))
    known = np.isfinite(value)
    if not np.isfinite(tail[:, known]).all():
        known &= _often(tail) & _often(half)
        late = max(0, round(late * _shared(half[:, known]) / max(1, len(half))) - 2)
        multipliers, objective = _last_seen(half, multipliers, known), _last_seen(half, objective, known)
        tail, half = _last_seen(tail, tail, known), _last_seen(half, half, known)
        quarters = even_quarters(len(half))
    traces = Traces(
        tail=violations(tail, level, bound.sense),
        half=violations(filled(half), level, bound.sense),
        multipliers=multipliers,
        late=late,
        quarters=quarters,
        objective=objective,
        tolerance=allowances(value, bound, level, dtype),
        rounding=slacks(value, level, bound.tolerance, dtype),
        sense=bound.sense,
        checked=violations(matrix(outcome.checked, len(value)), level, bound.sense),
        whole=violations(filled(matrix(curves.constraints.get(name, []), len(value))), level, bound.sense),
        gone=vanished(run, name, violations(value, level, bound.sense)),
        feasible=held(value, level, bound, dtype),
    )
    return traces.only(known)


def _often(points: Array) -> NDArray[np.bool_]:
    """Which components have points enough to say something: half as many as the usual one, and a few at least."""
    counts: Array = np.isfinite(points).sum(0).astype(np.float64)
    return counts >= max(LEAST_SEEN, float(np.median(counts)) / 2)


def _shared(points: Array) -> int:
    """How many points all of the components have."""
    return int(np.isfinite(points).sum(0).min(initial=len(points)))


def _last_seen(points: Array, of: Array, known: NDArray[np.bool_]) -> Array:
    """For each of the known components the last points at which it was seen, as many as all have, of another table."""
    if len(of) != len(points):
        return of[:0]
    count = _shared(points[:, known])
    order = np.argsort(np.isfinite(points), axis=0, kind="stable")  # gaps first, then what was seen, oldest first
    return np.take_along_axis(of, order, axis=0)[len(points) - count :]


def even_quarters(points: int) -> list[int]:
    """Where each quarter of evenly spaced points begins, and the end."""
    return [round(k * points / 4) for k in range(5)]


def quarters_of(steps: Sequence[int], points: int) -> list[int]:
    """Where each quarter of the steps begins among the points, and the end; by number where one would be empty."""
    if len(steps) != points or not points:
        return even_quarters(points)
    ends = np.linspace(steps[0], steps[-1], 5)[1:-1]
    quarters = [0, *map(int, np.searchsorted(np.asarray(steps), ends)), points]
    return quarters if all(np.diff(quarters) > 0) else even_quarters(points)


def objective_of(curves: Curves) -> Array:
    """The recorded objective from 0 to 1, whatever its offset and scale; nothing where it was never known."""
    values = filled(matrix(curves.objective, 1))
    if not len(values) or not np.isfinite(values).all():
        return values[:0]
    halved = values / 2 - values.min() / 2  # the whole difference may overflow
    largest = halved.max()
    return np.asarray(halved / (largest if largest > 0 else 1.0))


def first_after(steps: Sequence[int], share: float) -> int:
    """The first point after a share of the steps."""
    start = steps[-1] * share if len(steps) else 0
    return sum(step < start for step in steps)


def _since(points: Sequence[Any], first: int, width: int) -> Array:
    """The points from the first one on, ``[points, width]``, the last two at least."""
    return matrix(points, width)[min(first, max(0, len(points) - 2)) :]
