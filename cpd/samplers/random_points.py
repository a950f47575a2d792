"""Points at random, none twice: an interval evenly on its scale, all choices alike."""

from __future__ import annotations

import random
from collections.abc import Sequence

from cpd.samplers.space import Point, Space, Told, size

LISTED = 10_000
"""A space of up to so many points is listed and shuffled."""

TRIES = 1000
"""Draws after which a space is taken to have no other points."""


class RandomPoints:
    """Draws without replacement, independently of what it is told.

    Of ``n`` points of which ``k`` are good, the first good one is expected at draw ``(n + 1) / (k + 1)``; of an
    interval of which a share ``p`` is good, at draw ``1 / p``.

    Args:
        space: What is drawn from.
        seed: Any text; another one draws others.
    """

    learns = False

    def __init__(self, space: Space, seed: str) -> None:
        self._space = space
        self._random = random.Random(seed)
        self._given: set[Point] = set()
        self._of_block = [0] * len(space)
        self._left: list[Point] | None = None
        if size(space) <= LISTED:
            self._left = [Point(k, values) for k, block in enumerate(space) for values in block.points()]
            self._random.shuffle(self._left)

    def propose(self, count: int) -> list[Point]:
        """So many points, or all that are left."""
        found: list[Point] = []
        while len(found) < count and (point := self._next()) is not None:
            found.append(point)
        return found

    def observe(self, told: Sequence[Told]) -> None:
        """Nothing is learned."""

    def take(self, point: Point) -> bool:
        """Count a point as proposed by another; False where it was proposed before."""
        if point in self._given:
            return False
        self._given.add(point)
        self._of_block[point.block] += 1
        return True

    def _next(self) -> Point | None:
        if self._left is not None:
            while self._left:
                if self.take(point := self._left.pop()):
                    return point
            return None
        for _ in range(TRIES):
            drawn = self._drawn()
            if drawn is None or self.take(drawn):
                return drawn
        return None

    def _drawn(self) -> Point | None:
        given = zip(self._of_block, self._space, strict=True)
        weights = [block.weight if n < block.count else 0 for n, block in given]
        if not any(weights):
            return None
        (k,) = self._random.choices(range(len(self._space)), weights)
        return Point(k, tuple((name, part.at(self._random.random())) for name, part in self._space[k].parts.items()))
