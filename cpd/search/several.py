"""A search for several coefficients at once, one for each constraint: its aims, every training seen, how far each is.

What follows is planned anew from all trainings each time: a plan is a generator that asks for trainings and is sent
what they gave, so that the state is only what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cpd.errors import CpdError
from cpd.search.bracket import Values

AT_LOW = 0.01
"""Decades from its low end within which an inequality's coefficient does nothing: there it is met where it holds."""

MOST = 10**9
"""Trainings of a search within another one, whose own number limits both."""

Sizes = tuple[float, ...]
"""A coefficient of each aim, without its sign."""


@dataclass(frozen=True)
class Aim:
    """What one constraint is to be brought to by its own coefficient.

    Attributes:
        target: The value sought.
        low: Smallest coefficient, > 0.
        high: Largest coefficient.
        tolerance: How near is near enough, > 0.
        sense: ``<=``, ``>=`` or ``==``.
        negative: Whether the coefficients that are trained are minus those of the search.
        name: Of the constraint.
    """

    target: float
    low: float = 1e-3
    high: float = 1.0
    tolerance: float = 0.01
    sense: str = "<="
    negative: bool = False
    name: str = ""

    def signed(self, size: float) -> float:
        """The coefficient that is trained."""
        return -size if self.negative else size

    def excess(self, value: float) -> float:
        """The violation, signed, so that a larger coefficient brings it down."""
        return (self.target - value) if (self.sense == ">=") != self.negative else value - self.target

    def distance(self, size: float, value: float) -> float:
        r"""How far from met, in tolerances: below 1 is met.

        ``|v - t| / tolerance``. An inequality that holds with room is met where its coefficient is at its low end:

        .. math:: \max(g, \min(-g, \delta)) / \mathrm{tolerance}

        with :math:`\delta` the decades from the low end, a hundredth of which count as a tolerance: the residual of
        complementary slackness, continuous in both. Infinite where training gave no value.
        """
        if not math.isfinite(value):
            return math.inf
        over = self.excess(value) / self.tolerance
        if over > 0 or self.sense == "==":
            return abs(over)
        return min(-over, math.log10(size / self.low) / AT_LOW)


@dataclass(frozen=True)
class Trial:
    """Coefficients that were trained.

    Attributes:
        sizes: Of each aim.
        values: Of each constraint, the mean over the seeds that gave one; NaN where every training diverged.
        seeds: Each constraint's values of every seed.
    """

    sizes: Sizes
    values: tuple[float, ...]
    seeds: tuple[tuple[float, ...], ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether training gave no value."""
        return not all(map(math.isfinite, self.values))


@dataclass(frozen=True)
class Stuck:
    """Why a constraint is not met where nothing moves any more.

    Attributes:
        place: Of the aim.
        kind: ``jump``: its value jumps across the target while the other coefficients stay. ``end``: its coefficient is
            at an end of its range.
        trials: The two sides of the jump, or the end.
    """

    place: int
    kind: Literal["jump", "end"]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Stopped:
    """How a plan ended of itself: nothing more is to be trained.

    Attributes:
        stuck: What was in the way of each constraint that is not met; empty where that is not known of each alone.
    """

    stuck: tuple[Stuck, ...] = ()


Plan = Generator[tuple[Sizes, ...], list[Trial], Stopped]
"""Asks for trainings, is sent what they gave, and says why it ended."""


@dataclass(frozen=True)
class State:
    """A search, immutable; made by :func:`start` and carried on by :func:`observe`.

    Attributes:
        aims: Of each constraint that is searched.
        plan: How the next coefficients are chosen.
        max_trainings: Most coefficients trained.
        parallel: Most coefficients trained at once where there is a choice.
        spacing: Relative distance within which training cannot tell two coefficients apart.
        trials: All that were trained, in the order observed.
    """

    aims: tuple[Aim, ...]
    plan: Callable[[State], Plan]
    max_trainings: int
    parallel: int = 1
    spacing: float = 0.0
    trials: tuple[Trial, ...] = ()

    def distances(self, trial: Trial) -> list[float]:
        """How far each constraint is from met, in tolerances."""
        rows = zip(self.aims, trial.sizes, trial.values, strict=True)
        return [aim.distance(size, value) for aim, size, value in rows]

    def worst(self, trial: Trial) -> float:
        """The distance of the constraint that is furthest from met."""
        return max(self.distances(trial))


def start(
    aims: Sequence[Aim], plan: Callable[[State], Plan], *, max_trainings: int, parallel: int = 1, spacing: float = 0.0
) -> State:
    """Begin a search for a coefficient of each constraint.

    Args:
        aims: One for each constraint.
        plan: See :mod:`cpd.search.coordinates` and :mod:`cpd.search.simplex`.
        max_trainings: Most coefficients trained.
        parallel: Coefficients per round, at least 1.
        spacing: Half the spacing of the numbers that trainings compute in, at 1; 0 for double precision.

    Raises:
        CpdError: There is no aim, or the number of parallel trainings is out of its range.
    """
    if not aims:
        raise CpdError("no constraint is searched", place="search.targets")
    if parallel < 1:
        raise CpdError(f"expected an integer >= 1, got {parallel}", place="--parallel")
    return State(tuple(aims), plan, max_trainings, parallel, spacing)


def observe(state: State, results: Mapping[Sizes, Sequence[Values]]) -> State:
    """Take in the values of finished trainings.

    Args:
        state: The search so far.
        results: Of each constraint its value, or its values over the seeds, by coefficients.

    Raises:
        ValueError: No result, or coefficients that were trained before.
    """
    known = {trial.sizes for trial in state.trials}
    if not results or known & results.keys():
        raise ValueError("observe needs results of coefficients that were not trained before")
    return replace(state, trials=(*state.trials, *(_trial(sizes, values) for sizes, values in results.items())))


def _trial(sizes: Sizes, values: Sequence[Values]) -> Trial:
    each = [tuple(map(_number, one)) if isinstance(one, Sequence) else (_number(one),) for one in values]
    return Trial(sizes, tuple(map(_mean, each)), tuple(each))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(value / len(finite) for value in finite) if finite else math.nan


def planned(state: State) -> tuple[tuple[Sizes, ...], Stopped | None]:
    """The coefficients that the plan needs next and that were not trained, or why it ended."""
    known = {trial.sizes: trial for trial in state.trials}
    plan = state.plan(state)
    try:
        asked = next(plan)
        while all(sizes in known for sizes in asked):
            asked = plan.send([known[sizes] for sizes in asked])
    except StopIteration as end:
        return (), end.value
    return tuple(dict.fromkeys(sizes for sizes in asked if sizes not in known)), None


def with_size(sizes: Sizes, place: int, size: float) -> Sizes:
    """The same coefficients, one of them changed."""
    return (*sizes[:place], size, *sizes[place + 1 :])
