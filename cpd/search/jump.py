"""Tell a value that jumps across the target from one that is steep, and from noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cpd.search.bracket import Bracket, Point, State
from cpd.search.cuts import exhausted

NARROW = 1e-3
"""Decades below which a jump may be told once nothing more can be trained; while it can, :attr:`State.resolution`."""
SHRUNK, SHRUNK_LEAST = 1000.0, 30.0
"""By how much the bracket has shrunk around a gap that stayed: while trainings are left, and when they are used up."""
SEEN, SEEN_LEAST = 8, 7
"""How many points show that it stayed: likewise."""
CLOSES = 1.4
"""A gap that was so many times wider in the wider bracket closes with it."""
STANDS_OUT = 5.0
"""How many times larger than the scatter of the points on either side a jump is."""
A_SIDE = 3
"""How many points each side of a jump is known by."""
BESIDE = 10.0
"""How many widths of the bracket away from it the missing points of a side are trained."""
ERRORS = 4.0
"""How many standard errors between seeds a jump is larger than."""


@dataclass(frozen=True)
class Around:
    """The points around the last bracket.

    Attributes:
        outer: A bracket that was some times wider; the points are as near as it is wide.
        below: At the low end and before it.
        above: At the high end and after it.
    """

    outer: Bracket
    below: Sequence[Point]
    above: Sequence[Point]

    @property
    def count(self) -> int:
        """Of all points."""
        return len(self.below) + len(self.above)

    @property
    def fewer(self) -> int:
        """Of the points of the side that has fewer."""
        return min(len(self.below), len(self.above))

    @property
    def scatter(self) -> float:
        r"""Mean deviation of the n values from the mean of their side: :math:`\sum_i |v_i - \bar v| / (n - 2)`."""
        deviations = [*_deviations(_finite(self.below)), *_deviations(_finite(self.above))]
        return sum(deviations) / max(1, len(deviations) - 2)

    def separation(self, target: float) -> float:
        """Distance between the nearest values of the two sides; to the target where all of one diverged."""
        one, other = sorted([_finite(self.below), _finite(self.above) or [target]], key=max)
        return min(other) - max(one)


def jumps(state: State) -> bool:
    """Whether the value jumps across the target inside the last bracket, as far as its points tell.

    The points of a bracket that was 1000 times wider tell. The values of a steep function draw together as the bracket
    shrinks; those of a noisy one scatter as widely as they lie apart. Where several seeds were trained, the gap is
    larger than four standard errors of its mean over the seeds, too. Each side is known by three points at least. Once
    nothing more can be trained, a bracket that was 30 times wider tells as well.
    """
    return any(near.fewer >= A_SIDE for near in _gaps(state))


def confirming(state: State) -> float | None:
    """The coefficient that would show whether what looks like a jump is a few odd values; None where nothing is due."""
    for near in _gaps(state):
        bracket = state.brackets[-1]
        away = math.log(10) * BESIDE * near.fewer * bracket.decades
        low, high = bracket.low.coefficient * math.exp(-away), bracket.high.coefficient * math.exp(away)
        beside = low if len(near.below) < len(near.above) else high
        known = any(point.coefficient == beside for point in state.points)
        if state.low < beside < state.high and not known:
            return beside
    return None


def gap(state: State, bracket: Bracket) -> float:
    """Distance of the values at a bracket's ends; to the target alone where the high end diverged."""
    high = state.target if bracket.high.diverged else bracket.high.value
    return abs(bracket.low.value - high)


def around(state: State, shrunk: float) -> Around:
    """The points as near to the last bracket as a bracket at least ``shrunk`` times wider, or the first, is wide."""
    bracket = state.brackets[-1]
    wider = (outer for outer in reversed(state.brackets) if outer.decades >= shrunk * bracket.decades)
    outer = next(wider, state.brackets[0])
    below = [p for p in state.points if p.coefficient <= bracket.low.coefficient]
    above = [p for p in state.points if p.coefficient >= bracket.high.coefficient]
    return Around(
        outer,
        [point for point in below if Bracket(point, bracket.low).decades <= outer.decades],
        [point for point in above if Bracket(bracket.high, point).decades <= outer.decades],
    )


def _gaps(state: State) -> Iterator[Around]:
    """The points around a gap that stays, if there is one; there may be few on one side of it."""
    if not state.brackets:
        return
    width, spent = state.brackets[-1].decades, len(state.points) >= state.max_trainings or exhausted(state)
    for applies, shrunk, least in (
        (width < state.resolution, SHRUNK, SEEN),
        (spent and width < NARROW, SHRUNK_LEAST, SEEN_LEAST),
    ):
        near = around(state, shrunk)
        if applies and near.count >= least and near.outer.decades >= shrunk * width and _stays(state, near):
            yield near


def _stays(state: State, near: Around) -> bool:
    bracket = state.brackets[-1]
    apart = gap(state, bracket)
    return (
        gap(state, near.outer) <= CLOSES * apart
        and near.separation(state.target) >= STANDS_OUT * near.scatter
        and apart > ERRORS * _error(bracket)
    )


def _finite(points: Sequence[Point]) -> list[float]:
    return [point.value for point in points if not point.diverged]


def _deviations(values: Sequence[float]) -> list[float]:
    mean = math.fsum(value / len(values) for value in values)
    return [abs(value - mean) for value in values]


def _error(bracket: Bracket) -> float:
    """Standard error of the gap between the ends over the seeds that have a value at both; 0 for a single seed."""
    pairs = zip(bracket.low.seeds, bracket.high.seeds, strict=False)
    gaps = [high - low for low, high in pairs if math.isfinite(low) and math.isfinite(high)]
    if len(gaps) < 2:
        return 0.0
    mean = math.fsum(gaps) / len(gaps)
    return math.hypot(*(g - mean for g in gaps)) / math.sqrt(len(gaps) * (len(gaps) - 1))
