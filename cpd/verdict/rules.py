"""The rules of the diagnoses, for all components of a constraint at once: pure arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cpd.outcome import Diagnosis
from cpd.verdict.points import Array
from cpd.verdict.traces import Traces, even_quarters

Truths = Any  # NDArray[np.bool_], which numpy's own reductions do not say of themselves

VANISHING = 1e-3
"""A constraint's gradient has vanished below this share of the largest one seen in the run."""

STEADY = 0.05
"""A number stays where it is when it moves by less than this share of itself, unless it drifts at an even pace."""

PACE = 0.9
"""A drift keeps its pace when the last quarter's part of it is at least this share of the first one's."""

STIRS = 1e-3
"""An objective moves when it does so by this share of its range over the run."""

AT_REST = 0.9
"""A vector's violated components share a model, which is at rest when at least this share of them is."""

SWINGS = 3
"""Crossings from one side of the level to the other, beyond the tolerance, that make an oscillation."""

LASTING = 0.5
"""Swings die out when a second half, of the tail or of what was recorded last, is less than this share as wide."""

NEARLY_ALL = 0.9
"""Swings that keep this share of their width over the tail last, whatever transient came before it."""

MOSTLY_HELD = 0.9
"""A feasible run that held its constraint at this share of its last steps is not called oscillating."""

CORRELATION = 0.3
"""Swings repeat, unlike minibatch noise, when values 1, 2 or 3 points apart correlate beyond this, either way."""

SIGNIFICANT = 4.0
"""A drift shows through noise when it is this many standard errors wide."""

LEAST_POINTS = 2 * SWINGS
"""Fewer points say nothing."""


def findings(traces: Traces) -> set[Diagnosis]:
    """What is found on any of the components; see :func:`cpd.verdict.diagnosis.diagnose`."""
    if len(traces.tail) < LEAST_POINTS or not traces.tail.shape[1]:
        return set()
    pressed = ~traces.feasible & _pressed(traces)
    stuck = _stuck(traces.only(pressed)) if pressed.any() else {}
    rest = np.ones_like(pressed)
    rest[pressed] = ~np.any([*stuck.values()], axis=0)
    found = {diagnosis for diagnosis, where in stuck.items() if where.any()}
    return found | (_moving(traces.only(rest)) if rest.any() else set())


def _pressed(traces: Traces) -> Truths:
    """Violated all through the tail, with a multiplier that still moved outwards."""
    side = _side(traces)
    return (side * traces.tail > traces.tolerance).all(0) & _outwards(traces.multipliers[traces.late :], side)


def _side(traces: Traces) -> Array:
    """The side of the level, 1 or -1, on which each component ended."""
    return np.asarray(np.copysign(1.0, traces.tail[-1]))


def _outwards(multipliers: Array, side: Array) -> Truths:
    if len(multipliers) < 2:
        return np.zeros(len(side), bool)
    return side * multipliers[-1] > side * multipliers[0]


def _stuck(traces: Traces) -> dict[Diagnosis, Truths]:
    """Which pressed components are stuck in which way; those in none may swing."""
    side = _side(traces)
    gone = traces.gradient_norm is not None and traces.gradient_norm <= VANISHING
    quarters = even_quarters(len(traces.tail))
    vanishing = ~_moves(traces.tail, quarters, 0.0) & ~_drifts(traces.tail, quarters, traces.rounding) & gone
    throughout = (side * traces.half > traces.tolerance).all(0) & (len(traces.half) >= LEAST_POINTS)
    diverging = np.zeros_like(throughout)
    if throughout.any():
        rests = throughout & ~_moves(traces.half, traces.quarters, SIGNIFICANT)
        rests &= ~_drifts(traces.half, traces.quarters, traces.rounding)
        if rests.sum() >= AT_REST * throughout.sum():
            diverging = rests & ~_waits(traces) & _grew(traces.multipliers, side) & ~vanishing
    return {
        Diagnosis.VANISHING_CONSTRAINT_GRADIENT: vanishing,
        Diagnosis.MULTIPLIER_DIVERGING: diverging,
        Diagnosis.BUDGET_EXHAUSTED: throughout & ~vanishing & ~diverging,
    }


def _grew(multipliers: Array, side: Array) -> Truths:
    """Whether a multiplier grew outwards by a share of itself that a violation ought to answer to."""
    scaled, _ = _scaled(multipliers[[0, -1]])
    return side * (scaled[-1] - scaled[0]) >= STEADY * np.abs(scaled[-1])


def _waits(traces: Traces) -> Truths:
    """Whether the objective tells that a multiplier is too small as yet for a violation to answer to it.

    It still falls; or, while a strict value stands still to the digit as counts do, it drifts at an even pace. Neither
    depends on the objective's offset or scale.
    """
    scaled, scale = _scaled(traces.half)
    still = np.ptp(scaled, axis=0) <= _over(traces.rounding, scale)
    if len(traces.objective) != len(traces.half):
        return np.zeros_like(still)
    least = np.array([STIRS])
    falls = _trend(traces.objective, traces.quarters, least) < 0
    return falls | (still & _drifts(traces.objective, traces.quarters, least))


def _moving(traces: Traces) -> set[Diagnosis]:
    """Oscillating where swings last; out of budget where they were dying out, or where the tail drifts."""
    inside = (np.abs(traces.tail) if traces.sense == "==" else traces.tail) <= traces.tolerance
    excused = traces.feasible & (inside.mean(0) >= MOSTLY_HELD)
    suspects = np.flatnonzero(~excused)
    tail, half, tolerance = traces.tail[:, suspects], traces.half[:, suspects], traces.tolerance[suspects]
    swinging = np.zeros_like(excused)
    swinging[suspects] = _swings(tail, tolerance) | _swings(half, tolerance)
    suspects = np.flatnonzero(swinging)
    in_tail, in_half = _kept_width(traces.tail[:, suspects]), _kept_width(traces.half[:, suspects])
    dying = (in_tail < LASTING) | ((in_half < LASTING) & (in_tail < NEARLY_ALL))
    found = {Diagnosis.OSCILLATING} if not dying.all() else set()
    return found | ({Diagnosis.BUDGET_EXHAUSTED} if dying.any() or (_still_moves(traces) & ~swinging).any() else set())


def _swings(values: Array, tolerance: Array) -> Truths:
    """Whether values cross zero again and again, beyond the tolerance and in a repeating way."""
    if len(values) < 2:
        return np.zeros(len(tolerance), bool)
    sides = np.where(np.abs(values) > tolerance, np.sign(values), 0)
    last = np.maximum.accumulate(np.where(sides != 0, np.arange(len(sides))[:, None], 0), axis=0)
    sides = np.take_along_axis(sides, last, axis=0)
    crossings = (sides[1:] * sides[:-1] < 0).sum(0)
    again = crossings >= SWINGS
    again[again] = np.max([np.abs(_correlation(values[:, again], lag)) for lag in (1, 2, 3)], axis=0) > CORRELATION
    return again


def _kept_width(values: Array) -> Array:
    """Width of the range of the second half of the values, relative to the first half's."""
    if len(values) < LEAST_POINTS:
        return np.ones(values.shape[1])
    scaled, _ = _scaled(values)
    middle = len(values) // 2
    early, late = np.ptp(scaled[:middle], axis=0), np.ptp(scaled[middle:], axis=0)
    return np.where(early > 0, _over(late, np.where(early > 0, early, 1)), 1)


def _still_moves(traces: Traces) -> Truths:
    trend = _trend(traces.tail, even_quarters(len(traces.tail)), traces.tolerance)
    further_inside = traces.feasible & (traces.sense != "==") & (trend < 0)
    return (trend != 0) & ~further_inside


def _moves(values: Array, quarters: Sequence[int], doubt: float) -> Truths:
    """Whether values change by a share of themselves, or may do so behind ``doubt`` standard errors of noise."""
    scaled, _ = _scaled(values)
    means = _means(scaled, quarters)
    return np.ptp(means, axis=0) + doubt * _error(scaled) > STEADY * np.abs(means[-1])


def _trend(values: Array, quarters: Sequence[int], least: Array) -> Array:
    """Which way values move beyond noise, and by more than the least: 1 up, -1 down, 0 neither."""
    scaled, scale = _scaled(values)
    means = _means(scaled, quarters)
    drift = means[-1] - means[0]
    seen = np.maximum(SIGNIFICANT * _error(scaled), _over(least, scale))
    return np.where(_monotone(means) & (np.abs(drift) > seen), np.sign(drift), 0)


def _drifts(values: Array, quarters: Sequence[int], least: Array) -> Truths:
    """Whether values move one way, see :func:`_trend`, however slowly, and in the end as fast as before."""
    scaled, _ = _scaled(values)
    means = _means(scaled, quarters)
    first, last = np.abs(means[1] - means[0]), np.abs(means[-1] - means[-2])
    return (_trend(values, quarters, least) != 0) & (last + SIGNIFICANT * _error(scaled) >= PACE * first)


def _scaled(values: Array) -> tuple[Array, Array]:
    """Each column divided by its largest number, so that no square or difference overflows, and that number."""
    largest = np.abs(values).max(0, initial=0)
    scale = np.where(largest > 0, largest, 1)
    return values / scale, scale


def _over(least: Array, scale: Array) -> Array:
    """A ratio that may be infinite: a bound, say, in the units of scaled values."""
    with np.errstate(over="ignore"):
        return least / scale


def _means(values: Array, quarters: Sequence[int]) -> Array:
    return np.array([values[a:b].mean(0) for a, b in pairwise(quarters)])


def _monotone(means: Array) -> Truths:
    steps = np.diff(means, axis=0)
    return (steps >= 0).all(0) | (steps <= 0).all(0)


def _error(values: Array) -> Array:
    """Standard error of the difference of two quarter means, from the differences of neighbouring values.

    Neighbours share a slow drift, so what is left between them is noise: ``var = mean (v_i - v_{i+1})^2 / 2``.
    """
    noise = (np.diff(values, axis=0) ** 2).mean(0) / 2
    return np.asarray(np.sqrt(2 * noise / (len(values) / 4)))


def _correlation(values: Array, lag: int) -> Array:
    scaled, _ = _scaled(values)
    apart = scaled - scaled.mean(0)
    spread, products = (apart**2).sum(0), (apart[:-lag] * apart[lag:]).sum(0)
    return np.where(spread > 0, products / np.where(spread > 0, spread, 1), 0)
