"""Regula falsi with the Illinois modification: fewer trainings where the value answers smoothly."""

from __future__ import annotations

import math
from itertools import pairwise

from cpd.search.bisection import equal_parts
from cpd.search.bracket import Bracket, State
from cpd.search.cuts import cuts
from cpd.search.jump import gap

CLIP = 1e-6
"""Rates are kept this far from 0 and 1, where the logit is infinite."""
MARGIN = 0.02
"""An estimate nearer than this share of the bracket to one of its ends is not trained."""
PATIENCE = 3
"""The bracket, and the gap between its values, must have halved within so many rounds, or the next is a bisection."""


def regula_falsi(state: State, count: int) -> tuple[float, ...]:
    """Train where the straight line through the two ends crosses zero.

    With ``t = log c`` and ``y = logit(value) - logit(target)`` (``value - target`` where one of them is not a rate):
    ``t = t_low + (t_high - t_low) * y_low / (y_low - y_high)``, where ``y`` of an end kept for ``r >= 2`` rounds in a
    row is divided by ``2^(r - 1)`` (Illinois), so that neither end stays for ever.

    The bracket is cut in equal parts instead when an end diverged, when the estimate is within ``MARGIN`` of an end, or
    when the last ``PATIENCE`` rounds did not halve it or the gap between its values: so it halves at least every
    ``PATIENCE + 1`` rounds, whatever the values are.

    Args:
        state: A search with a bracket.
        count: With more than one, the others cut the bracket into ``count`` equal parts.

    Source: Dowell and Jarratt, "A modified regula falsi method for computing the root of an equation", BIT 11 (1971).
    """
    estimate = _estimate(state)
    if estimate is None:
        return equal_parts(state, count)
    inside = cuts(state.brackets[-1], (estimate, *(i / count for i in range(1, count))))
    return inside or equal_parts(state, count)


def _estimate(state: State) -> float | None:
    """The crossing as a fraction of the bracket's log width, or None where bisection is the better step."""
    bracket = state.brackets[-1]
    if bracket.low.diverged or bracket.high.diverged or _stalled(state):
        return None
    y_low, y_high = (abs(y) for y in _offsets(state, bracket))
    y_low *= 0.5 ** max(0, _rounds_kept(state.brackets, "low") - 1)
    y_high *= 0.5 ** max(0, _rounds_kept(state.brackets, "high") - 1)
    if not 0 < y_low + y_high < math.inf:
        return None
    fraction = y_low / (y_low + y_high)
    return fraction if MARGIN <= fraction <= 1 - MARGIN else None


def _offsets(state: State, bracket: Bracket) -> tuple[float, float]:
    """``y`` at the low and the high end; they have opposite signs."""
    values = (bracket.low.value, bracket.high.value)
    if all(0 <= number <= 1 for number in (state.target, *values)):
        return _logit(values[0]) - _logit(state.target), _logit(values[1]) - _logit(state.target)
    return values[0] - state.target, values[1] - state.target


def _logit(rate: float) -> float:
    """``log(p / (1 - p))`` with p kept within ``[CLIP, 1 - CLIP]``."""
    p = min(max(rate, CLIP), 1 - CLIP)
    return math.log(p / (1 - p))


def _stalled(state: State) -> bool:
    """Whether the last ``PATIENCE`` rounds left more than half of the bracket, or of the gap between its values."""
    if len(state.brackets) <= PATIENCE:
        return False
    earlier, now = state.brackets[-1 - PATIENCE], state.brackets[-1]
    return now.decades > 0.5 * earlier.decades or gap(state, now) > 0.5 * gap(state, earlier)


def _rounds_kept(brackets: tuple[Bracket, ...], end: str) -> int:
    """For how many rounds in a row the bracket's ``low`` or ``high`` end has stayed where it is."""
    kept = 0
    for older, newer in pairwise(reversed(brackets)):
        if getattr(older, end) != getattr(newer, end):
            break
        kept += 1
    return kept
