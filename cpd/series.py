"""Recorded numbers, packed: a long sweep's curves stay in memory until it ends."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, overload

_NAN = math.nan


class Series(Sequence[Any]):
    """Reads like a list of floats, or of lists of ``width`` floats, with None where a number is not finite.

    Args:
        numbers: All numbers, point after point, in single (``"f"``) or double precision (``"d"``).
        width: Components of a point of a vector constraint; None for a scalar's.
    """

    __slots__ = ("numbers", "width")

    def __init__(self, numbers: array[float], width: int | None = None) -> None:
        self.numbers = numbers
        self.width = width

    @classmethod
    def of(cls, points: Sequence[Any]) -> Series:
        """Pack points, in single precision where that loses nothing; None counts as not finite.

        Raises:
            ValueError: The points differ in length.
        """
        if isinstance(points, Series):
            return points
        width = next((len(point) for point in points if isinstance(point, list)), None)
        flat = points if width is None else [x for point in points for x in _row(point, width)]
        doubles = array("d", [_NAN if x is None else x for x in flat])
        singles = array("f", doubles)
        return cls(singles if array("d", singles).tobytes() == doubles.tobytes() else doubles, width)

    def __len__(self) -> int:
        return len(self.numbers) // (1 if self.width is None else self.width)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[k] for k in range(len(self))[at]]
        if self.width is None:
            return _number(self.numbers[at])
        start = range(len(self))[at] * self.width
        return [_number(x) for x in self.numbers[start : start + self.width]]

    def __iter__(self) -> Iterator[Any]:
        flat = map(_number, self.numbers)
        return flat if self.width is None else map(list, zip(*[flat] * self.width, strict=True))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, list | Series) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))


def _number(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _row(point: Any, width: int) -> list[Any]:
    """One point of a vector series; a missing point has every component missing."""
    row = [None] * width if point is None else point
    if len(row) != width:
        raise ValueError(f"a point has {len(row)} components, others have {width}")
    return row
