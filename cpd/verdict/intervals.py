"""How sure a value that was measured on examples is: intervals, and what they say of a level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from cpd.outcome import Evidence, Number, Series
from cpd.verdict.averages import clamped
from cpd.verdict.beta import beta_quantile, student_quantile
from cpd.verdict.document import Interval, Verdict
from cpd.verdict.feasibility import Bound, excess, oriented, slack

LEAST = 100
"""Resamples without which nothing is said."""
IN_TAIL = 10
"""Resamples beyond a limit without which it is drawn from their standard error."""

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Limits = tuple[float, float]


def interval(value: Number, evidence: Evidence | None, confidence: float) -> Interval:
    """The interval of a constraint's value, of each component of a vector constraint by itself.

    Args:
        value: The strict value, a number or ``[k]``.
        evidence: What was kept of the examples that it was measured on.
        confidence: Of each interval, in (0, 1).

    Returns:
        ``[low, high]``, or a list of them; None where nothing says how sure the value is.
    """
    found = [list(one) if one else None for one in intervals(value, evidence, confidence)]
    if isinstance(value, list):
        return found if any(found) else None
    return found[0]


def intervals(value: Number, evidence: Evidence | None, confidence: float) -> list[Limits | None]:
    """The interval of each component, see :func:`interval`; one component where it is a scalar."""
    values = value if isinstance(value, list) else [value]
    if evidence is None:
        return [None] * len(values)
    if evidence.counted is not None:
        pairs = list(evidence.counted)
        if len(pairs) != len(values):
            return [None] * len(values)
        return [clopper_pearson(hits, of, confidence) if of > 0 else None for hits, of in pairs]
    columns = _columns(evidence.resampled, len(values))
    size = evidence.size
    sizes = [size] * len(values) if size is None or isinstance(size, int) else list(size)
    return [
        None if one is None else bootstrap(column, one, confidence, examples)
        for one, column, examples in zip(values, columns, sizes, strict=True)
    ]


@lru_cache(maxsize=4096)
def clopper_pearson(hits: float, of: float, confidence: float) -> Limits:
    r"""The interval of a share that counts whole examples, which covers at least as often as it says.

    .. math:: [B_{\alpha/2}(h, n - h + 1), \; B_{1-\alpha/2}(h + 1, n - h)], \qquad \alpha = 1 - \mathrm{confidence}

    of the beta distribution's quantiles B; 0 where h is 0, and 1 where h is n.

    Args:
        hits: h: examples that count.
        of: n > 0: examples of the group.
        confidence: In (0, 1).

    Source: Clopper and Pearson (1934).
    """
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, hits, of - hits + 1) if hits > 0 else 0.0
    high = 1 - beta_quantile(tail, of - hits, hits + 1) if hits < of else 1.0
    return low, high


def bootstrap(resampled: Sequence[float], value: float, confidence: float, examples: int | None) -> Limits | None:
    r"""The interval of a value by its values on resamples of the examples.

    .. math:: v \pm \max(q_{1-a} - v, \; v - q_a, \; (z + (2 z^2 + 1) \, |\gamma| / 6) s), \qquad
        z = \sqrt{n / (n - 1)} \; t_{n-1, 1-\alpha/2}, \quad a = \Phi(-z)

    of the resamples' quantiles q, their root mean square distance s from the value and their skewness: the hull of the
    percentile interval, of its mirror image about the value, since one that folds (an absolute difference, a largest
    value) is moved to one side by resampling, and of the normal interval, longer where the mean of a skewed quantity is
    so. Where fewer than ten resamples are beyond a quantile it is the tenth.

    Args:
        resampled: ``[B]``; what is not finite, as where a group was empty, is left out.
        value: v, of the examples themselves.
        confidence: :math:`1 - \alpha`, in (0, 1).
        examples: n, of the smallest group; None leaves the widening for few examples out.

    Returns:
        ``(low, high)``; None of fewer than 100 resamples, or of a single example.

    Source: Efron and Tibshirani (1993), chapters 12 and 13; the widening is Hesterberg's expanded percentile (2015),
    the term of the skewness Johnson's (1978).
    """
    import numpy as np

    values = np.asarray(resampled, np.float64)
    values = np.sort(values[np.isfinite(values)])
    if len(values) < LEAST or (examples is not None and examples < 2):
        return None
    reach = _expanded((1 - confidence) / 2, examples)
    tail = max(NormalDist().cdf(-reach), IN_TAIL / len(values))
    low, high = np.quantile(values, [tail, 1 - tail]).tolist()
    width = max(high - value, value - low)
    error = math.sqrt(float(np.mean((values - value) ** 2)))
    folded = values[0] >= 0 and value >= 0  # nothing of it is below 0: such a difference has no sign
    skewness = 0.0 if folded and value < reach * error else _skewness(values)  # what folds is skewed by that alone
    width = max(width, (reach + (2 * reach**2 + 1) * abs(skewness) / 6) * error)
    return (max(value - width, 0.0) if folded else clamped(value - width)), clamped(value + width)


def _skewness(values: NDArray[np.float64]) -> float:
    """Third moment about the mean over the third power of the deviation; 0 where nothing varies."""
    import numpy as np

    apart = values - values.mean()
    scale = float(np.abs(apart).max())
    if scale == 0:
        return 0.0
    shares = apart / scale  # no power of these overflows
    return float(np.mean(shares**3) / np.mean(shares**2) ** 1.5)


def _expanded(tail: float, examples: int | None) -> float:
    """Standard errors to a limit, more of them where the examples are few."""
    if examples is None:
        return -NormalDist().inv_cdf(tail)
    n = max(2, examples)
    return math.sqrt(n / (n - 1)) * student_quantile(1 - tail, n - 1)


def verdict(
    value: Number, evidence: Evidence | None, level: float, bound: Bound, dtype: str, confidence: float
) -> Verdict | None:
    """What the evidence says of a constraint, every component of it.

    ``satisfied`` where the whole interval of each component holds up to the tolerance and rounding, ``violated`` where
    nothing of the interval of some component does, ``uncertain`` otherwise. The k components of a vector constraint
    have intervals at ``1 - (1 - confidence) / k`` (Bonferroni), so that all of them cover at once.

    Args:
        value: The strict value, a number or ``[k]``.
        evidence: What was kept of the examples that it was measured on.
        level: The run's level.
        bound: Gives sense and tolerance.
        dtype: What the value was computed in.
        confidence: In (0, 1).

    Returns:
        None where nothing says how sure the value is.
    """
    size = len(value) if isinstance(value, list) else 1
    found = intervals(value, evidence, corrected(confidence, size))
    if not found or None in found:
        return None
    return together([_of_one(one, level, bound, dtype) for one in found if one is not None])


def together(verdicts: Sequence[Verdict | None]) -> Verdict | None:
    """What several verdicts come to: violated where one is, satisfied where all are; None where none is known.

    Where one is unknown beside others, nothing is sure but a violation.
    """
    known = [one for one in verdicts if one is not None]
    if not known:
        return None
    if "violated" in known:
        return "violated"
    return "satisfied" if known.count("satisfied") == len(verdicts) else "uncertain"


def corrected(confidence: float, count: int) -> float:
    """The confidence of each of so many intervals at which all of them cover at once: ``1 - (1 - c) / m``.

    Source: Bonferroni (1936); it holds however the values depend on each other.
    """
    return 1 - (1 - confidence) / max(1, count)


def _of_one(found: Limits, level: float, bound: Bound, dtype: str) -> Verdict:
    low, high = found
    allowed = bound.tolerance + slack(max(abs(low), abs(high)), level, bound.tolerance, dtype)
    ends = [oriented(end, level, bound.sense) for end in found]
    if max(excess(end, bound.sense) for end in ends) <= allowed:
        return "satisfied"
    nearest = min(ends)
    if bound.sense == "==":
        nearest = 0.0 if min(ends) <= 0 <= max(ends) else min(map(abs, ends))
    return "violated" if nearest > allowed else "uncertain"


def _columns(resampled: Sequence[object], size: int) -> list[Sequence[float]]:
    """The resamples of each component, ``[k][B]``; none where they have another number of components."""
    import numpy as np

    packed = resampled.numbers if isinstance(resampled, Series) else list(resampled)
    values = np.asarray(packed, np.float64)
    columns = values.reshape(len(values), -1) if values.size else values.reshape(0, 0)
    return [columns[:, k] if columns.shape[1] == size else [] for k in range(size)]  # type: ignore[misc]
