"""Values of Python as a YAML file would give them: plain numbers, words, lists and mappings.

Numbers of NumPy, torch and pandas are known by what they can do, for a spec loads none of these.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from numbers import Integral, Rational, Real
from typing import Any

from cpd.spec.validation import InvalidError

MOST = 1_000_000
"""Values of one list: an iterator need not end."""

MOST_DIGITS = 17
"""Digits that tell any two numbers of double precision apart."""


def plain(value: Any, *, arrays: bool = True) -> Any:
    """Return a value as plain Python.

    Numbers of another precision become what their own digits say: ``float32(0.1)`` is 0.1, which is the same number in
    a training in float32. A range, a tuple, an array, a series, a generator become lists.

    Args:
        value: Whatever was given.
        arrays: Whether arrays may become lists; where a class is to get them, they would be something else.

    Raises:
        InvalidError: It has no plain form, or holds a number that is not finite; the key is the way to it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum) and not isinstance(value, str | int | float):
        return plain(value.value, arrays=arrays)
    if isinstance(value, str):
        return str.__str__(value) if not isinstance(value, Enum) else str(value.value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {_key(key): _inner(_key(key), one, arrays) for key, one in value.items()}
    if (number := _number(value)) is not None:
        return number
    return _named(value) or _list(value, arrays)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidError(f"the key {key!r} is no word", "write it in quotes")
    return str(key)


def _inner(key: str, value: Any, arrays: bool) -> Any:
    try:
        return plain(value, arrays=arrays)
    except InvalidError as error:
        dot = "" if not error.key or error.key.startswith("[") else "."
        raise InvalidError(error.message, error.hint, f"{key}{dot}{error.key}") from None


def _number(value: Any) -> bool | int | float | None:
    """A number as an int, a float or a truth; None for what is none."""
    if _is_scalar(value):
        item = value.item()
        if isinstance(item, bool):
            return item
        value = _short(value, item) if isinstance(item, float) else item
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Rational | Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise InvalidError(f"{value} is not a finite number", "write a number like 0.5 or 1e-3")
        return number
    return None


def _is_scalar(value: Any) -> bool:
    """Whether a value is one number of an array library, or an array of one number without dimensions."""
    return callable(getattr(value, "item", None)) and getattr(value, "ndim", None) == 0


def _short(scalar: Any, item: float) -> float:
    """The number with the fewest digits that is this one in its own precision."""
    again = getattr(scalar, "new_tensor", None) or getattr(getattr(scalar, "dtype", None), "type", None)
    if again is None or not math.isfinite(item):
        return item
    for digits in range(1, MOST_DIGITS):
        found = float(f"{item:.{digits}g}")
        if bool(again(found) == scalar):
            return found
    return item


def _named(value: Any) -> str | None:
    """What a spec calls by its name: a type of number, a device, an optimizer's or a scheduler's class."""
    kind = type(value)
    if kind.__module__ == "torch" and kind.__name__ in ("dtype", "device"):
        return str(value).removeprefix("torch.")
    if isinstance(value, type) and value.__module__.startswith(("torch.optim", "numpy")):
        return value.__name__
    return str(value) if kind.__module__.startswith("numpy") and "DType" in kind.__name__ else None


def _list(value: Any, arrays: bool) -> list[Any]:
    if isinstance(value, range) and len(value) > MOST:
        raise InvalidError(f"has {len(value):,} values", f"give at most {MOST:,}")
    whole = getattr(value, "tolist", None)
    if callable(whole):
        if not arrays:
            kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
            raise InvalidError(f"is a {kind}, and a class's arguments are plain", _objects("its .tolist()"))
        value = _numbers(value)
    if isinstance(value, bytes | type) or callable(value) or not isinstance(value, Iterable):
        raise InvalidError(f"is a {type(value).__name__}, and no plain value", _objects("a number, a word or a list"))
    if isinstance(value, set | frozenset):
        raise InvalidError("is a set, which has no order", "give a list")
    found = list(itertools.islice(value, MOST + 1))
    if len(found) > MOST:
        raise InvalidError(f"has more than {MOST:,} values", "give fewer")
    return [_inner(f"[{k}]", one, arrays) for k, one in enumerate(found)]


def _numbers(array: Any) -> Any:
    """The entries of an array, each with the digits of its own precision."""
    if getattr(array, "ndim", None) == 1 and hasattr(array, "dtype"):
        return array.to_numpy() if hasattr(array, "iloc") else array
    return array if getattr(array, "ndim", 1) > 1 else array.tolist()


def _objects(instead: str) -> str:
    return f"give {instead}; what else a problem needs, an object of it holds: problem=MyProblem(...)"
