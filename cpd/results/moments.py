"""Moments as people say them: ``2d`` ago, ``yesterday``, ``2026-11-01``; and how long ago something was."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cpd.errors import CpdError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w|sec|min|hours?|days?|weeks?)", re.ASCII)
_AGES = ((60, "s", 1), (3600, "m", 60), (86400, "h", 3600), (14 * 86400, "d", 86400), (10 * 7 * 86400, "w", 7 * 86400))
_MONTH, _YEAR = 30.44 * 86400, 365.25 * 86400


def read_since(text: str, now: datetime | None = None, place: str = "--since") -> datetime:
    """The moment that a user means.

    Args:
        text: A span before now (``90m``, ``2h``, ``2d``, ``3w``), a date (midnight here), a date with a time,
            ``today`` or ``yesterday``.
        now: The present moment, with its time zone.
        place: What an error is told of.

    Raises:
        CpdError: It is none of these.
    """
    now = (now or datetime.now(UTC)).astimezone()
    word = text.strip().lower()
    days = {"today": 0, "yesterday": 1}.get(word)
    try:
        if days is not None:
            return datetime.combine(now.date() - timedelta(days=days), datetime.min.time()).astimezone()
        if span := _SPAN.fullmatch(word):
            return now - timedelta(seconds=float(span[1]) * _SECONDS[span[2][0]])
        found = datetime.fromisoformat(text.strip())
        return found if found.tzinfo is not None else found.astimezone()
    except (ValueError, OverflowError, OSError):
        hint = "write 2d, 12h, 2026-11-01, 2026-11-01T14:30, today or yesterday"
        raise CpdError(f"'{text}' is no moment", place=place, hint=hint) from None


def age(started: str, now: datetime | None = None) -> str:
    """How long ago a moment was, in a few letters: ``now``, ``25m``, ``3h``, ``2d``, ``5w``, ``4mo``, ``2y``."""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(started)).total_seconds()
    if seconds < 1:
        return "now"  # another machine's clock may be ahead of ours
    for limit, unit, size in _AGES:
        if seconds < limit:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds // _MONTH)}mo" if seconds < _YEAR else f"{int(seconds // _YEAR)}y"


def took(started: str, ended: str | None) -> str:
    """How long something took: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``; empty where it has not ended."""
    if ended is None:
        return ""
    seconds = max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds())
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
