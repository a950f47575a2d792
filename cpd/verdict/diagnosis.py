"""The reason why a run did not settle, read off its last tenth and its recorded curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from cpd.outcome import Diagnosis, Run, Status
from cpd.verdict.feasibility import Bound, excess
from cpd.verdict.traces import Trace, traces_of

DIAGNOSES: Mapping[str, str] = {
    "oscillating": (
        "The constraint swings across its level again and again instead of settling, so the last iterate is a matter "
        "of luck: lower dual_lr, or damp the multiplier: nupi with a larger kp, augmented_lagrangian with a larger "
        "penalty."
    ),
    "multiplier_diverging": (
        "The multiplier grows without end while the violated constraint no longer moves: the level is probably out of "
        "reach for this model, so relax it, give the model more room, or check that the surrogate can reach it."
    ),
    "budget_exhausted": (
        "The run was still moving when its steps ran out, so its verdict is not final: raise train.steps "
        "(or train.epochs), or take larger steps (dual_lr, the optimizer's lr)."
    ),
    "vanishing_constraint_gradient": (
        "The model sits where the constraint's gradient vanishes, so the multiplier diverges without moving it: start "
        "elsewhere, use a surrogate that does not saturate there, or try nupi or augmented_lagrangian, which damp the "
        "overshoot that leads there."
    ),
}
"""The meaning of each diagnosis and what to do about it, by its name in the document."""

VANISHING = 1e-3
"""A constraint's gradient has vanished below this share of the largest one seen in the run."""

STEADY = 0.05
"""A violation stays where it is when it moves by less than this share of itself over the last tenth."""

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

SEVERITY = (
    Diagnosis.VANISHING_CONSTRAINT_GRADIENT,
    Diagnosis.MULTIPLIER_DIVERGING,
    Diagnosis.OSCILLATING,
    Diagnosis.BUDGET_EXHAUSTED,
)


def diagnose(run: Run, constraints: Mapping[str, Bound], *, dtype: str = "float32") -> Diagnosis | None:
    """Say why a run did not settle, or None where it did (at a feasible point or not).

    Component by component of every constraint, the first rule that applies; the gravest finding of all is returned.

    - *stuck*: violated all through the tail, its multiplier moved outwards, and the violation did not shrink. Then
      ``vanishing_constraint_gradient`` where the constraint's gradient fell below 1e-3 of its largest;
      ``multiplier_diverging`` where ``|multiplier * violation|`` outweighs every objective seen, so that the
      Lagrangian would rather give up all else; ``budget_exhausted`` while the multiplier is still too small for that.
    - ``oscillating``: at least 3 crossings from beyond the tolerance on one side to beyond it on the other, over the
      tail or (for slow ones) the second half of the run, that repeat, unlike minibatch noise, and do not die out;
      ``budget_exhausted`` where they were dying out. A feasible run is excused when its constraint held at 90 % of
      its last steps.
    - ``budget_exhausted``: the violation drifted steadily over the tail by more than the tolerance and beyond noise.
      A feasible inequality is excused when it drifts further inside.

    Runs that diverged or failed have their own status and no diagnosis; nor has a run without a recorded tail.

    Args:
        run: A finished run.
        constraints: Sense and tolerance of each; the levels are the run's own.
        dtype: Of the values.
    """
    if run.status is not Status.COMPLETED:
        return None
    found = {
        _diagnose(trace)
        for name, outcome in run.constraints.items()
        if name in constraints
        for trace in traces_of(run, name, outcome, constraints[name], dtype)
    }
    return next((diagnosis for diagnosis in SEVERITY if diagnosis in found), None)


def _diagnose(trace: Trace) -> Diagnosis | None:
    if len(trace.tail) < 2 * SWINGS:
        return None
    if not trace.feasible and _is_stuck(trace):
        return _stuck(trace)
    return _swinging(trace) or (Diagnosis.BUDGET_EXHAUSTED if _still_moves(trace) else None)


def _is_stuck(trace: Trace) -> bool:
    side = math.copysign(1, trace.tail[-1])
    violated = all(side * v > trace.tolerance for v in trace.tail)
    outwards = len(trace.multipliers) > 1 and side * (trace.multipliers[-1] - trace.multipliers[0]) > 0
    quarters = _quarter_means(trace.tail)
    shrunk = abs(quarters[0]) - abs(quarters[-1])
    return violated and outwards and shrunk <= max(trace.tolerance, STEADY * abs(quarters[-1]))


def _stuck(trace: Trace) -> Diagnosis:
    if trace.gradient_norm is not None and trace.gradient_norm <= VANISHING:
        return Diagnosis.VANISHING_CONSTRAINT_GRADIENT
    if abs(trace.multipliers[-1] * trace.tail[-1]) > trace.worth:
        return Diagnosis.MULTIPLIER_DIVERGING
    return Diagnosis.BUDGET_EXHAUSTED


def _swinging(trace: Trace) -> Diagnosis | None:
    """Oscillating where swings last, out of budget where they were still dying out."""
    inside = [excess(v, trace.sense) <= trace.tolerance for v in trace.tail]
    if trace.feasible and sum(inside) >= MOSTLY_HELD * len(inside):
        return None
    if not any(_swings(values, trace.tolerance) for values in (trace.tail, trace.second_half)):
        return None
    in_tail, in_half = _kept_width(trace.tail), _kept_width(trace.second_half)
    dying = in_tail < LASTING or (in_half < LASTING and in_tail < NEARLY_ALL)
    return Diagnosis.BUDGET_EXHAUSTED if dying else Diagnosis.OSCILLATING


def _swings(values: Sequence[float], tolerance: float) -> bool:
    """Whether values cross zero again and again, beyond the tolerance and in a repeating way."""
    sides = [v > 0 for v in values if abs(v) > tolerance]
    crossings = sum(a != b for a, b in pairwise(sides))
    return crossings >= SWINGS and max(abs(_correlation(values, lag)) for lag in (1, 2, 3)) > CORRELATION


def _kept_width(values: Sequence[float]) -> float:
    """Width of the range of the second half of the values, relative to the first half's."""
    if len(values) < 2 * SWINGS:
        return 1.0
    middle = len(values) // 2
    early, late = (max(part) - min(part) for part in (values[:middle], values[middle:]))
    return late / early if early > 0 else 1.0


def _still_moves(trace: Trace) -> bool:
    quarters = _quarter_means(trace.tail)
    drift = quarters[-1] - quarters[0]
    steady = quarters in (sorted(quarters), sorted(quarters, reverse=True))
    further_inside = trace.feasible and trace.sense != "==" and drift < 0
    return steady and not further_inside and abs(drift) > max(trace.tolerance, SIGNIFICANT * _error(trace.tail))


def _quarter_means(values: Sequence[float]) -> list[float]:
    ends = [round(k * len(values) / 4) for k in range(5)]
    return [fmean(values[a:b]) for a, b in pairwise(ends)]


def _error(values: Sequence[float]) -> float:
    """Standard error of the difference of two quarter means, from the differences of neighbouring values.

    Neighbours share a slow drift, so what is left between them is noise: ``var = mean (v_i - v_{i+1})^2 / 2``.
    """
    noise = fmean((a - b) ** 2 for a, b in pairwise(values)) / 2
    return math.sqrt(2 * noise / (len(values) / 4))


def _correlation(values: Sequence[float], lag: int) -> float:
    mean = fmean(values)
    spread = math.fsum((v - mean) ** 2 for v in values)
    products = math.fsum((a - mean) * (b - mean) for a, b in zip(values, values[lag:], strict=False))
    return products / spread if spread > 0 else 0.0
