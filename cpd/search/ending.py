"""How a search ends, in one word and one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cpd.search.bracket import Bracket, Point, State

Kind = Literal["solved", "unattainable", "out_of_budget"]


@dataclass(frozen=True)
class Outcome:
    """The end of a search.

    Attributes:
        kind: ``solved``: a value is within the tolerance. ``unattainable``: the ends do not bracket the target
            (``bracket`` is None), or the value jumps across it. ``out_of_budget``: the trainings are used up.
        sentence: What happened, in one sentence.
        hint: What to do about it; empty when solved.
        best: The training nearest to the target, None when all diverged.
        bracket: The last bracket, None when the ends do not bracket the target.
    """

    kind: Kind
    sentence: str
    hint: str
    best: Point | None
    bracket: Bracket | None


def outcome(state: State) -> Outcome | None:
    """Say how the search ended, or None while it goes on.

    A value within the tolerance counts first, so an end can solve the search, as can a point off the bracket. A jump
    is called one when the bracket is narrower than the resolution and its values still lie across the target.
    """
    best = _nearest(state)
    if best is not None and abs(best.value - state.target) < state.tolerance:
        return Outcome("solved", _solved(state, best), "", best, _last(state))
    low, high = state.ends
    if low is None or high is None:
        return None
    bracket = _last(state)
    if bracket is None:
        return Outcome("unattainable", *_not_bracketed(state, low, high), best, None)
    if bracket.decades < state.resolution:
        return Outcome("unattainable", *_jump(state, bracket), best, bracket)
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
    return (
        f"Coefficient {best.coefficient:.6g} gives {best.value:.6g}, within {state.tolerance:g} of {state.target:g}, "
        f"after {len(state.points)} trainings."
    )


def _not_bracketed(state: State, low: Point, high: Point) -> tuple[str, str]:
    """Sentence and hint for ends on the same side of the target, or a low end that diverged."""
    ends = f"between {low.coefficient:g} and {high.coefficient:g}"
    if low.diverged:
        sentence = f"The training at the low end, {low.coefficient:g}, diverged, so nothing brackets {state.target:g}."
        return sentence, "lower the learning rate, or move the low end with --low"
    side = "above" if low.value > state.target else "below"
    sentence = (
        f"No coefficient {ends} brackets {state.target:g}: the value is {low.value:.6g} at the low end and "
        f"{high.value:.6g} at the high end, both {side} it."
    )
    lower, higher = f"lower --low below {low.coefficient:g}", f"raise --high above {high.coefficient:g}"
    if low.value == high.value:
        return sentence, f"the value is the same at both ends: {lower}, or {higher}"
    if abs(high.value - state.target) < abs(low.value - state.target):
        return sentence, f"the value nears it with larger coefficients: {higher}"
    return sentence, f"the value nears it with smaller coefficients: {lower}"


def _jump(state: State, bracket: Bracket) -> tuple[str, str]:
    """Sentence and hint for a bracket that cannot shrink further."""
    low, high = _distinct(bracket)
    move = "the training diverges" if bracket.high.diverged else f"the value jumps to {bracket.high.value:.6g}"
    sentence = (
        f"No coefficient reaches {state.target:g}: the value is {bracket.low.value:.6g} at coefficient {low}, and "
        f"at {high} {move}."
    )
    return sentence, "a constrained method can reach a level that no coefficient gives"


def _out_of_budget(state: State, bracket: Bracket) -> tuple[str, str]:
    """Sentence and hint for a search that used all its trainings."""
    low, high = _distinct(bracket)
    at_high = "diverged" if bracket.high.diverged else f"{bracket.high.value:.6g}"
    sentence = (
        f"After {len(state.points)} trainings {state.target:g} lies between coefficients "
        f"{low} ({bracket.low.value:.6g}) and {high} ({at_high}), none within {state.tolerance:g} of it."
    )
    return sentence, "raise --max-trainings, or accept more with --tolerance"


def _distinct(bracket: Bracket) -> tuple[str, str]:
    """Both coefficients with as many digits as tell them apart, at least 4."""
    low, high = bracket.low.coefficient, bracket.high.coefficient
    digits = max(4, 2 + math.ceil(-math.log10(high / low - 1)))
    return f"{low:.{digits}g}", f"{high:.{digits}g}"
