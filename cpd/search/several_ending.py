"""What to train next in a search of several coefficients, and how it ends: in one word and one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cpd.search.coordinates import coordinates
from cpd.search.several import Sizes, State, Stopped, Stuck, Trial, planned

Kind = Literal["solved", "unattainable", "not_bracketed", "out_of_budget"]

NAMED = 3
"""Constraints that a sentence names; of others it says how many there are."""
SLOW = 0.5
"""The last half of the trainings brought the worst distance to more than this share of what it was: they crawl."""


@dataclass(frozen=True)
class Ending:
    """The end of a search of several coefficients.

    Attributes:
        kind: ``solved``: every constraint is met at one training. ``unattainable``: nothing that is tried brings the
            constraints nearer, and a value jumps or the simplex has shrunk. ``not_bracketed``: nothing does, and all
            coefficients in the way are at an end of their range. ``out_of_budget``: the trainings are used up.
        sentence: What happened, in one sentence.
        hint: What to do about it; empty when solved.
        best: The training whose worst constraint is nearest, None when all diverged.
    """

    kind: Kind
    sentence: str
    hint: str
    best: Trial | None


def proposed(state: State) -> tuple[Sizes, ...]:
    """Name the coefficients to train next, within the budget; none once the search has an outcome."""
    if ending(state) is not None:
        return ()
    return planned(state)[0][: state.max_trainings - len(state.trials)]


def ending(state: State) -> Ending | None:
    """Say how the search ended, or None while it goes on. A training at which all are met counts first."""
    known = [trial for trial in state.trials if math.isfinite(state.worst(trial))]
    best = min(known, key=state.worst, default=None)
    if best is not None and state.worst(best) < 1:
        return Ending("solved", f"Every constraint is met after {len(state.trials)} trainings.", "", best)
    stopped = planned(state)[1]
    if stopped is not None:
        return _stopped(state, stopped, best)
    if len(state.trials) >= state.max_trainings:
        sentence = f"After {len(state.trials)} trainings {_furthest(state, best)}."
        return Ending("out_of_budget", sentence, _more(state), best)
    return None


def _stopped(state: State, stopped: Stopped, best: Trial | None) -> Ending:
    ends = [stuck for stuck in stopped.stuck if stuck.kind == "end"]
    if ends and len(ends) == len(stopped.stuck):
        return Ending("not_bracketed", f"{_listed(state, ends)}.", _wider(state, ends), best)
    method = "a constrained method can reach levels that no coefficients give"
    if not stopped.stuck:
        sentence = f"No coefficients near the best ones do better: {_furthest(state, best)}."
        return Ending("unattainable", sentence, method, best)
    hint = f"--strategy simplex moves all coefficients at once; {method}"
    return Ending("unattainable", f"{_listed(state, stopped.stuck)}.", hint, best)


def _listed(state: State, stuck: tuple[Stuck, ...] | list[Stuck]) -> str:
    said = [_said(state, one) for one in stuck[:NAMED]]
    more = len(stuck) - len(said)
    return "; ".join(said) + (f"; and {more} more constraints are not met" if more else "")


def _said(state: State, stuck: Stuck) -> str:
    aim, k = state.aims[stuck.place], stuck.place
    at = [(aim.signed(trial.sizes[k]), trial.values[k]) for trial in stuck.trials]
    if stuck.kind == "end":
        ((c, value),) = at
        return f"{aim.name} is {value:.6g} at coefficient {c:g}, the end of its range, where {aim.target:g} is sought"
    (low, below), (high, above) = at
    there = "the training diverges" if not math.isfinite(above) else f"it is {above:.6g}"
    return (
        f"{aim.name} jumps across {aim.target:g} while the other coefficients stay: it is {below:.6g} at {low:.6g}, "
        f"and at {high:.6g} {there}"
    )


def _wider(state: State, ends: list[Stuck]) -> str:
    """Which ends to move."""
    said = []
    for stuck in ends[:NAMED]:
        aim, size = state.aims[stuck.place], stuck.trials[0].sizes[stuck.place]
        which, way = ("high", "raise") if (size == aim.high) != aim.negative else ("low", "lower")
        beyond = "above" if way == "raise" else "below"
        said.append(f"{way} {which} of {aim.name} {beyond} {aim.signed(size):g}")
    return ", and ".join(said)


def _furthest(state: State, best: Trial | None) -> str:
    """Which constraint of the best training is furthest from met, and how many are."""
    if best is None:
        return "every training diverged"
    distances = state.distances(best)
    k = distances.index(max(distances))
    aim, missed = state.aims[k], sum(one >= 1 for one in distances)
    others = f", and {missed - 1} more of {len(distances)} are not met" if missed > 1 else ""
    return (
        f"{aim.name} is at best {best.values[k]:.6g}, {distances[k]:.3g} tolerances from "
        f"{'' if aim.sense == '==' else aim.sense + ' '}{aim.target:g}{others}"
    )


def _more(state: State) -> str:
    """More trainings, or another way where they crawl."""
    raised = "raise --max-trainings, or accept more with --tolerance"
    if state.plan is not coordinates:
        return raised
    half = len(state.trials) // 2
    first, last = (min(map(state.worst, part), default=math.inf) for part in (state.trials[:half], state.trials[half:]))
    if first <= last or last > SLOW * first:
        return f"the constraints pull at each other: try --strategy simplex, or {raised}"
    return raised
