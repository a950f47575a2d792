"""All coefficients at once: a simplex that crawls towards the least violation of the worst constraint."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from cpd.search.several import Plan, Sizes, State, Stopped, Trial

WIDTH = 0.25
"""The first simplex, as a share of each coefficient's range in decades."""
SMALL = 1e-3
"""Decades below which a simplex is begun anew around its best point."""
BETTER = 0.9
"""A simplex that was begun anew goes on where it brought the worst distance below this share of what it was."""
AT_ONCE = 4
"""Coefficients that may be trained at once from which on all that a step may need are."""

Point = tuple[float, ...]
"""Logarithms to base 10 of coefficients."""
Vertex = tuple[float, Point]
"""The worst distance there, and where."""


def simplex(state: State) -> Plan:
    r"""Lower the worst distance :math:`\max_i d_i`, in tolerances, over the logarithms of all coefficients.

    Reflection 1, expansion :math:`1 + 2/n`, contraction :math:`3/4 - 1/2n` and shrinkage :math:`1 - 1/n` of ``n``
    coefficients (those of Nelder and Mead for two), each clipped to the ends. A simplex smaller than :data:`SMALL`
    decades is begun anew around its best vertex, half as wide each time; the search stops where that no longer brings
    the worst distance below :data:`BETTER` of what it was.

    Source: Gao and Han, "Implementing the Nelder-Mead simplex algorithm with adaptive parameters" (2012).
    """
    lows = [math.log10(aim.low) for aim in state.aims]
    highs = [math.log10(aim.high) for aim in state.aims]
    around = tuple((low + high) / 2 for low, high in zip(lows, highs, strict=True))
    best, width = math.inf, WIDTH
    while True:
        corners = [around, *(_beside(state, around, k, width) for k in range(len(lows)))]
        values = yield from _ask(state, corners)
        found = yield from _crawl(state, sorted(zip(values, corners, strict=True)))
        if not found[0] < BETTER * best:
            return Stopped()
        best, around, width = found[0], found[1], width / 2


def _crawl(state: State, simplex: list[Vertex]) -> Generator[tuple[Sizes, ...], list[Trial], Vertex]:
    """Steps until the simplex is small; its best vertex."""
    n = max(2, len(state.aims))
    inward, shrinking = 0.75 - 0.5 / n, 1 - 1 / n
    while _span(simplex) >= SMALL:
        *kept, (worst, last) = simplex
        middle = tuple(math.fsum(x) / len(kept) for x in zip(*(point for _, point in kept), strict=True))
        at = {
            t: _clipped(state, tuple(m + t * (m - x) for m, x in zip(middle, last, strict=True)))
            for t in (1.0, 1 + 2 / n, inward, -inward)
        }
        if state.parallel >= AT_ONCE:
            yield from _ask(state, list(at.values()))
        new = yield from _step(state, at, (kept[0][0], kept[-1][0], worst))
        if new is not None:
            simplex = sorted([*kept, new])
            continue
        first = simplex[0]
        moved = [
            tuple(b + shrinking * (x - b) for b, x in zip(first[1], point, strict=True)) for _, point in simplex[1:]
        ]
        values = yield from _ask(state, moved)
        simplex = sorted([first, *zip(values, moved, strict=True)])
    return simplex[0]


def _step(
    state: State, at: dict[float, Point], heights: tuple[float, float, float]
) -> Generator[tuple[Sizes, ...], list[Trial], Vertex | None]:
    """A vertex in place of the worst one; None where the simplex is to shrink.

    Args:
        state: The search.
        at: Reflection, expansion, contraction outside and inside.
        heights: Of the best, the second worst and the worst vertex.
    """
    best, second, worst = heights
    reflected, expanded, outside, inside = at.values()
    (height,) = yield from _ask(state, [reflected])
    if height < best:
        (further,) = yield from _ask(state, [expanded])
        return (further, expanded) if further < height else (height, reflected)
    if height < second:
        return height, reflected
    nearer = outside if height < worst else inside
    (there,) = yield from _ask(state, [nearer])
    return (there, nearer) if there < min(height, worst) else None


def _ask(state: State, points: Sequence[Point]) -> Generator[tuple[Sizes, ...], list[Trial], list[float]]:
    """The worst distances at some points."""
    trials = yield tuple(_sizes(state, point) for point in points)
    return [state.worst(trial) for trial in trials]


def _sizes(state: State, point: Point) -> Sizes:
    """Coefficients of few digits: printed in full and typed in again, they name the same run."""
    rounded: list[float] = [float(f"{math.pow(10, x):.12g}") for x in point]
    return tuple(min(max(c, aim.low), aim.high) for c, aim in zip(rounded, state.aims, strict=True))


def _clipped(state: State, point: Point) -> Point:
    ends = [(math.log10(aim.low), math.log10(aim.high)) for aim in state.aims]
    return tuple(min(max(x, low), high) for x, (low, high) in zip(point, ends, strict=True))


def _beside(state: State, point: Point, place: int, width: float) -> Point:
    """A point away along one coefficient, towards the further end of its range."""
    low, high = math.log10(state.aims[place].low), math.log10(state.aims[place].high)
    away = width * (high - low) * (1 if point[place] <= (low + high) / 2 else -1)
    return _clipped(state, (*point[:place], point[place] + away, *point[place + 1 :]))


def _span(simplex: Sequence[Vertex]) -> float:
    """The largest extent of a simplex along one coefficient, in decades."""
    spans: list[float] = [max(x) - min(x) for x in zip(*(point for _, point in simplex), strict=True)]
    return max(spans)
