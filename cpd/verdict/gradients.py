"""What constraints' gradients at the end of a run say: which have vanished, and which constraints fight each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpd.outcome import Ending, Run, finite_or_none
from cpd.verdict.feasibility import Bound, excess, holds, level_of, oriented
from cpd.verdict.points import Array

VANISHING = 1e-2
"""A gradient has vanished where a change of the parameters by their own size moves this share of the violation."""

LOST = 1e-3
"""Of a run of which no more is known: below this share of the largest one seen."""

OPPOSED = 50.0
"""Constraints fight where meeting them all, to first order, takes so many times the way that meeting one takes."""

TAKES_PART = 1e-3
"""A constraint takes part in a fight with at least this share of the largest weight."""


def vanished(run: Run, name: str, violations: Array) -> NDArray[np.bool_]:
    r"""Whether the gradient of each component of a constraint has vanished, ``[K]``; not where it was not looked at.

    .. math:: |x| \, |\nabla g_k(x)| \le 0.01 \, |g_k(x)|

    Neither the units of the constraint, nor those of the parameters, nor what a run came past plays a part.

    Args:
        run: A finished run.
        name: The constraint's.
        violations: At its end, oriented, ``[K]``.
    """
    found = np.zeros(len(violations), bool)
    if run.ending is None:
        norm = run.constraints[name].gradient_norm
        return found | (norm is not None and norm <= LOST)
    for at, (constraint, place) in enumerate(run.ending.components):
        if constraint == name and place < len(found):
            found[place] = _reach(run.ending, at) <= VANISHING * abs(violations[place])
    return found


def _reach(ending: Ending, at: int) -> float:
    """How far a component moves, to first order, when the parameters change by their own size."""
    return math.sqrt(max(0.0, ending.products[at][at])) * ending.scale


def fighting(run: Run, bounds: Mapping[str, Bound], dtype: str) -> list[str]:
    r"""Name the components that no small change of the parameters meets together, though it would meet each alone.

    Of the constraints without those whose gradient has vanished, to first order at the end of the run,

    .. math:: D = \min |d| \quad \text{such that} \quad g_k + \nabla g_k \cdot d \le \mathrm{tolerance}_k

    is compared with the way that the furthest of the violated ones needs alone. Where gradients are opposed, no ``d``
    will do: their cosine is -1, or more than two of them cancel. For convex constraints this proves that no point
    meets them all.

    Args:
        run: A finished run.
        bounds: Sense and tolerance of each constraint.
        dtype: Of its values.

    Returns:
        ``name``, or ``name[k]`` of a vector; empty where none fight.

    Source: Lawson and Hanson, *Solving Least Squares Problems* (1974), chapter 23: least distance programming.
    """
    if run.ending is None or all(_met(run, name, bounds[name], dtype) for name in run.constraints if name in bounds):
        return []
    columns = [c for at in range(len(run.ending.components)) for c in _columns(run, run.ending, at, bounds)]
    alone = max((far for _, _, far in columns), default=0.0)
    if alone <= 0 or len({at for at, _, _ in columns}) < 2:
        return []
    which = [at for at, _, _ in columns]
    lengths = np.array([math.sqrt(run.ending.products[at][at]) for at in which])
    sides = np.array([side for _, side, _ in columns])
    cosines = np.array(run.ending.products)[np.ix_(which, which)] / np.outer(lengths, lengths) * np.outer(sides, sides)
    far = np.array([far for _, _, far in columns]) / alone
    weights = _nonnegative(cosines + np.outer(far, far), far)
    rest = 1 - far @ weights  # the squared residual r of the least squares problem; D^2 = (1 - r) / r
    if rest * (1 + OPPOSED**2) > 1:
        return []
    part = {at for at, weight in zip(which, weights, strict=True) if weight >= TAKES_PART * weights.max()}
    return [_named(run, *run.ending.components[at]) for at in sorted(part)] if len(part) > 1 else []


def _columns(run: Run, ending: Ending, at: int, bounds: Mapping[str, Bound]) -> list[tuple[int, float, float]]:
    """A component's sides, 1 or -1 (both of an equality), and how far it is from being met there in sizes of ``x``."""
    name, place = ending.components[at]
    value = _last(run, name) if name in bounds else None
    known = finite_or_none(value[place] if isinstance(value, list) else value)
    reach = _reach(ending, at)
    if known is None or reach <= 0:
        return []
    bound = bounds[name]
    violation = oriented(known, level_of(run.key, name, bound), bound.sense)
    if excess(violation, bound.sense) > 0 and reach <= VANISHING * excess(violation, bound.sense):
        return []
    if bound.sense == "==":
        return [(at, side, (side * violation - bound.tolerance) / reach) for side in (1.0, -1.0)]
    return [(at, -1.0 if bound.sense == ">=" else 1.0, (violation - bound.tolerance) / reach)]


def _last(run: Run, name: str) -> Any:
    """The value at the last parameters, also where others are judged."""
    outcome = run.constraints[name]
    elsewhere = run.selected_step is not None or run.mixture or run.averaged is not None
    return outcome.tail[-1] if elsewhere and len(outcome.tail) else outcome.value


def _met(run: Run, name: str, bound: Bound, dtype: str) -> bool:
    return holds(run.constraints[name].value, level_of(run.key, name, bound), bound, dtype)


def _named(run: Run, name: str, place: int) -> str:
    return f"{name}[{place}]" if isinstance(run.constraints[name].value, list) else name


def _nonnegative(matrix: Array, linear: Array) -> Array:
    """The ``y >= 0`` with the least ``y.H.y / 2 - q.y``, by an active set, ``[n]``.

    Source: Lawson and Hanson (1974), chapter 23, algorithm NNLS, on the normal equations.
    """
    weights = np.zeros(len(linear))
    free = np.zeros(len(linear), bool)
    for _ in range(10 * len(linear)):
        downhill = np.where(free, -np.inf, linear - matrix @ weights)
        if downhill.max(initial=-np.inf) <= 1e-10:
            break
        free[downhill.argmax()] = True
        while free.any():
            best = np.zeros(len(linear))
            best[free] = np.linalg.lstsq(matrix[np.ix_(free, free)], linear[free], rcond=1e-13)[0]
            if (best[free] > 0).all():
                weights = best
                break
            back = free & (best <= 0)
            share = min(weights[back] / np.maximum(weights[back] - best[back], 1e-300))
            weights = weights + share * (best - weights)
            free &= weights > 1e-14
    return weights
