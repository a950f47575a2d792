"""From pydantic's findings to one line: the place, the value, the valid choices and how to fix it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cpd.errors import CpdError, closest

At = Callable[[str], str]
"""From a dotted key to the place that an error names, e.g. ``"tasks/rate.yaml: train.steps"``."""


class InvalidError(ValueError):
    """A value that does not fit, and how to fix it.

    Args:
        message: What is wrong, with the value as the user typed it.
        hint: How to fix it, where the message does not say so itself.
        key: The key below the one that is being validated, if the fault lies there.
    """

    def __init__(self, message: str, hint: str | None = None, key: str = "") -> None:
        self.message = message
        self.hint = hint
        self.key = key
        super().__init__(message)

    def at(self, at: At, key: str) -> CpdError:
        """The error a user sees."""
        return CpdError(self.message, place=at(joined(key, self.key)), hint=self.hint)


class Checked(BaseModel):
    """A frozen part of a spec that knows no other keys than its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Part = TypeVar("Part", bound=Checked)


def checked(kind: type[Part], raw: Any, at: At, key: str) -> Part:
    """Validate a section of a spec.

    Args:
        kind: What it must be.
        raw: What was read.
        at: From a dotted key to its place.
        key: The section's dotted key.

    Raises:
        CpdError: The first thing that does not fit.
    """
    if not isinstance(raw, dict):
        raise CpdError(f"{shown(raw)} is not a mapping", place=at(key), hint=f"write {{{fields(kind)}}}")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        found = error.errors(include_url=False)
    # A misspelt key comes before the key that is missing because of it.
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    inner = ".".join(str(part) for part in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidError):
        raise cause.at(at, joined(key, inner))
    if first["type"] == "extra_forbidden":
        raise CpdError(f"unknown key '{inner}'", place=at(joined(key, inner)), hint=closest(inner, kind.model_fields))
    if first["type"] == "missing":
        raise CpdError(f"the key '{inner}' is missing", place=at(key), hint=f"add {inner}: VALUE")
    raise CpdError(f"{shown(first['input'])}: {first['msg']}", place=at(joined(key, inner)))


def fields(kind: type[Checked]) -> str:
    """The keys of a section, listed."""
    return ", ".join(kind.model_fields)


def joined(*keys: str) -> str:
    """``("train", "steps")`` -> ``"train.steps"``."""
    return ".".join(key for key in keys if key)


def is_number(value: Any) -> bool:
    """Whether a value is a number; a truth is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: Any) -> float:
    """Return a finite number as a float.

    Raises:
        InvalidError: It is a word, a boolean, a list, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not _representable(value):
        raise InvalidError(f"{shown(value)} is not a number", _number_hint(value))
    return float(value) + 0.0  # -0.0 becomes 0.0


def at_least(minimum: float, exclusive: bool = False) -> Callable[[Any], float]:
    """Return a check for a finite number from ``minimum`` on (above it where ``exclusive``)."""

    def check(value: Any) -> float:
        number = finite(value)
        if number < minimum or (exclusive and number == minimum):
            bound = f"above {minimum:g}" if exclusive else f"from {minimum:g} on"
            raise InvalidError(f"{shown(value)} is out of range", f"write a number {bound}")
        return number

    return check


def not_zero(value: Any) -> float:
    """Return a finite number that is not 0.

    Raises:
        InvalidError: It is something else.
    """
    number = finite(value)
    if number == 0:
        raise InvalidError(f"{shown(value)} is out of range", "write a number above 0")
    return number


def whole(minimum: int) -> Callable[[Any], int]:
    """Return a check for an integer from ``minimum`` on; ``1e3`` is one."""

    def check(value: Any) -> int:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and _representable(value)
        if not is_number or value != int(value) or value < minimum:
            raise InvalidError(f"expected an integer >= {minimum}, got {shown(value)}")
        return int(value)

    return check


def one_of(*choices: str | bool) -> Callable[[Any], Any]:
    """Return a check for one of a few words or booleans; ``1`` is not ``true``."""

    def check(value: Any) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            hint = closest(value if isinstance(value, str) else "", [_plain(choice) for choice in choices])
            raise InvalidError(f"{shown(value)} is not a valid choice", hint)
        return value

    return check


def word(value: Any) -> str:
    """Return a string that is not empty.

    Raises:
        InvalidError: It is something else.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidError(f"{shown(value)} is not a word", "write a word, in quotes where it looks like a number")
    return value


def shown(value: Any) -> str:
    """A value as a YAML file would give it, on one line and cut where it is long."""
    text = f"'{' '.join(value.split())}'" if isinstance(value, str) else _plain(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _number_hint(value: Any) -> str:
    try:
        quoted = isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        quoted = False
    return "remove the quotes" if quoted else "write a number like 0.5 or 1e-3"


def _representable(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
