"""Hyperparameter values as a spec or the command line writes them: numbers, lists of values, ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cpd.errors import CpdError, closest

DIGITS = 12
"""Significant digits of a range's values, so that the same grid gives the same runs wherever it is expanded."""

_RANGE = ("min", "max", "num", "scale")


def values_of(given: Any, place: str) -> list[Any]:
    """Expand what a spec gives for one hyperparameter: a value, ``{values: [...]}`` or ``{min, max, num, scale}``.

    Raises:
        CpdError: An empty list, an unknown key, a range that cannot be.
    """
    if not isinstance(given, dict):
        return [given]
    unknown = [key for key in given if key not in ("values", *_RANGE)]
    if unknown:
        raise CpdError(f"unknown key '{unknown[0]}'", place=place, hint=closest(unknown[0], ("values", *_RANGE)))
    if "values" in given:
        if len(given) > 1:
            raise CpdError("has both values and a range", place=place, hint="keep one of the two")
        return _listed(given["values"], place)
    missing = [key for key in ("min", "max", "num") if key not in given]
    if missing:
        raise CpdError(f"the range lacks '{missing[0]}'", place=place, hint="write {min: A, max: B, num: N, scale: log}")
    return spaced(given["min"], given["max"], given["num"], given.get("scale", "linear"), place)


def _listed(values: Any, place: str) -> list[Any]:
    if not isinstance(values, list):
        raise CpdError(f"values is {values!r}", place=place, hint="write a list, e.g. values: [0.1, 1]")
    if not values:
        raise CpdError("values is empty", place=place, hint="give at least one value")
    return values


def spaced(low: Any, high: Any, num: Any, scale: Any, place: str) -> list[float]:
    """``num`` values from ``low`` to ``high``, both included.

    Args:
        low: First value.
        high: Last value, at least ``low``.
        num: 1 (only where both ends are equal) or more.
        scale: ``log`` or ``linear``.
        place: Named in errors.
    """
    low, high = number(low, f"{place}.min"), number(high, f"{place}.max")
    if isinstance(num, bool) or not isinstance(num, int) or num < 1:
        raise CpdError(f"num is {num!r}", place=place, hint="give a whole number, at least 1")
    if scale not in ("log", "linear"):
        raise CpdError(f"scale is {scale!r}", place=place, hint=closest(str(scale), ("log", "linear")))
    if low > high:
        raise CpdError(f"min {low:g} is above max {high:g}", place=place, hint="swap them")
    if scale == "log" and low <= 0:
        raise CpdError(
            f"a log scale cannot start at {low:g}", place=place, hint="start above 0, or list the values: values: [0, ...]"
        )
    if num == 1 and low != high:
        raise CpdError("num is 1 but min and max differ", place=place, hint="give a larger num")
    shares = [k / (num - 1) for k in range(num)] if num > 1 else [0.0]
    if scale == "log":
        raw = [10 ** (math.log10(low) + s * (math.log10(high) - math.log10(low))) for s in shares]
    else:
        raw = [low + s * (high - low) for s in shares]
    return [low, *(float(f"{v:.{DIGITS}g}") for v in raw[1:-1]), high] if num > 1 else [low]


def number(value: Any, place: str) -> float:
    """A finite number, or an error that names the value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CpdError(f"{value!r} is not a number", place=place, hint="give a number, e.g. 0.1 or 1e-3")
    if not math.isfinite(value):
        raise CpdError(f"{value} is not finite", place=place, hint="give a finite number")
    return float(value) + 0.0


def parse_values(text: str, place: str) -> Any:
    """Read the command line's ``min:max:num[:scale]``, ``a,b,c`` or one value."""
    if ":" in text:
        parts = text.split(":")
        if len(parts) not in (3, 4):
            raise CpdError(f"'{text}' is no range", place=place, hint="write MIN:MAX:NUM or MIN:MAX:NUM:log")
        low, high, num = (word(part) for part in parts[:3])
        return {"min": low, "max": high, "num": num, "scale": parts[3] if len(parts) == 4 else "linear"}
    items = [word(part) for part in text.split(",")]
    return items[0] if len(items) == 1 else {"values": items}


def word(text: str) -> Any:
    """One value as YAML reads it."""
    from cpd.yaml_loader import parse_yaml

    return parse_yaml(f"value: {text}", "value")["value"] if text.strip() else ""


def without_duplicates(items: Sequence[Any]) -> list[Any]:
    """Keep the first of equal items; ``1`` and ``1.0`` are equal, ``True`` and ``1`` are not."""
    seen: list[tuple[type, Any]] = []
    kept = []
    for item in items:
        mark = (bool if isinstance(item, bool) else object, item)
        if mark not in seen:
            seen.append(mark)
            kept.append(item)
    return kept
