"""When a constraint holds: oriented violations, tolerances, and the rounding of the dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cpd.outcome import Number, RunKey, finite_or_none
from cpd.verdict.averages import LARGEST, clamped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cpd.verdict.points import Array

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}
"""Spacing of the numbers at 1, by dtype."""

ROUNDING = 8
"""Roundings that a measured value may carry: the slack is this many spacings."""

LEAST = {"float32": 2.0**-150, "float64": 0.0}
"""The most that a level is moved by rounding to the dtype where its spacing no longer shrinks with it, near 0."""


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

    Args:
        value: Finite.
        level: Finite.
        sense: ``<=``, ``>=`` or ``==``.

    Returns:
        A finite number: the largest float where the difference is larger.

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), Section 2, with the sense made explicit.
    """
    return clamped(float(level - value if sense == ">=" else value - level))


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


def level_of(key: RunKey, name: str, bound: Bound) -> float:
    """The level that a run was trained at: its own, or else the spec's."""
    own = finite_or_none(key.levels.get(name))
    return float(bound.level) if own is None else own


def dtype_of(key: RunKey, own: str) -> str:
    """The dtype of a run's numbers: that of its setting, where several are swept, or else the spec's."""
    return str(key.setting.get("train.dtype", own))


def holds(value: Number, level: float, bound: Bound, dtype: str) -> bool:
    """Whether a value, every component of it, is feasible up to the tolerance and the rounding of the dtype.

    ``violation <= tolerance + slack``, see :func:`slack`, with ``|violation|`` for ``==``.

    Args:
        value: A scalar constraint's value, or ``[k]`` values; None is never feasible.
        level: The run's level, which may be swept.
        bound: Gives the sense and the tolerance.
        dtype: ``float32`` or ``float64``: what the value was computed in.
    """
    if isinstance(value, list):
        return bool(value) and all(holds(item, level, bound, dtype) for item in value)
    known = finite_or_none(value)
    return known is not None and beyond(known, level, bound, dtype) <= 0


def beyond(value: float, level: float, bound: Bound, dtype: str) -> float:
    """How far a value is beyond what is allowed, ``violation - tolerance - slack``: 0 or less where it holds."""
    allowed = bound.tolerance + slack(value, level, bound.tolerance, dtype)
    found = excess(oriented(value, level, bound.sense), bound.sense)
    return clamped(float(found - allowed))


def slack(value: float, level: float, tolerance: float, dtype: str) -> float:
    """The most that rounding in the dtype adds to a violation: ``8 eps max(|value|, |level|, tolerance)``.

    Relative to the numbers that are compared, so that a small value is not excused from a smaller level; and exact at
    the level 0, to which nothing is added by rounding.
    """
    return ROUNDING * EPSILON[dtype] * max(abs(value), abs(level), tolerance) + (LEAST[dtype] if level else 0.0)


def violations(values: Array, level: float, sense: str) -> Array:
    """:func:`oriented`, number by number of an array; NaN where one is missing."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.clip(level - values if sense == ">=" else values - level, -LARGEST, LARGEST)


def slacks(values: Array, level: float, tolerance: float, dtype: str) -> Array:
    """:func:`slack`, number by number of an array."""
    import numpy as np

    largest = np.maximum(np.abs(values), max(abs(level), tolerance))
    return ROUNDING * EPSILON[dtype] * largest + (LEAST[dtype] if level else 0.0)


def allowances(values: Array, bound: Bound, level: float, dtype: str) -> Array:
    """The tolerance and what rounding adds to it, number by number of an array."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.minimum(bound.tolerance + slacks(values, level, bound.tolerance, dtype), LARGEST)


def held(values: Array, level: float, bound: Bound, dtype: str) -> NDArray[np.bool_]:
    """:func:`holds`, number by number of an array."""
    found = violations(values, level, bound.sense)
    return (abs(found) if bound.sense == "==" else found) <= allowances(values, bound, level, dtype)


def feasible_share(tail: Sequence[Any], level: float, bound: Bound, dtype: str) -> float | None:
    """Share of the recorded last steps at which the constraint, every component of it that was observed, held.

    Of the steps at which some component was; None without any.
    """
    if not len(tail):
        return None
    import numpy as np

    from cpd.verdict.points import matrix

    values = matrix(tail)
    seen = np.isfinite(values)
    count = int(seen.any(1).sum())
    if not count:
        return None
    return int(((held(values, level, bound, dtype) | ~seen).all(1) & seen.any(1)).sum()) / count
