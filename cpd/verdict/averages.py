"""Means and deviations of numbers as large or as small as floats go: nothing overflows on the way."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from statistics import stdev

LARGEST = sys.float_info.max


def clamped(value: float) -> float:
    """The nearest finite number: the largest float where a sum or a difference overflowed."""
    if value > LARGEST:
        return LARGEST
    return -LARGEST if value < -LARGEST else value


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean of at least one finite number; it never leaves their range, as ``sum / n`` may."""
    scaled, exponent = _scaled(values)
    middle = math.fsum(scaled) / len(scaled)
    return math.ldexp(max(min(scaled), min(middle, max(scaled))), exponent)


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation of finite numbers, the largest float where it is larger; 0 for a single one."""
    if len(values) < 2:
        return 0.0
    scaled, exponent = _scaled(values)
    return clamped(2 * math.ldexp(stdev(scaled) / 2, exponent))


def _scaled(values: Sequence[float]) -> tuple[list[float], int]:
    """The numbers divided by a power of two, all within (-1, 1), and its exponent."""
    _, exponent = math.frexp(max(map(abs, values)))
    return [math.ldexp(value, -exponent) for value in values], exponent
