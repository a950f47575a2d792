"""A number, a list of values or a range with a scale: counted before it is built."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cpd.errors import closest
from cpd.spec.validation import InvalidError, finite, one_of, shown, whole

DIGITS = 12
"""Significant digits of a computed grid point: 0.3 and not 0.30000000000000004."""

RANGE_KEYS = ("min", "max", "num", "scale")

FORMS = ({"values"}, {"min", "max", "num"}, {*RANGE_KEYS})
"""The keys of a grid, exactly."""


@dataclass(frozen=True)
class Values:
    """Values as written."""

    values: tuple[Any, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

    def expand(self) -> list[Any]:
        """All of them, in order."""
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """``num`` values from ``low`` to ``high``, evenly spaced or evenly spaced in their logarithm.

    Attributes:
        whole: Whether both ends were written as whole numbers.
    """

    low: float
    high: float
    num: int
    log: bool
    whole: bool = False

    @property
    def count(self) -> int:
        """How many there are."""
        return self.num

    def expand(self) -> list[float]:
        """All of them, the ends exactly as given, the others rounded to 12 significant digits."""
        if self.num == 1:
            return [self.low]
        inner = (self._point(k) for k in range(1, self.num - 1))
        return [self.low, *(float(f"{point:.{DIGITS}g}") for point in inner), self.high]

    def _point(self, k: int) -> float:
        if not self.log:  # as the decimals that the ends are written in: floats would leave 1e-17 where 0 is meant
            low, high = Fraction(repr(self.low)), Fraction(repr(self.high))
            return float(low + (high - low) * Fraction(k, self.num - 1))
        share = k / (self.num - 1)
        return float(10 ** (math.log10(self.low) * (1 - share) + math.log10(self.high) * share))


Grid = Values | Range


def is_grid(raw: Any) -> bool:
    """Whether a value has exactly the keys of a grid: then it is one wherever a grid may stand."""
    return isinstance(raw, dict) and set(raw) in FORMS


def read_grid(raw: Any, item: Callable[[Any], Any]) -> Grid:
    """Read one value, ``{values: [...]}`` or ``{min, max, num, scale}``.

    Args:
        raw: What the spec has.
        item: Checks and returns one value.

    Raises:
        InvalidError: A value that does not fit, or a grid that is none.
    """
    if not isinstance(raw, dict):
        return Values((item(raw),))
    for key in raw:
        if key not in ("values", *RANGE_KEYS):
            raise InvalidError(f"unknown key '{key}'", closest(key, ("values", *RANGE_KEYS)))
    if "values" in raw:
        return _values(raw, item)
    return _range(raw, item)


def _values(raw: dict[str, Any], item: Callable[[Any], Any]) -> Values:
    values = raw["values"]
    if len(raw) > 1:
        raise InvalidError("values and a range at once", "keep values, or min, max, num and scale")
    if not isinstance(values, list):
        raise InvalidError(f"values: {shown(values)} is not a list", "write {values: [0.1, 1]}")
    if not values:
        raise InvalidError("values is empty", "write {values: [0.1, 1]}")
    return Values(tuple(item(value) for value in values))


def _range(raw: dict[str, Any], item: Callable[[Any], Any]) -> Range:
    missing = [key for key in ("min", "max", "num") if key not in raw]
    if missing:
        raise InvalidError(f"a grid without {missing[0]}", "write {values: [0.1, 1]} or {min: 0.1, max: 1, num: 5}")
    low, high = (finite(item(raw[key])) for key in ("min", "max"))
    num = _named("num", whole(1), raw["num"])
    log = _named("scale", one_of("linear", "log"), raw.get("scale", "linear")) == "log"
    if low > high:
        raise InvalidError(f"min {low:g} is above max {high:g}", "swap them")
    if log and low <= 0:
        raise InvalidError(f"a log grid cannot start at {low:g}", "start above 0; {values: [0, ...]} may hold 0")
    return Range(low, high, num, log, all(isinstance(raw[key], int) for key in ("min", "max")))


def _named(key: str, check: Callable[[Any], Any], value: Any) -> Any:
    """Check a value and name its key where it does not fit."""
    try:
        return check(value)
    except InvalidError as error:
        raise InvalidError(f"{key}: {error.message}", error.hint) from None
