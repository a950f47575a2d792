"""A horizontal logarithmic axis with a place apart for 0: hyperparameters are swept over decades, and 0 is tried.

Where some are negative, it is a linear axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cpd.views.tables.numbers import number

MOST_TICKS = 8

FAR = 1e300
"""A linear axis reaches as far."""


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis on which 0 has a place apart, at the left of all others.

    Attributes:
        zero: Where 0 is placed; None where there is no 0.
        broken: Where the axis is broken, between 0 and the rest; None likewise.
        low: Left end.
        high: Right end.
        ticks: Places of the labelled ticks.
        labels: Their texts.
        linear: Whether it is no logarithmic axis: some values are negative.
    """

    zero: float | None
    broken: float | None
    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    linear: bool = False

    def place(self, value: float) -> float:
        """Where a value stands: itself, or the place of 0."""
        return value if value > 0 or self.zero is None else self.zero


def log_axis(values: Sequence[float], room: float = 0.04) -> LogAxis:
    """Lay out a logarithmic axis for these values, 0 included; a linear one where some are negative.

    Args:
        values: What must have a place.
        room: Share of the axis that is left free at either end.
    """
    if any(value < 0 for value in values):
        return _linear(min(values), max(values), room)
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    decades = max(math.log10(high / low), 0.1)
    margin = 10 ** max(room * decades, 0.08)
    ticks = _ticks(low / margin, high * margin)
    zero = broken = None
    left = low / margin
    if any(value <= 0 for value in values):
        step = max(0.1 * decades, 0.25)
        zero, broken = low / 10**step, low / 10 ** (step / 2)
        left = zero / margin
    labels = [number(tick, 6) for tick in ticks]
    if zero is not None:
        ticks, labels = [zero, *ticks], ["0", *labels]
    return LogAxis(zero, broken, left, high * margin, tuple(ticks), tuple(labels))


def _linear(low: float, high: float, room: float) -> LogAxis:
    low, high = max(low, -FAR), min(high, FAR)
    margin = room * (high - low) or abs(low) * room
    low, high = low - margin, high + margin
    unit = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(unit * k for k in (1, 2, 5, 10) if (high - low) / (unit * k) < MOST_TICKS)
    ticks = [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return LogAxis(None, None, low, high, tuple(ticks), tuple(number(tick, 6) for tick in ticks), linear=True)


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten, thinned; 1, 2, 5 where there are fewer than two of those."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 1:
        stride = math.ceil((last - first + 1) / MOST_TICKS)
        return [10.0**power for power in range(first, last + 1, stride)]
    fine = [digit * 10.0**power for power in range(first - 2, last + 2) for digit in (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)]
    within = [tick for tick in fine if low <= tick <= high]
    return within[:: math.ceil(len(within) / MOST_TICKS)] if within else [math.sqrt(low * high)]


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_text(tick: float, label: str) -> str:
    """``10⁻³`` for powers of ten from 10,000 on and to 0.001, else the label."""
    power = round(math.log10(tick)) if tick > 0 else 0
    is_power = math.isclose(tick, 10.0**power) and label != "0"
    return f"10{str(power).translate(SUPERSCRIPTS)}" if is_power and abs(power) > 2 else label
