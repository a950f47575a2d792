"""How curves move, behind noise: pure arithmetic on arrays, a column for each component."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cpd.verdict.points import Array

Truths = Any  # NDArray[np.bool_], which numpy's own reductions do not say of themselves

STEADY = 0.05
"""A number stays where it is when it moves by less than this share of itself, unless it drifts at an even pace."""

PACE = 0.9
"""A drift keeps its pace when the last quarter's part of it is at least this share of the first one's."""

SIGNIFICANT = 4.0
"""A drift shows through noise when it is this many standard errors wide."""


def moves(values: Array, quarters: Sequence[int], doubt: float, least: float = STEADY) -> Truths:
    """Whether values change by a share of themselves, or may do so behind ``doubt`` standard errors of noise."""
    shares, _ = scaled(values)
    parts = means(shares, quarters)
    return np.ptp(parts, axis=0) + doubt * error(shares) > least * np.abs(parts[-1])


def trend(values: Array, quarters: Sequence[int], least: Array) -> Array:
    """Which way values move beyond noise, and by more than the least: 1 up, -1 down, 0 neither."""
    shares, scale = scaled(values)
    parts = means(shares, quarters)
    drift = parts[-1] - parts[0]
    seen = np.maximum(SIGNIFICANT * error(shares), over(least, scale))
    return np.where(monotone(parts) & (np.abs(drift) > seen), np.sign(drift), 0)


def drifts(values: Array, quarters: Sequence[int], least: Array) -> Truths:
    """Whether values move one way, see :func:`trend`, however slowly, and in the end as fast as before."""
    shares, _ = scaled(values)
    parts = means(shares, quarters)
    first, last = np.abs(parts[1] - parts[0]), np.abs(parts[-1] - parts[-2])
    return (trend(values, quarters, least) != 0) & (last + SIGNIFICANT * error(shares) >= PACE * first)


def scaled(values: Array) -> tuple[Array, Array]:
    """Each column divided by its largest number, so that no square or difference overflows, and that number."""
    largest = np.abs(values).max(0, initial=0)
    scale = np.where(largest > 0, largest, 1)
    return values / scale, scale


def over(least: Array, scale: Array) -> Array:
    """A ratio that may be infinite: a bound, say, in the units of scaled values."""
    with np.errstate(over="ignore"):
        return least / scale


def blocks(values: Array, count: int) -> tuple[Array, Array]:
    """Means of so many parts of the values, ``[count, K]``, and the standard error of one, ``[K]``."""
    parts = np.array([part.mean(0) for part in np.array_split(values, count)])
    noise = (np.diff(values, axis=0) ** 2).mean(0) / 2
    return parts, np.asarray(np.sqrt(noise * count / len(values)))


def means(values: Array, quarters: Sequence[int]) -> Array:
    """Mean of each quarter, ``[4, K]``."""
    return np.array([values[a:b].mean(0) for a, b in pairwise(quarters)])


def monotone(parts: Array) -> Truths:
    """Whether numbers go one way all along."""
    steps = np.diff(parts, axis=0)
    return (steps >= 0).all(0) | (steps <= 0).all(0)


def error(values: Array) -> Array:
    """Standard error of the difference of two quarter means, from the differences of neighbouring values.

    Neighbours share a slow drift, so what is left between them is noise: ``var = mean (v_i - v_{i+1})^2 / 2``.
    """
    noise = (np.diff(values, axis=0) ** 2).mean(0) / 2
    return np.asarray(np.sqrt(2 * noise / (len(values) / 4)))


def correlation(values: Array, lag: int) -> Array:
    """Correlation of values with those so many points later; 0 where nothing moves."""
    shares, _ = scaled(values)
    apart = shares - shares.mean(0)
    spread, products = (apart**2).sum(0), (apart[:-lag] * apart[lag:]).sum(0)
    return np.where(spread > 0, products / np.where(spread > 0, spread, 1), 0)
