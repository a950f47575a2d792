"""Examples that no run trains on, as a spec asks for them, and which data decide a verdict."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from cpd.spec.validation import Checked, InvalidError, finite, shown, whole

SHARE = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
"""The schema of a share of the examples."""

HALF = 0.5
"""Of the held-out examples, those on which multipliers move where they move on such and nobody says how many."""

MOST = 2**63 - 1
"""The largest seed that torch's generators take."""


def share_of_examples(value: Any) -> float:
    """Check a share above 0 and below 1.

    Raises:
        InvalidError: It is something else.
    """
    number = finite(value)
    if not 0 < number < 1:
        raise InvalidError(f"{shown(value)} is no share of the examples", "write a number between 0 and 1, like 0.2")
    return number


def _seed(value: Any) -> int:
    number = whole(0)(value)
    if number > MOST:
        raise InvalidError(f"seed {shown(value)} is out of range", f"seeds are from 0 to {MOST}")
    return number


def _entry(value: Any) -> int | str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    try:
        return whole(0)(value)
    except InvalidError:
        hint = "write 1 for the second entry of what data() returns, or the name of one"
        raise InvalidError(f"{shown(value)} is no entry of the data", hint) from None


class Split(Checked):
    """Examples of ``data()`` that no run trains on; in YAML ``0.2`` or ``{share: 0.2, seed: 0, stratify: 1}``.

    Attributes:
        share: Of the examples, above 0 and below 1.
        seed: Decides which; the same for every run of the task, whatever its own seed.
        stratify: The entry of the data whose values keep their shares in both parts: its number, from 0, or its name.
    """

    share: Annotated[float, BeforeValidator(share_of_examples), WithJsonSchema(SHARE)]
    seed: Annotated[int, BeforeValidator(_seed), WithJsonSchema({"type": "integer", "minimum": 0})] = 0
    stratify: Annotated[
        int | str | None,
        BeforeValidator(_entry),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}),
    ] = None
