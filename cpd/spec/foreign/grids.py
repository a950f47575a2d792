"""What another tool draws values from, and the grid that stands for it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

MOST_POINTS = 19
"""Of a grid that stands for a range of numbers."""
MOST_VALUES = 10_000
"""Of a range of which every number is tried."""
LEAST_OF_FIRST = 5
"""Of the first of them."""
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_BREAKING = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}


class Values(NamedTuple):
    """Values one by one."""

    values: tuple[Any, ...]


class Span(NamedTuple):
    """Numbers from one to another.

    Attributes:
        low: The smallest.
        high: The largest.
        log: Whether they are drawn by their magnitude.
        step: What they are multiples of, counted from ``low``; None where they are not.
        whole: Whether they are integers.
        every: Whether each of them is tried: of a grid.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False
    every: bool = False

    @property
    def many(self) -> int | None:
        """How many numbers it has; None for any."""
        step = self.step or (1.0 if self.whole else None)
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1


Grid = Values | Span


def too_many(span: Span) -> bool:
    """Whether all of a range's numbers are to be tried, and are more than a task can hold."""
    return span.every and span.many is not None and span.many > MOST_VALUES


def points_of(grids: Sequence[Grid], trials: int | None) -> list[int]:
    """How many points each grid gets, so that all settings are about as many as the other tool's trials.

    The first one gets some more: it is the one along which settings are judged.
    """
    each = _points_each(grids, trials)
    return [max(LEAST_OF_FIRST, each) if k == 0 else each for k in range(len(grids))]


def _points_each(grids: Sequence[Grid], trials: int | None) -> int:
    spans = [grid for grid in grids if isinstance(grid, Span) and not (grid.every and grid.many)]
    others = math.prod(count(grid, 1) for grid in grids if grid not in spans)
    if not spans:
        return 1
    if trials is None:
        return {1: 7, 2: 5}.get(len(spans), 3)
    each = math.pow(trials / max(1, others), 1 / len(spans))
    return max(2, min(MOST_POINTS, math.floor(each + 1e-9)))


def count(grid: Grid, points: int) -> int:
    """How many values a grid has that is written with so many points."""
    return len(grid.values) if isinstance(grid, Values) else len(_numbers(grid, points) or range(points))


def written(grid: Grid, points: int) -> str:
    """A grid as a task has it."""
    if isinstance(grid, Values):
        return f"{{values: [{', '.join(map(text, grid.values))}]}}"
    numbers = _numbers(grid, points)
    if numbers is not None:
        return f"{{values: [{', '.join(map(text, numbers))}]}}"
    scale = "log" if grid.log else "linear"
    return f"{{min: {text(grid.low)}, max: {text(grid.high)}, num: {points}, scale: {scale}}}"


def _numbers(grid: Span, points: int) -> list[float] | None:
    """The values of a range of integers or multiples; None for one that is written as a range."""
    many = grid.many
    if many is None:
        return None
    step = grid.step or 1.0
    if many <= points or grid.every:
        places = list(range(many))
    elif grid.log and grid.low > 0:
        ratio = (grid.high / grid.low) ** (1 / (points - 1))
        places = [round((grid.low * ratio**k - grid.low) / step) for k in range(points)]
    else:
        places = [round(k * (many - 1) / (points - 1)) for k in range(points)]
    found = [grid.low + step * place for place in sorted(set(places))]
    return [round(one) if grid.whole else float(f"{one:.12g}") for one in found]


def quoted(word: str) -> str:
    """A text in quotes, on one line."""
    return _BREAKING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(word, ensure_ascii=False))


def text(value: Any) -> str:
    """A plain value as YAML on one line."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return quoted(str(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
