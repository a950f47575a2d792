r"""Which mixture of iterates is best: a linear programme over their values.

With f_t the objective of iterate t and g_t its strict violations, a mixture draws an iterate for each prediction, so
that its values are the means of theirs:

.. math:: \min_{p \ge 0, \; \sum_t p_t = 1} \sum_t p_t f_t \quad \text{s.t.} \quad \sum_t p_t g_{tj} \le \epsilon_j

with epsilon the tolerances, and on both sides for an equality. Where no mixture is feasible it is the one with the
least sum of violations above 0. A solution at a vertex has at most m + 1 iterates for m constraints.

Source: Cotter et al., "Two-Player Games for Efficient Non-Convex Constrained Optimization" (2019).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpd.errors import CpdError, install

Array = NDArray[np.float64]

NOTHING = 1e-9
"""A share below is rounding of the linear programme."""
MARGINS = (0.0, 1e-12, 1e-9, 1e-6)
"""How far inside the bounds a mixture is looked for, in units of each constraint's largest value beyond or within."""


class Iterates(NamedTuple):
    """Iterates of one run by their values, n of them with C components.

    Attributes:
        objective: ``[n]``, finite.
        values: Strict values ``[n, C]``, finite.
        violations: Of the level, oriented, ``[n, C]``; of an equality signed.
        equality: ``[C]`` bool.
        low: Smallest value at which each component holds, ``[C]``; minus infinity where there is none.
        high: Largest, likewise.
    """

    objective: Array
    values: Array
    violations: Array
    equality: NDArray[np.bool_]
    low: Array
    high: Array

    def taken(self, which: Any) -> Iterates:
        """Some of the iterates."""
        return self._replace(
            objective=self.objective[which], values=self.values[which], violations=self.violations[which]
        )

    @property
    def beyond(self) -> Array:
        """How far each is beyond each bound, ``[n, bounds]``, in units of the bound's largest number: feasible is <= 0.

        Bounds that all keep are left out.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            both = np.concatenate([self.values / 2 - self.high / 2, self.low / 2 - self.values / 2], axis=1)
        both = both[:, (both > 0).any(0) & np.isfinite(both).all(0)]
        return np.asarray(both / np.abs(both).max(0, initial=np.finfo(float).tiny))

    def held(self, shares: Array) -> bool:
        """Whether the mean values hold, each component of them."""
        mean = shares @ self.values
        return bool(((mean >= self.low) & (mean <= self.high)).all())

    def total(self, shares: Array) -> float:
        """Sum of the mean violations above 0, of an equality on both sides."""
        mean = shares @ self.violations
        return float(np.where(self.equality, np.abs(mean), np.maximum(mean, 0.0)).sum())


def refuse_without_scipy() -> None:
    """Raise where the linear programmes cannot be solved.

    Raises:
        CpdError: There is no scipy.
    """
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise CpdError("mixture needs scipy", place="train.select", hint=install("scipy")) from None


def best_mixture(iterates: Iterates) -> tuple[Array, bool]:
    """The shares ``[n]`` of the best mixture, and whether it is feasible.

    Never worse than the best single iterate.

    Args:
        iterates: At least one.
    """
    single, feasible = _best_single(iterates)
    beyond = iterates.beyond
    for margin in MARGINS:
        found = _least(_unit(iterates.objective), beyond + margin)
        if found is None:
            break
        shares = _settled(found, beyond + margin)
        if iterates.held(shares):
            better = not feasible or shares @ iterates.objective < single @ iterates.objective
            return (shares, True) if better else (single, True)
    if feasible:
        return single, True
    shares = _least_violation(iterates)
    return (shares if iterates.total(shares) < iterates.total(single) else single), False


def worth_keeping(iterates: Iterates) -> NDArray[np.bool_]:
    """Which iterates, ``[n]``, are not at most as good in everything as a mixture of the others that are kept.

    Without the others every mixture, of these and of iterates to come, has one that is as good. Of equals the first
    stays.
    """
    two_sided = np.isfinite(iterates.low) & np.isfinite(iterates.high)
    # Turned so that less is better, but for components with two bounds, which are to be the same.
    turned = np.where(np.isfinite(iterates.low) & ~two_sided, -iterates.values, iterates.values)
    points = np.column_stack([_unit(iterates.objective), *map(_unit, turned.T)])
    same = np.concatenate([[False], two_sided])
    kept = np.ones(len(points), dtype=bool)
    for t in reversed(range(len(points))):
        others = kept.copy()
        others[t] = False
        kept[t] = not _as_good(points[others], points[t], same)
    return kept


def _as_good(points: Array, one: Array, same: NDArray[np.bool_]) -> bool:
    """Whether a mixture of points is at most as large as one in every coordinate, and equal in some."""
    if not len(points):
        return False
    if bool(((points <= one) & (~same | (points == one))).all(1).any()):
        return True
    if bool((points.min(0) > one).any()) or bool((same & (points.max(0) < one)).any()):
        return False
    if points.shape[1] > len(points):  # as many directions as points: each is at an end of some, or nearly always
        return False
    difference = points - one
    return _least(np.zeros(len(points)), np.concatenate([difference, -difference[:, same]], axis=1)) is not None


def _best_single(iterates: Iterates) -> tuple[Array, bool]:
    """The best iterate alone: feasible before infeasible, then the objective, or the least violation."""
    each = np.eye(len(iterates.objective))
    feasible = np.array([iterates.held(alone) for alone in each])
    totals = np.array([iterates.total(alone) for alone in each])
    ranks = np.where(feasible, iterates.objective, np.inf) if feasible.any() else totals
    return each[int(np.argmin(ranks))], bool(feasible.any())


def _least_violation(iterates: Iterates) -> Array:
    """The mixture with the least sum of violations above 0: of ``v p <= s``, of an equality also ``-v p <= s``."""
    largest = np.abs(iterates.violations).max(initial=np.finfo(float).tiny)
    own = iterates.violations / largest
    counts = (own > 0).any(0) | iterates.equality
    own, equality = own[:, counts], iterates.equality[counts]
    n, m = own.shape
    slack = -np.eye(m)
    rows = np.block([[own.T, slack], [-own.T[equality], slack[equality]]])
    cost = np.concatenate([np.zeros(n), np.ones(m)])
    found = _solved(cost, rows, np.concatenate([np.ones(n), np.zeros(m)]))
    assert found is not None, "any mixture has some violation"
    shares = np.where(found[:n] > NOTHING, found[:n], 0.0)
    return np.asarray(shares / shares.sum())


def _least(cost: Array, beyond: Array) -> Array | None:
    """The mixture of least cost with no mean above 0 of ``[n, bounds]``; None where there is none."""
    return _solved(cost, beyond.T, np.ones(len(cost)))


def _solved(cost: Array, rows: Array, ones: Array) -> Array | None:
    """A vertex ``x >= 0`` of least cost with ``rows x <= 0`` and ``ones x = 1``; None where there is none."""
    from scipy.optimize import linprog

    bounds = {"A_ub": rows, "b_ub": np.zeros(len(rows))} if len(rows) else {}
    found = linprog(cost, A_eq=ones[None], b_eq=[1.0], method="highs-ds", **bounds)
    return np.asarray(found.x) if found.status == 0 else None


def _settled(shares: Array, beyond: Array) -> Array:
    """The same vertex without the solver's rounding: its bounds that bind are met as exactly as floats can."""
    support = np.flatnonzero(shares > NOTHING)
    own = shares[support] / shares[support].sum()
    binding = np.abs(own @ beyond[support]) < 1e-6
    rows = np.vstack([np.ones(len(support)), beyond[support][:, binding].T])
    right = np.concatenate([[1.0], np.zeros(len(rows) - 1)])
    exact = np.linalg.lstsq(rows, right, rcond=None)[0]
    near = bool((exact > 0).all()) and bool((np.abs(exact - own) < 1e-3).all())
    whole = np.zeros_like(shares)
    whole[support] = exact / exact.sum() if near else own
    return whole


def _unit(values: Array) -> Array:
    """Values moved and scaled into [0, 1]; nothing overflows on the way."""
    small = values / 4
    spread = small.max() - small.min()
    return np.asarray((small - small.min()) / spread) if spread > 0 else np.zeros_like(small)
