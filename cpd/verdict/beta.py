"""The beta distribution, and Student's, which is one in disguise: what intervals are drawn from."""

from __future__ import annotations

import math
from functools import lru_cache

TINY = 1e-300
CLOSE = 2.0**-52


def beta_probability(x: float, a: float, b: float) -> float:
    r"""The regularised incomplete beta function.

    .. math:: I_x(a, b) = \frac{1}{B(a, b)} \int_0^x t^{a-1} (1 - t)^{b-1} \, dt

    Args:
        x: In [0, 1].
        a: > 0.
        b: > 0.

    Source: Press et al., Numerical Recipes, section 6.4: the continued fraction, by Lentz's method.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_probability(1 - x, b, a)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction; the further it goes the larger a and b are, as their square root."""
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 200 + 20 * math.isqrt(int(max(a, b)) + 1)):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            c, d = _off_zero(1 + step / c), 1 / _off_zero(1 + step * d)
            found *= c * d
        if abs(c * d - 1) <= CLOSE:
            break
    return found


def _off_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY


@lru_cache(maxsize=4096)
def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x at which :func:`beta_probability` is ``probability``, by bisection to the last bit.

    Args:
        probability: In (0, 1).
        a: > 0.
        b: > 0.
    """
    low, high = 0.0, 1.0
    while low < (middle := low + (high - low) / 2) < high and high - low > 1e-15 * high:
        below = beta_probability(middle, a, b) < probability
        low, high = (middle, high) if below else (low, middle)
    return high


@lru_cache(maxsize=4096)
def student_quantile(probability: float, freedom: int) -> float:
    r"""The t at which Student's distribution has ``probability`` below it.

    .. math:: P(|T| > t) = I_x(\nu / 2, 1 / 2), \qquad x = \nu / (\nu + t^2)

    Args:
        probability: In [1/2, 1).
        freedom: Degrees of freedom, >= 1.
    """
    x = beta_quantile(2 * (1 - probability), freedom / 2, 0.5)
    rest = beta_quantile(2 * probability - 1, 0.5, freedom / 2) if x > 0.5 else 1 - x  # 1 - x would lose its digits
    return math.sqrt(freedom * rest / x) if rest > 0 else 0.0
