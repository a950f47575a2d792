"""When models are measured along the way, and when a run ends for it: parts of the training recipe."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from cpd.spec.validation import Checked, InvalidError, finite, shown, whole

EXAMPLE = "write a number of steps, like 100, or of epochs, like 1 epoch"

_WORDS = re.compile(r"\s*(?:([0-9.eE+-]+)\s*)?(epoch|step)s?\s*")


def every(value: Any) -> int | str | None:
    """Return steps as an integer, and epochs as ``1 epoch`` or ``2.5 epochs``, however they are written.

    Raises:
        InvalidError: It is neither.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        return _steps(value, value)
    found = _WORDS.fullmatch(value)
    if found is None:
        raise InvalidError(f"{shown(value)} is no number of steps or epochs", EXAMPLE)
    number = 1.0 if found[1] is None else _number(found[1], value)
    if found[2] == "step":
        return _steps(number, value)
    return f"{int(number) if number.is_integer() else number} epoch" + ("" if number == 1 else "s")


def epochs_of(written: str) -> float:
    """How many epochs :func:`every` has written down."""
    return float(written.partition(" ")[0])


def _steps(number: Any, written: Any) -> int:
    try:
        return whole(1)(number)
    except InvalidError:
        raise InvalidError(f"{shown(written)} is no number of steps or epochs", EXAMPLE) from None


def _number(text: str, written: str) -> float:
    try:
        number = finite(float(text))
    except ValueError:
        number = 0.0
    if number <= 0:
        raise InvalidError(f"{shown(written)} is no number of steps or epochs", EXAMPLE)
    return number


def _share(value: Any) -> float:
    number = finite(value)
    if not 0 <= number <= 1:
        raise InvalidError(f"{shown(value)} is no share", "write a number from 0 to 1, like 0.05")
    return number


class Stop(Checked):
    """When a run ends before all its steps are done; in YAML ``{feasible_for: 5}``.

    Attributes:
        feasible_for: Measures in a row at which the run is feasible and its objective has not fallen by the gap since
            the first of them.
        gap: A share of the spread between the largest and the smallest objective that was measured of the run.
    """

    feasible_for: Annotated[int, BeforeValidator(whole(1)), WithJsonSchema({"type": "integer", "minimum": 1})]
    gap: Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})] = (
        0.05  # as the verdict's
    )
