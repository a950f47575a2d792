"""The summary of methods: width of the range of good settings, and trainings that the first one took."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

from cpd.outcome import hyperparameters_of
from cpd.verdict.averages import mean
from cpd.verdict.document import Plain, RunRow, Setting, SummaryRow, is_number

Item = TypeVar("Item")

SWEPT = ("coefficient", "dual_lr")
"""The hyperparameters that methods are swept over, see the table of methods."""


@dataclass(frozen=True)
class Candidate:
    """One setting of a method over its seeds, at one choice of levels.

    Attributes:
        method: The method.
        setting: Its hyperparameters.
        trainings: Runs, one per seed.
        feasible: Whether every one of them is feasible.
        objective: Their mean objective; None unless feasible.
    """

    method: str
    setting: Setting
    trainings: int
    feasible: bool
    objective: float | None


def summarise(rows: Sequence[RunRow], gap: float) -> list[SummaryRow]:
    """Summarise each method, and each choice of levels where levels are swept.

    A setting is feasible when its runs of every seed are; useful when also its mean objective is within ``gap`` of the
    best one: ``objective <= best + gap |best|``, the best over all methods at the same levels.

    Args:
        rows: The runs of a document, each method's in the order of its grid.
        gap: Relative, >= 0.

    Returns:
        A row per method in order of appearance; with ``levels`` only where levels are swept.
    """
    cells = _grouped(rows, lambda row: row["levels"])
    summary: list[SummaryRow] = []
    for cell in cells:
        candidates = [_candidate(seeds) for seeds in _grouped(cell, lambda row: [row["method"], row["setting"]])]
        limit = _useful_limit(candidates, gap)
        for group in _grouped(candidates, lambda candidate: candidate.method):
            row = _method_summary(group, limit)
            if len(cells) > 1:
                row = {"method": row["method"], "levels": dict(cell[0]["levels"]), **row}
            summary.append(row)
    return summary


def decades(settings: Sequence[Setting], good: Sequence[bool]) -> float | None:
    """Width of the widest stretch of neighbouring good settings, ``log10(largest / smallest)``.

    Neighbours are neighbours in the method's swept hyperparameter while all others, those of the recipe and of the
    problem's arguments included, stay the same. A stretch that starts at 0 counts from its smallest positive member.

    Args:
        settings: A method's settings.
        good: Which of them count, ``[len(settings)]``.

    Returns:
        0 for a single setting, None for none.
    """
    if not any(good):
        return None
    name = swept([hyperparameters_of(setting) for setting in settings])
    if name is None:
        return 0.0
    lines = _grouped(zip(settings, good, strict=True), lambda pair: {k: v for k, v in pair[0].items() if k != name})
    return max(_widest([(s.get(name), ok) for s, ok in line]) for line in lines)


def _grouped(items: Iterable[Item], key: Callable[[Item], object]) -> list[list[Item]]:
    """Items with the same key together, in order of first appearance."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(json.dumps(key(item), sort_keys=True), []).append(item)
    return list(groups.values())


def _candidate(seeds: Sequence[RunRow]) -> Candidate:
    objectives = [row["objective"] for row in seeds if row["feasible"] and row["objective"] is not None]
    feasible = len(objectives) == len(seeds)
    average = mean(objectives) if feasible else None
    return Candidate(seeds[0]["method"], seeds[0]["setting"], len(seeds), feasible, average)


def _useful_limit(candidates: Sequence[Candidate], gap: float) -> float | None:
    found = [c.objective for c in candidates if c.objective is not None]
    return min(found) + gap * abs(min(found)) if found else None


def _method_summary(candidates: Sequence[Candidate], limit: float | None) -> SummaryRow:
    useful = [c.objective is not None and limit is not None and c.objective <= limit for c in candidates]
    settings = [c.setting for c in candidates]
    feasible = [c.feasible for c in candidates]
    best = min((c for c in candidates if c.objective is not None), key=_objective, default=None)
    return {
        "method": candidates[0].method,
        "settings": len(candidates),
        "feasible_settings": sum(feasible),
        "feasible_decades": decades(settings, feasible),
        "useful_settings": sum(useful),
        "useful_decades": decades(settings, useful),
        "best_setting": dict(best.setting) if best else None,
        "best_objective": best.objective if best else None,
        "trainings_to_first_useful": _trainings_to_first(candidates, useful),
    }


def _objective(candidate: Candidate) -> float:
    return math.inf if candidate.objective is None else candidate.objective


def _trainings_to_first(candidates: Sequence[Candidate], useful: Sequence[bool]) -> int | None:
    """Trainings in the order of the grid, every seed of each setting, up to the first useful setting's last one."""
    if True not in useful:
        return None
    return sum(c.trainings for c in candidates[: useful.index(True) + 1])


def swept(settings: Sequence[Setting], least: int = 2) -> str | None:
    """The hyperparameter with at least so many different numbers: the method's swept one, else the first."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    numbers = {name: {value for s in settings if is_number(value := s.get(name))} for name in names}
    found = [name for name in names if len(numbers[name]) >= least]
    return next((name for name in SWEPT if name in found), next(iter(found), None))


def _widest(line: Sequence[tuple[Plain, bool]]) -> float:
    """Widest stretch of good values among neighbours; below zero if there is none, so that a single one wins."""
    widest = -1.0
    stretch: list[float] = []
    for value, good in sorted(((x, good) for x, good in line if is_number(x)), key=itemgetter(0)):
        stretch = [*stretch, value] if good else []
        if good:
            positive = [x for x in stretch if x > 0]
            widest = max(widest, math.log10(positive[-1]) - math.log10(positive[0]) if positive else 0.0)
    lists = any(good for value, good in line if not is_number(value))
    return max(widest, 0.0) if lists else widest
