"""How far an axis reaches: the useful runs set its ends, and what blew up stands at them as an arrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median, median_low

WIDE = 1e4
"""From this ratio of its largest to its smallest value on, a quantity has a logarithmic axis."""

JUMP, JUMP_DECADES = 15.0, 4.0
"""A value that is so many times further out than all before it has blown up; so many decades on a logarithmic axis."""

FAR = 30.0
"""Times the size of what is useful, or of the distance that is usual from there, beyond which a value has blown up."""

ORDINARY = 1e6
"""Where all useful values are alike, others may be this far away and are no reason to leave them out."""


def near(values: Sequence[float], trusted: Sequence[float] = (), levels: Sequence[float] = ()) -> list[float]:
    """The values that set an axis's ends: all but those that blew up.

    Args:
        values: All that is to be shown.
        trusted: Those of useful runs, which are always shown; without any, the half that is closest together counts.
        levels: Of a constraint, which are always shown.

    Returns:
        Values in the order they were given; all of them where none blew up.
    """
    if len(values) < 2:
        return list(values)
    if not levels and min(values) > 0 and max(values) / min(values) > WIDE:
        return _near_in_decades(values, trusted)
    core = [*trusted, *levels] if trusted else _closest_half([*values, *levels])
    low, high = min(core), max(core)
    size = max(high - low, abs(low), abs(high))
    reach = _reach([max(low - value, value - high) for value in values], size)
    return [value for value in values if low - reach <= value <= high + reach]


def _near_in_decades(values: Sequence[float], trusted: Sequence[float]) -> list[float]:
    """On a logarithmic axis; what is left may be for a linear one."""
    logs = [math.log10(value) for value in values]
    core = [math.log10(value) for value in trusted if value > 0] or _closest_half(logs)
    low, high = min(core), max(core)
    reach = 0.0
    for distance in sorted(max(low - log, log - high, 0.0) for log in logs):
        reach = distance if distance <= reach + JUMP_DECADES else reach
    kept = [value for value, log in zip(values, logs, strict=True) if low - reach <= log <= high + reach]
    return kept if len(kept) == len(values) else near(kept, trusted)


def _reach(distances: Sequence[float], size: float) -> float:
    """How far from what is useful a value may be: as long as there is no jump, and not much further than is usual."""
    outside = sorted(distance for distance in distances if distance > 0)
    if not outside:
        return 0.0
    reach = max(size, outside[0] if outside[0] <= ORDINARY else 0.0)
    kept = []
    for distance in outside:
        if distance > JUMP * reach:
            break
        kept.append(distance)
        reach = max(reach, distance)
    return min(reach, FAR * max(size, median(kept))) if kept else 0.0


def _closest_half(values: Sequence[float]) -> list[float]:
    center = median_low(values)
    return sorted(values, key=lambda value: abs(value - center))[: (len(values) + 1) // 2]
