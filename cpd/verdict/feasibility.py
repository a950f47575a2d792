"""When a constraint holds: oriented violations, tolerances, and the rounding of the dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cpd.outcome import Number, finite_or_none

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}
"""Spacing of the numbers at 1, by dtype."""

ROUNDING = 8
"""Roundings that a measured value may carry: the slack is this many spacings."""


class Bound(Protocol):
    """Level, sense and tolerance of a constraint."""

    @property
    def level(self) -> float:
        """The level of the spec."""

    @property
    def sense(self) -> str:
        """One of ``<=``, ``>=``, ``==``."""

    @property
    def tolerance(self) -> float:
        """The largest strict violation that still counts as feasible."""


def finite(value: Number) -> Number:
    """Put None in place of what is not finite, in a vector too."""
    return [finite_or_none(item) for item in value] if isinstance(value, list | tuple) else finite_or_none(value)


def oriented(value: float, level: float, sense: str) -> float:
    """Orient a value so that zero and below is feasible.

    ``value - level`` for ``<=``, ``level - value`` for ``>=``, ``value - level`` signed for ``==``.

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), Section 2, with the sense made explicit.
    """
    return float(level - value if sense == ">=" else value - level)


def excess(violation: float, sense: str) -> float:
    """Size of a violation, either side of an equality alike: what a tolerance is held against."""
    return abs(violation) if sense == "==" else violation


def violation(value: Number, level: float, sense: str) -> Number:
    """Orient a constraint's value, see :func:`oriented`.

    Args:
        value: A scalar constraint's value, or ``[k]`` values.
        level: The constraint's level.
        sense: ``<=``, ``>=`` or ``==``.

    Returns:
        The violation, shaped like ``value``; None where the value is not finite.
    """
    if isinstance(value, list):
        return [_oriented(item, level, sense) for item in value]
    return _oriented(value, level, sense)


def _oriented(value: float | None, level: float, sense: str) -> float | None:
    known = finite_or_none(value)
    return None if known is None else oriented(known, level, sense)


def holds(value: Number, level: float, bound: Bound, dtype: str) -> bool:
    """Whether a value, every component of it, is feasible up to the tolerance and the rounding of the dtype.

    ``violation <= tolerance + 8 eps max(1, |value|, |level|)``, with ``|violation|`` for ``==``.

    Args:
        value: A scalar constraint's value, or ``[k]`` values; None is never feasible.
        level: The run's level, which may be swept.
        bound: Gives the sense and the tolerance.
        dtype: ``float32`` or ``float64``: what the value was computed in.
    """
    if isinstance(value, list):
        return bool(value) and all(holds(item, level, bound, dtype) for item in value)
    known = finite_or_none(value)
    if known is None:
        return False
    return excess(oriented(known, level, bound.sense), bound.sense) <= bound.tolerance + slack(known, level, dtype)


def slack(value: float, level: float, dtype: str) -> float:
    """The most that rounding in the dtype adds to a violation: ``8 eps max(1, |value|, |level|)``."""
    return ROUNDING * EPSILON[dtype] * max(1.0, abs(value), abs(level))


def feasible_share(tail: Sequence[Number], level: float, bound: Bound, dtype: str) -> float | None:
    """Share of the recorded last steps at which the constraint, every component of it, held; None without any."""
    held = [holds(point, level, bound, dtype) for point in tail]
    return sum(held) / len(held) if held else None
