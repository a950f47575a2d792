"""Resamples of examples, with replacement: the same for every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEED = 0
"""Decides the resamples, with the number of examples; all runs of a task are judged on the same ones."""
BY_PATTERN = 2000
"""Resamples where examples count in few patterns."""
BY_EXAMPLE = 1000
"""Most resamples where each example has terms of its own."""
LEAST = 200
"""Fewest of those."""
DRAWS = 2**28
"""Examples drawn in all from which there are fewer resamples."""
FEW = 40
"""Columns of 0 and 1 of which patterns are made."""
CHUNK = 2**22
"""Examples drawn at a time."""
PRIOR = 0.5
"""Examples that are added to those of each share which count in it, and as many that do not.

A share of 20 of 20 is 20 of 20 on each resample too; with these it is not, and nothing is said with certainty that a
few examples cannot show (as Agresti and Caffo (2000) add one each to a difference of two shares).
"""


def resampled_patterns(terms: Array) -> Array | None:
    r"""Sums over resamples of examples whose terms are 0 or 1, drawn as counts of the patterns that they have.

    .. math:: (n_1, \dots, n_P) \sim \mathrm{Multinomial}(n, (c_1, \dots, c_P) / n)

    Args:
        terms: ``[n, 2 m]``: what counts in each of m shares, then its group.

    Returns:
        ``[B, 2 m]``; None where the patterns are too many.
    """
    weights = 2.0 ** np.arange(terms.shape[1])
    codes, counts = np.unique((terms @ weights).astype(np.int64), return_counts=True)
    if len(codes) > BY_PATTERN:
        return None
    patterns = (codes[:, None] >> np.arange(terms.shape[1]) & 1).astype(np.float64)
    shares = terms.shape[1] // 2
    one = np.eye(shares)
    patterns = np.concatenate([patterns, np.hstack([one, one]), np.hstack([0 * one, one])])
    likely = np.concatenate([counts, np.full(2 * shares, PRIOR)])
    drawn = _generator(len(terms)).multinomial(len(terms) + shares, likely / likely.sum(), size=BY_PATTERN)
    sums: Array = drawn @ patterns
    return sums


def resampled_sums(terms: Array) -> Array:
    """Sums over resamples of the examples, ``[B, columns]`` of terms ``[n, columns]``."""
    examples = len(terms)
    count = max(LEAST, min(BY_EXAMPLE, DRAWS // examples))
    generator, found = _generator(examples), []
    step = max(1, CHUNK // examples)
    for first in range(0, count, step):
        rows = min(step, count - first)
        drawn = generator.integers(0, examples, (rows, examples)) + examples * np.arange(rows)[:, None]
        times = np.bincount(drawn.reshape(-1), minlength=rows * examples).reshape(rows, examples)
        found.append(times.astype(np.float64) @ terms)
    return np.concatenate(found)


def _generator(examples: int) -> np.random.Generator:
    return np.random.default_rng([SEED, examples])
