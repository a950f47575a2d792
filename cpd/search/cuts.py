"""Where a bracket is cut: coefficients of few digits while they tell apart, of all digits once they do not."""

from __future__ import annotations

import math

from cpd.search.bracket import Bracket, State

ROUNDED = 1e-8
"""Decades of a bracket above which coefficients have 12 significant digits; below, all that a float has."""
FLOATS = 2.0**-49
"""Relative width at which a bracket is as narrow as double precision can cut it, rounding of the cut included."""


def cuts(bracket: Bracket, fractions: tuple[float, ...]) -> tuple[float, ...]:
    """Coefficients at fractions of the bracket's log width.

    Args:
        bracket: Where to cut.
        fractions: Each in (0, 1), in any order.

    Returns:
        Increasing, without duplicates, strictly inside the bracket; fewer than asked for, or none, where the floats
        between its ends are fewer. Printed in full and typed in again, each names the same run.
    """
    low, high = bracket.low.coefficient, bracket.high.coefficient
    return tuple(sorted({c for fraction in fractions if low < (c := _at(bracket, fraction)) < high}))


def exhausted(state: State) -> bool:
    """Whether no coefficient that training could tell from the ends lies inside the last bracket."""
    bracket = state.brackets[-1]
    width = bracket.high.coefficient / bracket.low.coefficient - 1
    return width <= max(state.spacing, FLOATS) or not cuts(bracket, (0.5,))


def _at(bracket: Bracket, fraction: float) -> float:
    low, high = bracket.low.coefficient, bracket.high.coefficient
    if bracket.decades > ROUNDED:
        return float(f"{10 ** (math.log10(low) + fraction * bracket.decades):.12g}")
    return low * math.exp(fraction * math.log1p((high - low) / low))
