"""How far above the mark an objective is still useful: a share of the spread of feasible objectives, or a number."""

from __future__ import annotations

from cpd.errors import CpdError
from cpd.outcome import finite_or_none

Gap = float | str
"""``5%``, a share of the spread between the worst and the best feasible objective, or an absolute number."""

GAP: Gap = "5%"
"""The default."""

CONFIDENCE = 0.95
"""The default confidence: how sure a verdict on examples is to be."""


def read_gap(text: object, place: str = "--gap") -> Gap:
    """Read a gap as it was typed.

    Args:
        text: A number, or a text that holds one, perhaps with a percent sign.
        place: What an error is told of.

    Returns:
        A float, or a share as text, such as ``5%``.

    Raises:
        CpdError: Neither a share nor a number, or below 0.
    """
    word = str(text).strip()
    number = _number(word.removesuffix("%"))
    if number is None or number < 0 or isinstance(text, bool):
        raise CpdError(f"expected a number >= 0, or a share such as 5%, got '{text}'", place=place)
    return f"{word[:-1].strip()}%" if word.endswith("%") else number


def share_of(gap: Gap) -> float | None:
    """The share of the spread that a gap is; None of an absolute one."""
    known = read_gap(gap)
    return float(known[:-1]) / 100 if isinstance(known, str) else None


def width(gap: Gap, spread: float, noise: float) -> float:
    """How far above the mark an objective is still useful, never less than the noise between seeds.

    ``max(share * spread, noise)``, or ``max(number, noise)`` of an absolute gap.

    Args:
        gap: A share, or a number.
        spread: Between the worst and the best feasible objective, >= 0.
        noise: Between seeds, >= 0.
    """
    known, share = read_gap(gap), share_of(gap)
    return max(noise, float(known) if share is None else share * spread)


def _number(word: str) -> float | None:
    try:
        found = float(word)
    except ValueError:
        return None
    return finite_or_none(found)
