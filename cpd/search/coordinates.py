"""One coefficient after the other: each is searched with the others where they are, pass after pass."""

from __future__ import annotations

import math
from collections.abc import Generator

from cpd.search import bracket, several
from cpd.search.bisection import propose
from cpd.search.ending import outcome
from cpd.search.illinois import regula_falsi
from cpd.search.several import Aim, Plan, Sizes, State, Stopped, Stuck, Trial, with_size

FINE = 1e-3
"""Decades: a gap that stays in a narrower bracket is a jump, and a coefficient that moves by less stays."""
NEARER = 0.1
"""A coefficient is left for the next one where its constraint is so much nearer to the target."""
WIDER = 2.0
"""By how much further a coefficient goes each time that its constraint is still on the same side."""
FAR = 100.0
"""Decades beyond which no range goes."""

Line = Generator[tuple[Sizes, ...], list[Trial], tuple[Trial, Stuck | None]]
"""Searches one coefficient: where to go on from, and what was in the way."""


def coordinates(state: State) -> Plan:
    """Bring each constraint to its target by its own coefficient, one after the other, until all are met.

    It begins with every coefficient at its low end. In a pass each constraint that is not met has its coefficient
    moved, the others being where they are: as far as the last slope says, or else to a bracket that is then narrowed
    by false position, until its value is within half its tolerance or a tenth of where it was. For a convex problem
    that is ascent of the dual function along one coordinate at a time, which ends at its maximum however the
    constraints are coupled, though in many passes where they are coupled strongly. It stops where a pass moves no
    coefficient by more than :data:`FINE` decades, or comes back to where another ended.
    """
    (trial,) = yield (tuple(aim.low for aim in state.aims),)
    slopes: list[float | None] = [None] * len(state.aims)
    ends: set[Sizes] = set()
    while True:
        before = trial.sizes
        stuck: list[Stuck] = []
        for place, aim in enumerate(state.aims):
            if aim.distance(trial.sizes[place], trial.values[place]) < 1:
                continue
            old = trial
            trial, reason = yield from _line(state, old, place, slopes[place])
            stuck += [reason] if reason else []
            slopes[place] = _slope(old, trial, place) or slopes[place]
        if _moved(before, trial.sizes) < FINE or trial.sizes in ends:
            return Stopped(tuple(stuck))
        ends.add(trial.sizes)


def _line(state: State, trial: Trial, place: int, slope: float | None) -> Line:
    """One coefficient, the others being where they are."""
    aim = state.aims[place]
    over = abs(aim.excess(trial.values[place]))
    goal = max(aim.tolerance / 2, NEARER * over if math.isfinite(over) else 0.0)
    step = _step(aim, trial.sizes[place], aim.excess(trial.values[place]), slope)
    one = yield from _bracketed(state, trial, place, (max(step, FINE), goal))
    if isinstance(one, Trial):
        at_end = one.sizes[place] in (aim.low, aim.high) and not _is_near(state, one, place, goal)
        met = aim.distance(one.sizes[place], one.values[place]) < 1
        return one, Stuck(place, "end", (one,)) if at_end and not met else None
    return (yield from _narrowed(state, place, one, goal))


def _bracketed(
    state: State, trial: Trial, place: int, move: tuple[float, float]
) -> Generator[tuple[Sizes, ...], list[Trial], Trial | tuple[Trial, Trial]]:
    """Two neighbours between which the value passes the target; or where it is near, or the end of the range.

    Args:
        state: The search.
        trial: Where to begin.
        place: Of the coefficient.
        move: How far to go at first, in decades, and what is near.
    """
    aim, (step, goal) = state.aims[place], move
    up = _over(state, trial, place)
    near = trial
    while near.sizes[place] != (aim.high if up else aim.low):
        size = near.sizes[place] * 10.0 ** (min(step, FAR) if up else -min(step, FAR))
        size = min(max(_rounded(size), aim.low), aim.high)
        (far,) = yield (with_size(trial.sizes, place, size),)
        if _is_near(state, far, place, goal):
            return far
        if _over(state, far, place) != up:
            return (near, far) if up else (far, near)
        near, step = far, WIDER * step
    return near


def _narrowed(state: State, place: int, ends: tuple[Trial, Trial], goal: float) -> Line:
    """The bracket narrowed by false position until the value is near the target, or jumps across it."""
    known = {trial.sizes[place]: trial for trial in ends}
    line = bracket.start(
        state.aims[place].target,
        *sorted(known),
        tolerance=goal,
        max_trainings=several.MOST,
        resolution=FINE,
        parallel=state.parallel,
        spacing=state.spacing,
    )
    new, straight = dict(known), _straight(state.aims[place], ends, place)
    while True:
        line = bracket.observe(line, {size: trial.seeds[place] for size, trial in new.items()})
        if (end := outcome(line)) is not None:
            break
        sizes, straight = straight or propose(line, regula_falsi), ()
        trials = yield tuple(with_size(ends[0].sizes, place, size) for size in sizes)
        new = dict(zip(sizes, trials, strict=True))
        known |= new
    if end.kind == "solved" and end.best is not None:
        return known[end.best.coefficient], None
    sides = (end.bracket.low, end.bracket.high) if end.bracket else ()
    low, high = [known[side.coefficient] for side in sides] or ends
    return low if high.diverged else high, Stuck(place, "jump", (low, high))


def _straight(aim: Aim, ends: tuple[Trial, Trial], place: int) -> tuple[float, ...]:
    """Where a straight line between the ends of a bracket, over the coefficient itself, passes the target."""
    low, high = (trial.sizes[place] for trial in ends)
    below, above = (trial.values[place] for trial in ends)
    share = (below - aim.target) / (below - above) if below != above else math.nan
    size = _rounded(low + share * (high - low)) if math.isfinite(share) else math.nan
    return (size,) if min(low, high) < size < max(low, high) else ()


def _is_near(state: State, trial: Trial, place: int, goal: float) -> bool:
    return abs(trial.values[place] - state.aims[place].target) < goal


def _slope(old: Trial, new: Trial, place: int) -> float | None:
    """How much the value changes with the coefficient, of a quadratic the same everywhere; None where not known."""
    if abs(_decades(old.sizes[place], new.sizes[place])) < FINE:
        return None
    change = (new.values[place] - old.values[place]) / (new.sizes[place] - old.sizes[place])
    return change if math.isfinite(change) and change != 0 else None


def _step(aim: Aim, size: float, over: float, slope: float | None) -> float:
    """Decades to where the slope says that the target is; as far as the range goes where there is none."""
    if slope is None or not math.isfinite(over):
        return math.inf
    return abs(_decades(size, min(max(size + over / abs(slope), aim.low), aim.high)))


def _over(state: State, trial: Trial, place: int) -> bool:
    """Whether a larger coefficient is needed; where training diverged, a smaller one."""
    return math.isfinite(trial.values[place]) and state.aims[place].excess(trial.values[place]) > 0


def _decades(one: float, other: float) -> float:
    return math.log10(other / one)


def _moved(before: Sizes, after: Sizes) -> float:
    return max(abs(_decades(one, other)) for one, other in zip(before, after, strict=True))


def _rounded(size: float) -> float:
    return float(f"{size:.12g}")
