"""Runs without a measure: what grew beyond any sensible size, what falls for ever, what still fell at the end."""

from __future__ import annotations

import numpy as np

from cpd.outcome import Curves, Diagnosis, Run
from cpd.verdict.movements import SIGNIFICANT, error, means, scaled, trend
from cpd.verdict.points import Array, filled, matrix
from cpd.verdict.traces import first_after, objective_of, quarters_of

HUGE = 1e15
"""Beyond so many times its size at the start, or 1 where that is less, a number is of no sensible size."""

LARGE = 1e6
"""Beyond so many times, it is where it grew all along, and faster and faster."""

FASTER = 10.0
"""It grew so where each quarter of the run took it so many times as far as the one before."""

MOVING = 5e-3
"""The objective still moves where an eighth of the run takes it by this share of its range over the run."""

LEAST_POINTS = 20
"""Fewer recorded points say nothing of growth."""

FIRST = 3
"""Points whose size is that at the start."""


def growth(run: Run) -> set[Diagnosis]:
    """Say what is beyond any sensible size, though finite: ``unbounded`` where it is the objective, which falls.

    An objective that still falls is ``unbounded`` too where it was seen to go on as it does, far beyond.
    """
    curves = run.curves
    if curves is None or len(curves.steps) < LEAST_POINTS:
        return set()
    objective = filled(matrix(curves.objective, 1))
    grown = _ran_away(objective)
    if grown.any() and objective[-1, 0] < objective[0, 0]:
        return {Diagnosis.UNBOUNDED}
    values = [filled(matrix(points)) for points in curves.constraints.values()]
    if grown.any() or any(_ran_away(own).any() for own in values) or _too_far(run):
        return {Diagnosis.BLOWN_UP}
    recedes = run.ending is not None and run.ending.recedes
    return {Diagnosis.UNBOUNDED} if recedes and still_falls(curves) else set()


def _ran_away(values: Array) -> Array:
    """Which columns have grown beyond a sensible size, ``[K]``."""
    if not len(values) or not values.shape[1]:
        return np.zeros(values.shape[1], bool)
    start = np.maximum(1.0, np.abs(values[:FIRST]).max(0))
    end = np.abs(values[-max(FIRST, len(values) // 20) :]).max(0)
    with np.errstate(over="ignore"):
        halved = np.abs(values / 2 - np.median(values[: len(values) // 20 + FIRST], axis=0) / 2)
        peaks = np.array([part.max(0) for part in np.array_split(halved, 4)])
        faster = (peaks[1:] / FASTER >= peaks[:-1]).all(0)
        return np.asarray((end / start >= HUGE) | ((end / start >= LARGE) & faster))


def _too_far(run: Run) -> bool:
    return run.ending is not None and run.ending.scale >= HUGE


def still_falls(curves: Curves) -> bool:
    """Whether the objective falls at the end of a run beyond noise, and by a part of its range that counts."""
    whole = objective_of(curves)
    first = first_after(curves.steps, 0.5)
    half, steps = whole[first:], curves.steps[first:]
    if len(half) < LEAST_POINTS or len(half) != len(steps):
        return False
    quarters = quarters_of(steps, len(half))
    shares, scale = scaled(half)
    parts = means(shares, quarters)
    seen = max(float(SIGNIFICANT * error(shares)[0]) / 2, MOVING / float(scale[0]))
    return bool(trend(half, quarters, np.array([MOVING]))[0] < 0 and parts[-2, 0] - parts[-1, 0] > seen)
