"""When a constraint holds: oriented violations, tolerances, and the rounding of the dtype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from cpd.outcome import Number

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}
"""Spacing of the numbers at 1, by dtype."""

ROUNDING = 8
"""Roundings that a measured value may carry: the slack is this many spacings."""


class Bound(Protocol):
    """What a constraint demands of its value."""

    @property
    def level(self) -> float:
        """The level of the spec."""

    @property
    def sense(self) -> str:
        """One of ``<=``, ``>=``, ``==``."""

    @property
    def tolerance(self) -> float:
        """How large a strict violation still counts as feasible."""


def finite(value: Any) -> Number:
    """A number or a list of them, with None in place of what is not finite."""
    if isinstance(value, list | tuple):
        return [x if isinstance(x := finite(item), float) else None for item in value]
    return float(value) if value is not None and math.isfinite(value) else None


def violation(value: Number, level: float, sense: str) -> Number:
    """Orient a value so that zero and below is feasible.

    ``value - level`` for ``<=``, ``level - value`` for ``>=``, ``value - level`` signed for ``==``.

    Args:
        value: A scalar constraint's value, or ``[k]`` values.
        level: The constraint's level.
        sense: ``<=``, ``>=`` or ``==``.

    Returns:
        The violation, shaped like ``value``; None where the value is not finite.

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), Section 2, with the sense made explicit.
    """
    if isinstance(value, list):
        return [x if isinstance(x := violation(item, level, sense), float) else None for item in value]
    if value is None or not math.isfinite(value):
        return None
    return float(level - value if sense == ">=" else value - level)


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
    oriented = violation(value, level, bound.sense)
    if value is None or not isinstance(oriented, float):
        return False
    excess = abs(oriented) if bound.sense == "==" else oriented
    return excess <= bound.tolerance + slack(value, level, dtype)


def slack(value: float, level: float, dtype: str) -> float:
    """What rounding in the dtype may add to a violation: ``8 eps max(1, |value|, |level|)``."""
    return ROUNDING * EPSILON[dtype] * max(1.0, abs(value), abs(level))


def feasible_share(tail: Sequence[Number], level: float, bound: Bound, dtype: str) -> float | None:
    """Share of the recorded last steps at which the constraint, every component of it, held; None without any."""
    held = [holds(point, level, bound, dtype) for point in tail]
    return sum(held) / len(held) if held else None
