"""How a search ends, in one word and one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cpd.search.bracket import Bracket, Point, State
from cpd.search.cuts import exhausted
from cpd.search.jump import NARROW, around, jumps

Kind = Literal["solved", "unattainable", "not_bracketed", "out_of_budget"]

FEW = 5
"""Points too few to speak of their scatter."""


@dataclass(frozen=True)
class Outcome:
    """The end of a search.

    Attributes:
        kind: ``solved``: a value is within the tolerance. ``unattainable``: the value jumps across the target.
            ``not_bracketed``: the values at both ends are on one side of it (``bracket`` is None), so nothing is known
            of what lies between. ``out_of_budget``: the trainings, or the numbers between two ends, are used up.
        sentence: What happened, in one sentence.
        hint: What to do about it; empty when solved.
        best: The coefficient whose value is nearest to the target, None when all diverged.
        bracket: The last bracket, None when the ends do not bracket the target.
    """

    kind: Kind
    sentence: str
    hint: str
    best: Point | None
    bracket: Bracket | None


def outcome(state: State) -> Outcome | None:
    """Say how the search ended, or None while it goes on.

    A value within the tolerance counts first, so an end can solve the search, as can a point off the bracket. See
    :func:`cpd.search.jump.jumps` for what is called a jump.
    """
    best = _nearest(state)
    if best is not None and abs(best.value - state.target) < state.tolerance:
        return Outcome("solved", _solved(state, best), "", best, _last(state))
    low, high = state.ends
    if low is None or high is None:
        return None
    bracket = _last(state)
    if bracket is None:
        return Outcome("not_bracketed", *_not_bracketed(state, low, high), best, None)
    if jumps(state):
        return Outcome("unattainable", *_jump(state, bracket), best, bracket)
    if exhausted(state):
        return Outcome("out_of_budget", *_exhausted(state, bracket), best, bracket)
    if len(state.points) >= state.max_trainings:
        return Outcome("out_of_budget", *_out_of_budget(state, bracket), best, bracket)
    return None


def _last(state: State) -> Bracket | None:
    return state.brackets[-1] if state.brackets else None


def _nearest(state: State) -> Point | None:
    """The finite value nearest to the target, the earliest of equals."""
    finite = [point for point in state.points if not point.diverged]
    return min(finite, key=lambda point: abs(point.value - state.target), default=None)


def _solved(state: State, best: Point) -> str:
    close = sum(abs(value - state.target) < state.tolerance for value in best.seeds)
    seeds = f" in the mean of {len(best.seeds)} seeds, {close} of them within it themselves" if best.seeds else ""
    return (
        f"Coefficient {state.signed(best.coefficient):.6g} gives {best.value:.6g}, within {state.tolerance:g} of "
        f"{state.target:g}{seeds}, after {_trainings(state)}."
    )


def _trainings(state: State) -> str:
    several = any(point.seeds for point in state.points)
    return f"{len(state.points)} {'coefficients' if several else 'trainings'}"


def _not_bracketed(state: State, low: Point, high: Point) -> tuple[str, str]:
    """Sentence and hint for ends on the same side of the target, or a low end that diverged."""
    if low.diverged:
        end = state.signed(low.coefficient)
        sentence = f"The training at the low end, {end:g}, diverged, so nothing brackets {state.target:g}."
        return sentence, "lower the learning rate, or move the low end with --low"
    side = "above" if low.value > state.target else "below"
    ends = [state.signed(end.coefficient) for end in (low, high)]
    sentence = (
        f"The ends do not bracket {state.target:g}: the value is {low.value:.6g} at coefficient {ends[0]:g} "
        f"and {high.value:.6g} at {ends[1]:g}, both {side} it."
    )
    lower, higher = f"lower --low below {low.coefficient:g}", f"raise --high above {high.coefficient:g}"
    if state.negative:
        lower, higher = f"raise --high above {ends[0]:g}", f"lower --low below {ends[1]:g}"
    larger, smaller = ("smaller", "larger") if state.negative else ("larger", "smaller")
    between = "; or, where the value turns in between, move an end there"
    if low.value == high.value:
        return sentence, f"the value is the same at both ends: {lower}, or {higher}{between}"
    if abs(high.value - state.target) < abs(low.value - state.target):
        return sentence, f"the value nears it with {larger} coefficients: {higher}{between}"
    return sentence, f"the value nears it with {smaller} coefficients: {lower}{between}"


def _jump(state: State, bracket: Bracket) -> tuple[str, str]:
    """Sentence and hint for a gap that does not close as the bracket shrinks."""
    low, high = _distinct(state, bracket)
    hint = "a constrained method can reach a level that no coefficient gives"
    if bracket.high.diverged:
        return f"The value is {bracket.low.value:.6g} at coefficient {low}, and at {high} the training diverges.", hint
    sentence = (
        f"The value jumps across {state.target:g}: it is {bracket.low.value:.6g} at coefficient {low} and "
        f"{bracket.high.value:.6g} at {high}, and the gap does not close as they come together."
    )
    return sentence, hint


def _exhausted(state: State, bracket: Bracket) -> tuple[str, str]:
    """Sentence and hint where no number lies between the ends of the bracket."""
    digits = "" if state.spacing == 0 else " that the trainings' precision can tell from them"
    sentence = f"{_between(state, bracket)}, and no coefficient lies between them{digits}."
    return sentence, _coarser(state) or "accept more with --tolerance"


def _out_of_budget(state: State, bracket: Bracket) -> tuple[str, str]:
    """Sentence and hint for a search that used all its trainings."""
    sentence = f"{_between(state, bracket)}, none within {state.tolerance:g} of it."
    return sentence, _coarser(state) or "raise --max-trainings, or accept more with --tolerance"


def _between(state: State, bracket: Bracket) -> str:
    low, high = _distinct(state, bracket)
    at_high = "diverged" if bracket.high.diverged else f"{bracket.high.value:.6g}"
    return (
        f"After {_trainings(state)} {state.target:g} lies between coefficients {low} ({bracket.low.value:.6g}) and "
        f"{high} ({at_high})"
    )


def _coarser(state: State) -> str:
    """The fix where values so near to each other differ by more than the tolerance, and not in one place: noise."""
    width = state.brackets[-1].decades
    near = around(state, NARROW / width)
    if width >= NARROW or near.count < FEW or near.scatter < state.tolerance:
        return ""
    more = "more" if any(point.seeds for point in state.points) else "several"
    seeds = f"search the mean of {more} --seeds"
    return f"values there scatter by {near.scatter:.2g}: {seeds}, or accept more with --tolerance"


def _distinct(state: State, bracket: Bracket) -> tuple[str, str]:
    """Both coefficients with as many digits as tell them apart, at least 4."""
    low, high = state.signed(bracket.low.coefficient), state.signed(bracket.high.coefficient)
    texts = ((f"{low:.{digits}g}", f"{high:.{digits}g}") for digits in range(4, 17))
    return next((pair for pair in texts if pair[0] != pair[1]), (repr(low), repr(high)))
