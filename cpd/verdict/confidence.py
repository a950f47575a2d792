"""How sure a verdict is to be, as it was typed."""

from __future__ import annotations

from cpd.errors import CpdError
from cpd.outcome import finite_or_none


def read_confidence(text: object, place: str = "--confidence") -> float:
    """Read a confidence: ``0.95`` or ``95%``.

    Args:
        text: A number, or a text that holds one, perhaps with a percent sign.
        place: What an error is told of.

    Raises:
        CpdError: It is not above 0 and below 1.
    """
    word = str(text).strip()
    share = word.endswith("%")
    try:
        found = finite_or_none(float(word.removesuffix("%")))
    except ValueError:
        found = None
    if found is not None and share:
        found /= 100
    if found is None or not 0 < found < 1:
        hint = "write a share such as 0.95, or 95%"
        raise CpdError(f"expected a number above 0 and below 1, got '{word}'", place=place, hint=hint)
    return found
