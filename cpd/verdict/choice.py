"""Which feasible setting is the best, and the mark that an objective is held against."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cpd.verdict.averages import clamped
from cpd.verdict.document import RunRow, Setting
from cpd.verdict.feasibility import Bound
from cpd.verdict.gap import Gap, width
from cpd.verdict.prices import Worth, share_spent, worth_among
from cpd.verdict.settings import held_share, is_feasible, is_reliable, is_sound, mean_objective, noise_of, objective_of

TRIFLE = 1e-6
"""Of what the constraints cost at the least, see :func:`trifle`: objectives that differ by less do not differ."""

ROUNDING = 64 * sys.float_info.epsilon
"""Of a mean over seeds, relative to the objectives: what a constant that is added to them may change."""


@dataclass(frozen=True)
class Candidate:
    """One setting of a method over its seeds, at one choice of levels.

    Attributes:
        runs: One per seed.
        feasible: Whether every one of them is.
        objective: Their mean objective; None unless feasible.
        worth: What the tolerance that it spent was worth; None where nobody knows the price.
        spent: The largest share of a tolerance that it spent.
        noise: Standard deviation of its objective between the seeds.
        held: Share of the last steps at which it held; 0 where it is not known.
        sound: Whether its objectives mean anything.
        reliable: Whether its feasibility is no luck.
    """

    runs: Sequence[RunRow]
    feasible: bool
    objective: float | None
    worth: float | None
    spent: float
    noise: float
    held: float
    sound: bool
    reliable: bool

    @property
    def method(self) -> str:
        """Of all runs."""
        return self.runs[0]["method"]

    @property
    def setting(self) -> Setting:
        """Of all runs."""
        return self.runs[0]["setting"]

    @property
    def corrected(self) -> float:
        """Its objective as it would be without the tolerance that it spent: ``f + lambda [g]+``; infinite of none."""
        return math.inf if self.objective is None else clamped(self.objective + (self.worth or 0.0))


@dataclass(frozen=True)
class Mark:
    """What a useful setting is held against, at one choice of levels.

    Attributes:
        value: The corrected objective of the best setting of all methods; None where nothing is feasible.
        useful_up_to: The mark and the gap, the largest objective that is still useful.
        gap: How far above the mark that is.
    """

    value: float | None = None
    useful_up_to: float | None = None
    gap: float = 0.0


def is_useful(runs: Sequence[RunRow], up_to: float | None) -> bool:
    """Whether a setting is feasible, and its mean objective nearly the best: ``f <= mark + gap``."""
    objective = mean_objective(runs)
    return objective is not None and up_to is not None and is_sound(runs) and objective <= up_to


def candidates_of(settings: Sequence[Sequence[RunRow]], bounds: Mapping[str, Bound], dtype: str) -> list[Candidate]:
    """Each setting with all by which it is compared; of all methods at the same levels, for they share their prices."""
    feasible = [run for runs in settings if is_feasible(runs) and is_sound(runs) for run in runs]
    worth = worth_among(feasible, bounds, dtype)
    return [_candidate(runs, bounds, dtype, worth) for runs in settings]


def _candidate(runs: Sequence[RunRow], bounds: Mapping[str, Bound], dtype: str, worth: Worth) -> Candidate:
    feasible = is_feasible(runs)
    return Candidate(
        runs=runs,
        feasible=feasible,
        objective=mean_objective(runs),
        worth=worth(runs) if feasible else None,
        spent=share_spent(runs, bounds, dtype) if feasible else 0.0,
        noise=noise_of(runs),
        held=held_share(runs) or 0.0,
        sound=is_sound(runs),
        reliable=is_reliable(runs),
    )


def best_of(candidates: Sequence[Candidate], gap: Gap) -> Candidate | None:
    """The best feasible setting; None where there is none.

    The one with the lowest corrected objective, and those that tie with it: of these the one that held most, then the
    one that spent least of a tolerance, then the one with the lowest objective. Objectives tie within the noise between
    seeds, and within what the tolerance that the lowest one spent was worth (within the gap, where nobody knows that).
    Settings that are feasible by luck, and then those that blew up, come after all others.

    Args:
        candidates: Of one method, or the best ones of several, at the same levels.
        gap: Of the document.
    """
    feasible = [c for c in candidates if c.objective is not None]
    if not feasible:
        return None
    tier = [c for c in feasible if c.reliable] or [c for c in feasible if c.sound] or feasible
    lowest = min(tier, key=lambda c: c.corrected)
    unpriced = lowest.spent > 0 and lowest.worth is None
    slack = max(noise(tier, lowest), width(gap, spread(tier), 0.0) if unpriced else lowest.worth or 0.0)
    limit = clamped(lowest.corrected + slack + rounding(tier))
    ties = [c for c in tier if c.corrected <= limit]
    return min(ties, key=lambda c: (-c.held, c.spent, math.inf if c.objective is None else c.objective))


def mark_of(candidates: Sequence[Candidate], bests: Sequence[Candidate], gap: Gap) -> Mark:
    """The mark at one choice of levels.

    Args:
        candidates: Every setting of all methods.
        bests: The best one of each method.
        gap: A share of the spread between the worst and the best feasible objective, or a number.
    """
    sound = [c for c in candidates if c.objective is not None and c.sound]
    best = best_of(bests, gap)
    if best is None or not sound:
        return Mark()
    above = width(gap, spread(sound), max(noise(sound, best), trifle(candidates, best)))
    return Mark(best.corrected, clamped(clamped(best.corrected + above) + rounding(sound)), above)


def noise(candidates: Sequence[Candidate], lowest: Candidate) -> float:
    """Between seeds: the deviation of the lowest setting, or the median of those shown where that is larger."""
    return max(lowest.noise, median(c.noise for c in candidates))


def trifle(candidates: Sequence[Candidate], best: Candidate) -> float:
    """A difference that nobody cares for, of how far below the best one the objectives of infeasible settings come.

    Without it settings that all end at the optimum would be told apart by how many digits they have of it.
    """
    known = (objective_of(run) for c in candidates if c.sound for run in c.runs)
    lowest = min((f for f in known if f is not None), default=best.corrected)
    return TRIFLE * max(0.0, clamped(best.corrected - lowest))


def spread(candidates: Sequence[Candidate]) -> float:
    """Between the worst and the best objective."""
    known = [c.objective for c in candidates if c.objective is not None]
    return clamped(max(known) - min(known))


def rounding(candidates: Sequence[Candidate]) -> float:
    """What rounding may add to the difference of two objectives."""
    return ROUNDING * max(abs(c.objective) for c in candidates if c.objective is not None)
