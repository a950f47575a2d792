"""Methods at equal budgets: how many trainings the first useful setting took, in how many seeds there was one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cpd.verdict.averages import clamped
from cpd.verdict.choice import Candidate, Mark, best_of, candidates_of, is_useful, mark_of
from cpd.verdict.document import BudgetBlock, MethodBudgetRow, Quartiles, RunRow
from cpd.verdict.feasibility import Bound
from cpd.verdict.gap import Gap, width
from cpd.verdict.settings import grouped, settings_of
from cpd.verdict.summary import grouped_by_method


class Spent(NamedTuple):
    """What a budget was asked for: trainings of each method for each seed, and what chose their settings."""

    trainings: int
    sampler: str


class _OfSeed(NamedTuple):
    """The trainings with one seed: each method's in their order, their mark, and the feasible objectives."""

    methods: list[list[Candidate]]
    mark: Mark
    objectives: list[float]


class _OfMethod(NamedTuple):
    """What a method's trainings with one seed came to; infinite where they did not."""

    trainings: int
    until_useful: float
    steps: float
    distance: float
    objective: float


def equal_budgets(
    rows: Sequence[RunRow], spent: Spent, gap: Gap, bounds: Mapping[str, Bound], dtype: str
) -> BudgetBlock:
    """Each method over the seeds, at each choice of levels.

    Every seed has a mark of its own, for its runs alone had the same luck: useful is what is feasible with an objective
    up to the mark of all methods with this seed, and the gap, which is the same for all seeds. The distance is that of
    the method's best feasible objective from the best one of all methods with this seed.

    Args:
        rows: Judged runs; those of a method and a seed in the order of their training.
        spent: What was asked for.
        gap: A share of the spread of feasible objectives at these levels, or a number.
        bounds: Of each constraint.
        dtype: Of runs that have none of their own.
    """
    at_levels = grouped(rows, lambda row: row["levels"])
    found: list[MethodBudgetRow] = []
    for own in at_levels:
        seeds = [_of_seed(seed, gap, bounds, dtype) for seed in grouped(own, lambda row: row["seed"])]
        known = [objective for seed in seeds for objective in seed.objectives]
        above = width(gap, clamped(max(known) - min(known)), 0.0) if known else 0.0
        for method in dict.fromkeys(row["method"] for row in own):
            of_method = [(one, seed) for seed in seeds for one in seed.methods if one[0].method == method]
            row = _row(method, [_method(one, seed, above) for one, seed in of_method])
            if len(at_levels) > 1:
                row = {"method": method, "levels": dict(own[0]["levels"]), **row}
            found.append(row)
    return {"trainings": spent.trainings, "sampler": spent.sampler, "methods": found}


def quartiles(values: Sequence[float]) -> Quartiles:
    """The median and the quartiles of what may be infinite, where they are then None.

    Linear between the two nearest of the sorted values, as numpy's; between a finite and an infinite one infinite.
    """
    low, median, high = (_quantile(sorted(values), share) for share in (0.25, 0.5, 0.75))
    each = [None if math.isinf(value) else value for value in values]
    return {"median": median, "low": low, "high": high, "each": each}


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    at = share * (len(ordered) - 1)
    below, part = math.floor(at), at - math.floor(at)
    found = ordered[below] if not part else ordered[below] * (1 - part) + ordered[below + 1] * part
    return found if math.isfinite(found) else None


def _of_seed(rows: Sequence[RunRow], gap: Gap, bounds: Mapping[str, Bound], dtype: str) -> _OfSeed:
    alone: list[RunRow] = [{**row} for row in rows]
    for row in alone:
        row.pop("same_as_seed", None)  # among runs of one seed none is counted with another
    candidates = candidates_of(settings_of(alone), bounds, dtype)
    methods = grouped_by_method(candidates)
    bests = [best_of(own, gap) for own in methods]
    mark = mark_of(candidates, [best for best in bests if best is not None], gap)
    return _OfSeed(methods, mark, [c.objective for c in candidates if c.sound and c.objective is not None])


def _method(candidates: Sequence[Candidate], seed: _OfSeed, above: float) -> _OfMethod:
    """What a method's trainings with a seed came to; useful is up to so far ``above`` the mark."""
    limit = seed.mark.useful_up_to
    if limit is not None and seed.mark.value is not None:
        limit = max(limit, clamped(seed.mark.value + above))
    until = next((k for k, c in enumerate(candidates, 1) if is_useful(c.runs, limit)), None)
    steps = sum(c.runs[0]["steps"] for c in candidates[:until]) if until is not None else 0
    own = min((c.objective for c in candidates if c.sound and c.objective is not None), default=math.inf)
    distance = own - min(seed.objectives) if math.isfinite(own) else math.inf
    return _OfMethod(len(candidates), until or math.inf, steps or math.inf, distance, own)


def _row(method: str, seeds: Sequence[_OfMethod]) -> MethodBudgetRow:
    useful = sum(math.isfinite(seed.until_useful) for seed in seeds)
    return {
        "method": method,
        "seeds": len(seeds),
        "trainings": max(seed.trainings for seed in seeds),
        "useful_seeds": useful,
        "useful_share": useful / len(seeds),
        "trainings_to_first_useful": quartiles([seed.until_useful for seed in seeds]),
        "steps_to_first_useful": quartiles([seed.steps for seed in seeds]),
        "distance": quartiles([seed.distance for seed in seeds]),
        "best_objective": quartiles([seed.objective for seed in seeds]),
    }
