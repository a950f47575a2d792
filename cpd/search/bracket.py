"""The state of a search: two ends that bracket the target, and every training seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cpd.errors import CpdError

FINEST_RESOLUTION = 1e-9
"""In decades: brackets are cut further than that, but floats leave too few of them to see that a gap stays."""

Values = float | Sequence[float | None] | None
"""What a coefficient gave: a value, or one for each seed; None, NaN or infinite where a training diverged."""


@dataclass(frozen=True)
class Point:
    """One coefficient that was trained.

    Attributes:
        coefficient: Of the penalty.
        value: The constraint's value, the mean over the seeds that gave one; NaN where every training diverged.
        seeds: Each seed's own value, NaN where it diverged; empty where there is one seed.
    """

    coefficient: float
    value: float
    seeds: tuple[float, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether no training gave a finite value."""
        return not math.isfinite(self.value)


@dataclass(frozen=True)
class Bracket:
    """Two coefficients whose values lie on opposite sides of the target; ``low.coefficient < high.coefficient``."""

    low: Point
    high: Point

    @property
    def decades(self) -> float:
        """Width on the log scale: ``log10(high / low)``."""
        low, high = self.low.coefficient, self.high.coefficient
        if high < 2 * low:
            return math.log1p((high - low) / low) / math.log(10)  # the difference of logarithms would lose its digits
        return math.log10(high) - math.log10(low)


@dataclass(frozen=True)
class State:
    """A search, immutable; made by :func:`start` and carried on by :func:`observe`.

    Attributes:
        target: The value sought.
        low: Smallest coefficient, > 0.
        high: Largest coefficient.
        tolerance: A value solves the search when ``|value - target| < tolerance``.
        max_trainings: Most coefficients trained, the two ends included.
        resolution: Width in decades below which a gap that does not close is a jump.
        parallel: Most coefficients trained at once in a round.
        negative: Whether the coefficients that are trained are minus those of the search.
        spacing: Relative distance within which training cannot tell two coefficients apart.
        points: Every coefficient trained, in the order observed.
        brackets: One per round since the ends were trained, newest last; empty when the ends do not bracket the target.
    """

    target: float
    low: float
    high: float
    tolerance: float
    max_trainings: int
    resolution: float
    parallel: int
    spacing: float = 0.0
    negative: bool = False
    points: tuple[Point, ...] = ()
    brackets: tuple[Bracket, ...] = ()

    def signed(self, coefficient: float) -> float:
        """The coefficient that is trained."""
        return -coefficient if self.negative else coefficient

    @property
    def ends(self) -> tuple[Point | None, Point | None]:
        """The trainings at ``low`` and ``high``, None where not trained yet."""
        trained = {point.coefficient: point for point in self.points}
        return trained.get(self.low), trained.get(self.high)


def start(
    target: float,
    low: float = 1e-3,
    high: float = 1.0,
    *,
    tolerance: float = 0.01,
    max_trainings: int = 40,
    resolution: float = 2e-5,
    parallel: int = 1,
    spacing: float = 0.0,
    negative: bool = False,
) -> State:
    """Begin a search for the coefficient at which a constraint's value meets the target.

    What a spec says of a search has been checked with the spec (:class:`cpd.spec.models.Search`).

    Args:
        target: The value sought, finite.
        low: Smallest coefficient, > 0 (the scale is logarithmic).
        high: Largest coefficient, > low.
        tolerance: How near is near enough, > 0.
        max_trainings: At least 2, for both ends are trained.
        resolution: In decades, at least 1e-9.
        parallel: Coefficients per round, at least 1.
        spacing: Half the spacing of the numbers that trainings compute in, at 1; 0 for double precision.
        negative: Whether minus these coefficients are trained.

    Raises:
        CpdError: The resolution or the number of parallel trainings is out of its range.
    """
    if not FINEST_RESOLUTION <= resolution < math.inf:
        hint = f"give at least {FINEST_RESOLUTION:g} decades"
        raise CpdError(f"{resolution:g} cannot be used", place="search.resolution", hint=hint)
    if parallel < 1:
        raise CpdError(f"expected an integer >= 1, got {parallel}", place="--parallel")
    return State(target, low, high, tolerance, max_trainings, resolution, parallel, spacing, negative)


def observe(state: State, results: Mapping[float, Values]) -> State:
    """Take in the values of finished trainings and shrink the bracket.

    The invariant, whatever the values do in between: the bracket's low end is on the side of the target that ``low``
    is on, its high end is not. A coefficient whose trainings all diverged counts as being on the side of ``high``.
    Of several sign changes inside the bracket the one at the smallest coefficients is kept.

    Args:
        state: The search so far.
        results: Value, or values over the seeds, by coefficient; all that :func:`cpd.search.propose` named,
            or some of them.

    Raises:
        ValueError: No result, or a coefficient outside ``[low, high]`` or trained before.
    """
    trained = {point.coefficient for point in state.points}
    if not results:
        raise ValueError("observe needs at least one result")
    for coefficient in results:
        if not state.low <= coefficient <= state.high or coefficient in trained:
            raise ValueError(
                f"coefficient {coefficient!r} is outside [{state.low!r}, {state.high!r}] or trained before"
            )
    new = tuple(_point(c, values) for c, values in results.items())
    state = replace(state, points=(*state.points, *new))
    bracket = _bracket(state)
    return state if bracket is None else replace(state, brackets=(*state.brackets, bracket))


def _point(coefficient: float, values: Values) -> Point:
    if values is None or isinstance(values, int | float):
        return Point(coefficient, math.nan if values is None else float(values))
    seeds = tuple(math.nan if value is None else float(value) for value in values)
    finite = [value for value in seeds if math.isfinite(value)]
    mean = math.fsum(value / len(finite) for value in finite) if finite else math.nan
    return Point(coefficient, mean, seeds if len(seeds) > 1 else ())


def across(state: State, point: Point) -> bool:
    """Whether a training is on the other side of the target than the one at ``low``; a diverged one is."""
    low, _ = state.ends
    if low is None:
        raise ValueError("the side of a training is known once the low end has been trained")
    return point.diverged or (point.value > state.target) != (low.value > state.target)


def _bracket(state: State) -> Bracket | None:
    """Narrow the last bracket by all points within it; None while the ends are unknown or do not bracket."""
    low, high = state.ends
    if low is None or high is None or low.diverged or not across(state, high):
        return None
    outer = state.brackets[-1] if state.brackets else Bracket(low, high)
    inside = [p for p in state.points if outer.low.coefficient <= p.coefficient <= outer.high.coefficient]
    inside.sort(key=lambda point: point.coefficient)
    first = next(i for i, point in enumerate(inside) if across(state, point))
    return Bracket(inside[first - 1], inside[first])
