"""Transfer: what the setting that is best in one case of a sweep comes to in another, for each method."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cpd.outcome import hyperparameters_of
from cpd.verdict.averages import clamped
from cpd.verdict.budgets import quartiles
from cpd.verdict.choice import Candidate, Mark, best_of, candidates_of, is_useful, mark_of
from cpd.verdict.document import Plain, RunRow, Setting, TransferBlock, TransferRow, is_number
from cpd.verdict.feasibility import Bound, excess
from cpd.verdict.gap import Gap
from cpd.verdict.settings import grouped, objective_of, settings_of
from cpd.verdict.summary import swept


class Cases(NamedTuple):
    """The two cases: of the same grids one value each, by dotted key."""

    source: Mapping[str, Any]
    target: Mapping[str, Any]


class _Case(NamedTuple):
    """All settings of one case, the best one of each method, and their mark."""

    candidates: list[Candidate]
    bests: dict[str, Candidate]
    mark: Mark
    best: Candidate | None


def carried_over(
    rows: Sequence[RunRow], cases: Cases, gap: Gap, bounds: Mapping[str, Bound], dtype: str
) -> TransferBlock:
    """Each method's best setting of the source, in the target.

    Best and useful are what they are in a summary, within each case: the marks of a small and of a large model differ.
    The cost is by how much the objective of what was carried over is above that of the method's own best setting of the
    target, ``f(carried) - f(own best)``, seed by seed, for runs of a seed had the same luck. A seed with which it is
    not feasible costs more than any number.

    Args:
        rows: Judged runs.
        cases: What both cases are.
        gap: A share of the spread of feasible objectives of a case, or a number.
        bounds: Of each constraint.
        dtype: Of runs that have none of their own.
    """
    at_levels = grouped(rows, lambda row: row["levels"])
    found: list[TransferRow] = []
    for own in at_levels:
        source, target = (_case(own, values, gap, bounds, dtype) for values in cases)
        for method in dict.fromkeys(row["method"] for row in own):
            row = _row(method, source, target, list(cases.source), bounds)
            if len(at_levels) > 1:
                row = {"method": method, "levels": dict(own[0]["levels"]), **row}
            found.append(row)
    return {"from": dict(cases.source), "to": dict(cases.target), "methods": found}


def _case(
    rows: Sequence[RunRow], values: Mapping[str, Any], gap: Gap, bounds: Mapping[str, Bound], dtype: str
) -> _Case:
    wanted = json.dumps(dict(values), sort_keys=True)
    own = [
        row for row in rows if json.dumps({key: row["setting"].get(key) for key in values}, sort_keys=True) == wanted
    ]
    candidates = candidates_of(settings_of(own), bounds, dtype)
    methods = grouped(candidates, lambda candidate: candidate.method)
    found = {of_method[0].method: best_of(of_method, gap) for of_method in methods}
    bests = {method: best for method, best in found.items() if best is not None}
    return _Case(candidates, bests, mark_of(candidates, list(bests.values()), gap), best_of(list(bests.values()), gap))


def _row(method: str, source: _Case, target: _Case, keys: Sequence[str], bounds: Mapping[str, Bound]) -> TransferRow:
    """A method at one choice of levels."""
    there = {_text(c.setting, keys): c for c in target.candidates if c.method == method}
    chosen, own = source.bests.get(method), target.bests.get(method)
    carried = None if chosen is None else there.get(_text(chosen.setting, keys))
    useful = [c for c in source.candidates if c.method == method and is_useful(c.runs, source.mark.useful_up_to)]
    still = [there[text] for c in useful if (text := _text(c.setting, keys)) in there]
    runs = [] if carried is None else carried.runs
    worst = _worst(runs, bounds)
    return {
        "method": method,
        "setting": None if chosen is None else _without(chosen.setting, keys),
        "source_objective": None if chosen is None else chosen.objective,
        "seeds": len({run["seed"] for c in target.candidates if c.method == method for run in c.runs}),
        "feasible_seeds": sum(run["feasible"] for run in runs),
        "feasible": carried is not None and carried.feasible,
        "useful": carried is not None and is_useful(carried.runs, target.mark.useful_up_to),
        "objective": quartiles([math.inf if (f := objective_of(run)) is None else f for run in runs]),
        "worst": None if worst is None else worst[0],
        "violation": None if worst is None else worst[1],
        "best_setting": None if own is None else _without(own.setting, keys),
        "best_objective": None if own is None else own.objective,
        "cost": _above(runs, own),
        "distance": _above(runs, target.best),
        "moved_decades": _moved(carried, own, list(there.values())),
        "useful_at_source": len(useful),
        "useful_at_both": sum(is_useful(c.runs, target.mark.useful_up_to) for c in still),
    }


def _above(runs: Sequence[RunRow], best: Candidate | None) -> Any:
    """How far the objectives of runs are above those of a setting, seed by seed."""
    known = {} if best is None else {run["seed"]: objective_of(run) for run in best.runs}
    pairs = [(objective_of(run) if run["feasible"] else None, known.get(run["seed"])) for run in runs]
    return quartiles([math.inf if f is None or other is None else clamped(f - other) for f, other in pairs])


def _worst(runs: Sequence[RunRow], bounds: Mapping[str, Bound]) -> tuple[str, float] | None:
    """The constraint that is furthest from holding with any seed, in tolerances where all have one; None unknown."""
    in_tolerances = all(bound.tolerance > 0 for bound in bounds.values())
    found: list[tuple[float, str, float]] = []
    for run in runs:
        for name, bound in bounds.items():
            value = run["constraints"][name]["violation"] if name in run["constraints"] else None
            known = [v for v in (value if isinstance(value, list) else [value]) if v is not None]
            if known:
                largest = max(known, key=lambda v: excess(v, bound.sense))
                size = excess(largest, bound.sense) / (bound.tolerance if in_tolerances else 1.0)
                found.append((size, name, largest))
    if not found:
        return None
    _, name, largest = max(found, key=lambda one: one[0])
    return name, largest


def _moved(carried: Candidate | None, own: Candidate | None, settings: Sequence[Candidate]) -> float | None:
    """How many decades the best value of what was swept is above the one that was carried over; None unknown."""
    name = swept([hyperparameters_of(candidate.setting) for candidate in settings])
    if carried is None or own is None or name is None:
        return None
    before, after = carried.setting.get(name), own.setting.get(name)
    if not (is_number(before) and is_number(after)) or before <= 0 or after <= 0:
        return None
    return math.log10(after) - math.log10(before)


def _without(setting: Setting, keys: Sequence[str]) -> dict[str, Plain]:
    """A setting but for the values that tell the cases apart."""
    return {name: value for name, value in setting.items() if name not in keys}


def _text(setting: Setting, keys: Sequence[str]) -> str:
    return json.dumps(_without(setting, keys), sort_keys=True)
