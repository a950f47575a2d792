"""An axis of a quantity as data: its ends, its scale, its levels with their labels, and its feasible region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cpd.views.figures.limits import limits, on_log_scale, reached, spread_out
from cpd.views.figures.quantities import Quantity

MARGIN = 0.08
"""Share of a logarithmic axis that is free at either end."""


class LevelMark(NamedTuple):
    """A constraint's level on an axis; its label stands at ``at``, or nowhere where that is None."""

    level: float
    text: str
    at: float | None


@dataclass(frozen=True)
class QuantityAxis:
    """All that an axis of a quantity has.

    Attributes:
        ends: Low and high: those of useful runs, of levels, and of all that did not blow up.
        logarithmic: Whether its scale is.
        region: Ends of the feasible region within the axis; None where there is none.
    """

    quantity: Quantity
    ends: tuple[float, float]
    logarithmic: bool
    region: tuple[float, float] | None

    def inside(self, value: float) -> float:
        """A value as the axis shows it: one that blew up at its end."""
        return min(max(value, self.ends[0]), self.ends[1])

    def side(self, value: float | None) -> int:
        """1 for a value beyond the upper end, -1 for one beyond the lower, else 0."""
        return 0 if value is None else (value > self.ends[1]) - (value < self.ends[0])

    def marks(self, room: float) -> list[LevelMark]:
        """The levels with their labels: those that have room, moved apart, within the axis.

        Args:
            room: Share of the axis that a label takes; 0 for labels that stand beside each other anyway.
        """
        if room <= 0:
            return [LevelMark(level, self.quantity.level_text(level), level) for level in self.quantity.levels]
        low, high = self.ends
        levels, step = self.quantity.levels, room * (high - low)
        kept = thinned(len(levels), max(int(1 / room), 2))
        places = spread_out([levels[k] for k in kept], step)
        places = within(places, low + step / 2, high - step / 2, step)
        at = dict(zip(kept, places, strict=True))
        return [LevelMark(level, self.quantity.level_text(level), at.get(k)) for k, level in enumerate(levels)]


def quantity_axis(
    quantity: Quantity, values: Sequence[float], trusted: Sequence[float] = (), logarithmic: bool = True
) -> QuantityAxis:
    """Lay out the axis of a quantity.

    Args:
        quantity: What it shows.
        values: Every number that is to be seen on it, the ends of error bars too; those that blew up lie beyond it.
        trusted: Those of useful runs.
        logarithmic: Whether its scale may be.
    """
    near = reached(quantity, values, trusted)
    if logarithmic and on_log_scale(quantity, near):
        margin = (max(near) / min(near)) ** MARGIN
        return QuantityAxis(quantity, (min(near) / margin, max(near) * margin), True, None)
    ends = limits(quantity, near)
    found = quantity.feasible_region()
    region = None if found is None else (max(found[0], ends[0]), min(found[1], ends[1]))
    return QuantityAxis(quantity, ends, False, region)


def thinned(count: int, most: int) -> list[int]:
    """Places of at most so many of a row of things, evenly spread, both ends among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})


def within(places: Sequence[float], low: float, high: float, step: float) -> list[float]:
    """Ascending places at least ``step`` apart, pushed back between two ends."""
    moved = list(places)
    for k in range(len(moved)):
        moved[k] = max(moved[k], low + k * step)
    for k in reversed(range(len(moved))):
        moved[k] = min(moved[k], high - (len(moved) - 1 - k) * step)
    return moved
