"""The settings that a sampler may propose: blocks of intervals and choices, as plain numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

DIGITS = 6
"""Significant digits of a proposed number: what a table or a command line has of it gives the same setting."""

NARROW = 1e-3
"""An interval that is narrower than this, relative to its ends, is proposed in all digits."""


@dataclass(frozen=True)
class Interval:
    """Numbers from ``low`` to ``high``, evenly spread, or evenly in their logarithm.

    Attributes:
        whole: Whether only whole numbers are meant.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def count(self) -> float:
        """How many there are; infinite unless only whole numbers are meant."""
        return int(self.high) - int(self.low) + 1 if self.whole else math.inf

    def at(self, share: float) -> float:
        """The number at a share of the way, ``low (high / low)^u`` or ``low + u (high - low)``, as it is proposed.

        Args:
            share: ``u``, at least 0 and below 1.
        """
        if self.whole and not self.log:
            return int(self.low) + math.floor(share * self.count)
        if self.log:
            found = math.exp(math.log(self.low) * (1 - share) + math.log(self.high) * share)
        else:
            found = self.low * (1 - share) + self.high * share
        return self.proposed(found)

    def proposed(self, number: float) -> float:
        """A number with the digits in which it is proposed, within the ends."""
        if self.whole:
            return min(max(round(number), int(self.low)), int(self.high))
        if self.high - self.low > NARROW * max(abs(self.low), abs(self.high)):
            number = float(f"{number:.{DIGITS}g}")
        return min(max(number, self.low), self.high)

    def values(self) -> Iterator[float]:
        """All of them, of an interval of whole numbers."""
        return iter(range(int(self.low), int(self.high) + 1))


@dataclass(frozen=True)
class Choice:
    """One of some values, by its place among them."""

    count: int

    def at(self, share: float) -> int:
        """The place at a share of the way."""
        return math.floor(share * self.count)

    def values(self) -> Iterator[int]:
        """All places."""
        return iter(range(self.count))


Part = Interval | Choice


@dataclass(frozen=True)
class Block:
    """What varies together.

    Attributes:
        parts: By name; none where it is a single setting.
        weight: How often it is drawn beside others.
    """

    parts: Mapping[str, Part]
    weight: int = 1

    @property
    def count(self) -> float:
        """How many points it has."""
        return math.prod(part.count for part in self.parts.values())

    def points(self) -> Iterator[tuple[tuple[str, float], ...]]:
        """All of them, of a block that is finite."""
        columns = [part.values() for part in self.parts.values()]
        return (tuple(zip(self.parts, values, strict=True)) for values in itertools.product(*columns))


Space = tuple[Block, ...]


class Point(NamedTuple):
    """One setting: the place of its block, and a number for each part of it."""

    block: int
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Told:
    """What came of a point.

    Attributes:
        objective: On the data that decide; None where the training gave none.
        violations: Of each constraint how far it is beyond its tolerance; 0 or less where it holds. Empty where the
            training gave no values.
    """

    point: Point
    objective: float | None
    violations: tuple[float, ...] = ()


def size(space: Space) -> float:
    """How many points a space has."""
    return sum(block.count for block in space)
