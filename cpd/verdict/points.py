"""Recorded points as arrays of numpy, one column for each component of a constraint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpd.outcome import Series, finite_or_none

Array = NDArray[np.float64]


def matrix(points: Sequence[Any], width: int | None = None) -> Array:
    """Points as ``[points, width]`` in double precision; NaN in place of what is missing or not finite.

    Args:
        points: Numbers, or lists of numbers that may differ in length; None in place of either.
        width: Columns; a number on its own fills its row. Default: as many as the longest point has.
    """
    columns = width if width is not None else _longest(points)
    if isinstance(points, Series):
        found = points.numbers.astype(np.float64)
        numbers = found if found.ndim == 2 else np.broadcast_to(found[:, None], (len(found), columns))
    else:
        numbers = np.array([_row(point, columns) for point in points], np.float64).reshape(len(points), columns)
    table = np.full((len(points), columns), np.nan)
    shared = min(columns, numbers.shape[1])
    table[:, :shared] = numbers[:, :shared]
    table[~np.isfinite(table)] = np.nan
    return table


def filled(table: Array) -> Array:
    """The table with each missing number as the one before it in its column; the first ones as the one after them."""
    for turned in (table, table[::-1]):
        known = np.isfinite(turned)
        rows = np.maximum.accumulate(np.where(known, np.arange(len(turned))[:, None], 0), axis=0)
        turned[...] = np.take_along_axis(turned, rows, axis=0)
    return table


def _longest(points: Sequence[Any]) -> int:
    if isinstance(points, Series):
        return int(points.numbers.shape[1]) if points.numbers.ndim == 2 else 1
    return max((len(point) for point in points if isinstance(point, list | tuple)), default=1)


def _row(point: Any, columns: int) -> list[float | None]:
    if not isinstance(point, list | tuple):
        return [finite_or_none(point)] * columns
    row = [finite_or_none(number) for number in point[:columns]]
    return [*row, *[None] * (columns - len(row))]
