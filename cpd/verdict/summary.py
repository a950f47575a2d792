"""The summary of methods: width of the range of good settings, and trainings that the first one took."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from cpd.outcome import hyperparameters_of, is_dotted
from cpd.verdict.choice import Candidate, Mark, best_of, candidates_of, is_useful, mark_of
from cpd.verdict.document import Plain, RunRow, Setting, SummaryRow, is_number
from cpd.verdict.feasibility import Bound
from cpd.verdict.gap import Gap
from cpd.verdict.settings import grouped, settings_of

SWEPT = ("coefficient", "dual_lr")
"""The hyperparameters that methods are swept over, see the table of methods."""


def summarise(rows: Sequence[RunRow], gap: Gap, bounds: Mapping[str, Bound], dtype: str) -> list[SummaryRow]:
    """Summarise each method, and each choice of levels where levels are swept.

    A setting is feasible when its runs of every seed are; useful when also its mean objective is within the gap of the
    mark: ``objective <= mark + gap``, the mark and the gap over all methods at the same levels, see
    :mod:`cpd.verdict.choice`.

    Args:
        rows: The runs of a document, each method's in the order of its grid.
        gap: A share of the spread of feasible objectives, or a number.
        bounds: Sense and tolerance of each constraint.
        dtype: Of runs that have none of their own.

    Returns:
        A row per method in order of appearance; with ``levels`` only where levels are swept.
    """
    cells = grouped(rows, lambda row: row["levels"])
    summary: list[SummaryRow] = []
    for cell in cells:
        candidates = candidates_of(settings_of(cell), bounds, dtype)
        methods = grouped_by_method(candidates)
        bests = [best_of(own, gap) for own in methods]
        mark = mark_of(candidates, [best for best in bests if best is not None], gap)
        for own, best in zip(methods, bests, strict=True):
            row = _method_summary(own, best, mark)
            if len(cells) > 1:
                row = {"method": row["method"], "levels": dict(cell[0]["levels"]), **row}
            summary.append(row)
    return summary


def grouped_by_method(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Each method's settings together."""
    return grouped(candidates, lambda candidate: candidate.method)


def decades(settings: Sequence[Setting], good: Sequence[bool]) -> float | None:
    """Width of the widest stretch of neighbouring good settings, ``log10(largest / smallest)``.

    Neighbours are neighbours in the method's swept hyperparameter while all others, those of the recipe and of the
    problem's arguments included, stay the same; where each constraint has one of its own, in one of these. A stretch
    that starts at 0 counts from its smallest positive member.

    Args:
        settings: A method's settings.
        good: Which of them count, ``[len(settings)]``.

    Returns:
        0 for a single setting, None for none.
    """
    found = stretch(settings, good)
    return None if found is None else found.decades


class Stretch(NamedTuple):
    """Neighbouring good settings: how wide, and whether they go up to an end of the grid, so that more may follow."""

    decades: float
    at_edge: bool = False


def stretch(settings: Sequence[Setting], good: Sequence[bool]) -> Stretch | None:
    """The widest stretch of neighbouring good settings, see :func:`decades`; None where there is none."""
    if not any(good):
        return None
    known = [by_component(setting) for setting in settings]
    name = swept([hyperparameters_of(setting) for setting in known])
    if name is None:
        return Stretch(0.0)
    return max(_along(axis, known, good) for axis in _alike(name, known))


def by_component(setting: Setting) -> dict[str, Plain]:
    """A setting in which each entry of a list, one for each constraint, is a hyperparameter: ``coefficient[0]``."""
    found: dict[str, Plain] = {}
    for name, value in setting.items():
        if isinstance(value, list) and all(map(is_number, value)) and not is_dotted(name):
            found |= {f"{name}[{k}]": entry for k, entry in enumerate(value)}
        else:
            found[name] = value
    return found


def _alike(name: str, settings: Sequence[Setting]) -> list[str]:
    """A hyperparameter, and its entries for each constraint, as far as they have several values."""
    own = name.partition("[")[0]
    names = dict.fromkeys(n for setting in settings for n in setting if n.partition("[")[0] == own)
    return [n for n in names if n == name or len({json.dumps(setting.get(n)) for setting in settings}) > 1]


def _along(name: str, settings: Sequence[Setting], good: Sequence[bool]) -> Stretch:
    lines = grouped(zip(settings, good, strict=True), lambda pair: {k: v for k, v in pair[0].items() if k != name})
    return max(_widest([(s.get(name), ok) for s, ok in line]) for line in lines)


def _method_summary(candidates: Sequence[Candidate], best: Candidate | None, mark: Mark) -> SummaryRow:
    useful = [is_useful(c.runs, mark.useful_up_to) for c in candidates]
    settings = [c.setting for c in candidates]
    feasible = [c.feasible for c in candidates]
    of_feasible, of_useful = stretch(settings, feasible), stretch(settings, useful)
    return {
        "method": candidates[0].method,
        "settings": len(candidates),
        "feasible_settings": sum(feasible),
        "feasible_decades": of_feasible.decades if of_feasible else None,
        "useful_settings": sum(useful),
        "useful_decades": of_useful.decades if of_useful else None,
        "best_setting": dict(best.setting) if best else None,
        "best_objective": best.objective if best else None,
        "trainings_to_first_useful": _trainings_to_first(candidates, useful),
        "mark": mark.value,
        "useful_up_to": mark.useful_up_to,
        "feasible_at_edge": of_feasible is not None and of_feasible.at_edge,
        "useful_at_edge": of_useful is not None and of_useful.at_edge,
    }


def _trainings_to_first(candidates: Sequence[Candidate], useful: Sequence[bool]) -> int | None:
    """Trainings in the order of the grid, every seed of each setting, up to the first useful setting's last one."""
    if True not in useful:
        return None
    return sum(len(c.runs) for c in candidates[: useful.index(True) + 1])


def swept(settings: Sequence[Setting], least: int = 2) -> str | None:
    """The hyperparameter with at least so many different numbers: the method's swept one, else the first."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    numbers = {name: {value for s in settings if is_number(value := s.get(name))} for name in names}
    found = [name for name in names if len(numbers[name]) >= least]
    return next((name for name in SWEPT if name in found), next(iter(found), None))


def _widest(line: Sequence[tuple[Plain, bool]]) -> Stretch:
    """Widest stretch of good values among neighbours; below zero if there is none, so that a single one wins.

    On a logarithmic scale 0 is no neighbour: a stretch that goes down to the smallest positive value is at the edge.
    """
    widest = Stretch(-1.0)
    found: list[float] = []
    numbers = sorted(((x, good) for x, good in line if is_number(x)), key=itemgetter(0))
    ends = (min((x for x, _ in numbers if x > 0), default=0.0), numbers[-1][0]) if len(numbers) > 1 else None
    for value, good in numbers:
        found = [*found, value] if good else []
        if good:
            positive = [x for x in found if x > 0]
            wide = math.log10(positive[-1]) - math.log10(positive[0]) if positive else 0.0
            at_edge = ends is not None and (found[0] <= ends[0] or found[-1] >= ends[1])
            widest = max(widest, Stretch(wide, at_edge))
    lists = any(good for value, good in line if not is_number(value))
    return max(widest, Stretch(0.0)) if lists else widest
