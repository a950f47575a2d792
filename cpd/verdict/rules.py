"""The rules of the diagnoses, for all components of a constraint at once: pure arithmetic on arrays."""

from __future__ import annotations

import numpy as np

from cpd.outcome import Diagnosis
from cpd.verdict.movements import SIGNIFICANT, STEADY, Truths, blocks, correlation, drifts, moves, over, scaled, trend
from cpd.verdict.points import Array
from cpd.verdict.traces import Traces, even_quarters

STIRS = 1e-3
"""An objective moves when it does so by this share of its range over the run."""

AT_REST = 0.9
"""A vector's violated components share a model, which is at rest when at least this share of them is."""

SWINGS = 3
"""Crossings from one side of the level to the other, beyond the tolerance, that make an oscillation."""

LASTING = 0.5
"""Swings die out when a second half, of the tail or of what was recorded last, is less than this share as wide."""

GETS_ON = 1e-3
"""Where its gradient has vanished, a violation gets nowhere that drifts by less than this share over the tail."""

BLOCKS = 20
"""Parts of a whole run whose means are compared."""

NEARLY_ALL = 0.9
"""Swings that keep this share of their width over the tail last, whatever transient came before it."""

MOSTLY_HELD = 0.9
"""A feasible run that held its constraint at this share of its last steps is not called oscillating."""

CORRELATION = 0.3
"""Swings repeat, unlike minibatch noise, when values 1, 2 or 3 points apart correlate beyond this, either way."""

REPEATS = 0.4
"""A curve goes round where it correlates with itself beyond this half a turn on (opposed) and a turn on."""

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
    quarters = even_quarters(len(traces.tail))
    least = np.maximum(traces.rounding, GETS_ON * np.abs(traces.tail[-1]))
    flat = ~moves(traces.tail, quarters, 0.0) & ~drifts(traces.tail, quarters, least) & traces.gone
    vanishing = flat & ~_lowered(traces)
    throughout = (side * traces.half > traces.tolerance).all(0) & (len(traces.half) >= LEAST_POINTS)
    diverging = np.zeros_like(throughout)
    if throughout.any():
        rests = throughout & (~moves(traces.half, traces.quarters, SIGNIFICANT) | _rests_on_judged_data(traces))
        rests &= ~drifts(traces.half, traces.quarters, traces.rounding)
        if rests.sum() >= AT_REST * throughout.sum():
            diverging = rests & ~_waits(traces) & _grew(traces.multipliers, side)
    diverging = (diverging & ~vanishing) | (flat & ~vanishing)
    return {
        Diagnosis.VANISHING_CONSTRAINT_GRADIENT: vanishing,
        Diagnosis.MULTIPLIER_DIVERGING: diverging,
        Diagnosis.BUDGET_EXHAUSTED: throughout & ~vanishing & ~diverging,
    }


def _rests_on_judged_data(traces: Traces) -> Truths:
    """Whether values on the judged data stand still over the last tenth, where minibatches are too noisy to say.

    By a fifth of what is allowed over half of the run; of what drifts at an even pace nothing is.
    """
    if len(traces.checked) < LEAST_POINTS:
        return np.zeros(traces.tail.shape[1], bool)
    quarters = even_quarters(len(traces.checked))
    still = ~moves(traces.checked, quarters, SIGNIFICANT, STEADY / 5)
    return still & ~drifts(traces.checked, quarters, traces.rounding)


def _lowered(traces: Traces) -> Truths:
    """Whether a violation was brought down to where it ends, the least of the run: there is no way on from there."""
    if len(traces.whole) < 2 * BLOCKS:
        return np.zeros(traces.tail.shape[1], bool)
    shares, _ = scaled(np.abs(traces.whole))
    parts, doubt = blocks(shares, BLOCKS)
    width, doubt = np.ptp(parts, axis=0), SIGNIFICANT * doubt
    return (width > STEADY * parts[-1] + doubt) & (parts[-1] - parts.min(0) <= STEADY * width + doubt)


def _grew(multipliers: Array, side: Array) -> Truths:
    """Whether a multiplier grew outwards by a share of itself that a violation ought to answer to."""
    shares, _ = scaled(multipliers[[0, -1]])
    return side * (shares[-1] - shares[0]) >= STEADY * np.abs(shares[-1])


def _waits(traces: Traces) -> Truths:
    """Whether the objective tells that a multiplier is too small as yet for a violation to answer to it.

    It still falls; or, while a strict value stands still to the digit as counts do, it drifts at an even pace. Neither
    depends on the objective's offset or scale.
    """
    shares, scale = scaled(traces.half)
    still = np.ptp(shares, axis=0) <= over(traces.rounding, scale)
    if len(traces.objective) != len(traces.half):
        return np.zeros_like(still)
    least = np.array([STIRS])
    falls = trend(traces.objective, traces.quarters, least) < 0
    return falls | (still & drifts(traces.objective, traces.quarters, least))


def _moving(traces: Traces) -> set[Diagnosis]:
    """Oscillating where swings last; out of budget where they were dying out, or where the tail drifts."""
    judged = traces.checked if len(traces.checked) else traces.tail
    inside = (np.abs(judged) if traces.sense == "==" else judged) <= traces.tolerance
    excused = traces.feasible & (inside.mean(0) >= MOSTLY_HELD)
    suspects = np.flatnonzero(~excused)
    tail, half, tolerance = traces.tail[:, suspects], traces.half[:, suspects], traces.tolerance[suspects]
    swinging = np.zeros_like(excused)
    swinging[suspects] = _swings(tail, tolerance) | _swings(half, tolerance)
    if len(traces.checked):  # behind the noise of minibatches: the multiplier adds up what they say
        swinging[suspects] |= _cycles(traces.multipliers[:, suspects])
        swinging &= np.ptp(traces.checked / 2, axis=0) > traces.tolerance  # of other data it is elsewhere, as wide
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
    again[again] = np.max([np.abs(correlation(values[:, again], lag)) for lag in (1, 2, 3)], axis=0) > CORRELATION
    return again


def _cycles(values: Array) -> Truths:
    """Whether a multiplier goes round and round: half a turn on it is opposed to itself, a turn on it is as it was.

    What strays without a period, as around a solution, is like itself for a while, and then like nothing.
    """
    found = np.zeros(values.shape[1], bool)
    longest = len(values) // SWINGS
    if longest < 2 or not np.isfinite(values).all():
        return found
    alike = np.array([correlation(values, lag) for lag in range(1, longest + 1)])
    half = alike.argmin(0)
    for k, at in enumerate(half):
        found[k] = alike[at, k] < -REPEATS and alike[at:, k].max() > REPEATS
    return found


def _kept_width(values: Array) -> Array:
    """Width of the range of the second half of the values, relative to the first half's."""
    if len(values) < LEAST_POINTS:
        return np.ones(values.shape[1])
    shares, _ = scaled(values)
    middle = len(values) // 2
    early, late = np.ptp(shares[:middle], axis=0), np.ptp(shares[middle:], axis=0)
    return np.where(early > 0, over(late, np.where(early > 0, early, 1)), 1)


def _still_moves(traces: Traces) -> Truths:
    way = trend(traces.tail, even_quarters(len(traces.tail)), traces.tolerance)
    further_inside = traces.feasible & (traces.sense != "==") & (way < 0)
    return (way != 0) & ~further_inside
