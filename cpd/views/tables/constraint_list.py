"""The list of a document's constraints, on request: each one's numbers at the best setting of each method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from cpd.verdict.averages import mean
from cpd.verdict.document import ConstraintRow, Document, RunRow
from cpd.verdict.feasibility import excess, slack
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.searching import searched_name, tried
from cpd.views.figures.chosen import named
from cpd.views.printable import one_line
from cpd.views.tables.both import judged_header
from cpd.views.tables.lines import Line, components, lines, setting_text, share_decimals, varied_setting
from cpd.views.tables.numbers import number, signed, spread
from cpd.views.tables.runs import rank_of
from cpd.views.tables.search_verdict import reported_iteration
from cpd.views.tables.section import Column, Facts, Section

NAME = "constraints"

MULTIPLIER, LEVEL = 2, 1
"""Ranks of columns: what is left out first has the highest."""


class Entry(NamedTuple):
    """One constraint, or one component of a vector, at a setting.

    Attributes:
        setting: The method and the setting.
        name: ``recall``, or ``recall[3]`` of a vector.
        level: What it is compared with.
        values: Of each seed that finished.
        violation: The largest one; None where some seed has no number.
        multipliers: Of each seed.
        holds: In every seed.
        size: What entries are ordered by: the violation in tolerances, where all constraints have one.
        percent: Decimals of a share.
    """

    setting: str
    name: str
    level: str
    values: Sequence[float | None]
    violation: float | None
    multipliers: Sequence[float | None]
    holds: bool
    size: float
    percent: int | None


def constraints_section(document: Document, words: Sequence[str]) -> Section | None:
    """List constraints with what they came to, the one furthest from holding first; None where no run finished.

    Of each method that is its best setting, or the one nearest to feasible; of a search the one that it reports.

    Args:
        document: Contract 3's object.
        words: Names, patterns such as ``group_*``, or ``all``.

    Raises:
        CpdError: A word means no constraint.
    """
    names = named(document, words)
    found = [_entries(document, row, names) for row in _chosen(document)]
    entries = [entry for own in found for entry in sorted(own, key=lambda entry: -entry.size)]
    if not entries:
        return None
    facts = [Facts(entry.holds, None, False, (-entry.size,)) for entry in entries]
    marks = ["" if entry.holds else "bad" for entry in entries]
    groups = [entry.setting for entry in entries]
    return Section(NAME, _columns(document, entries), marks, groups, facts=facts, named=("constraint",))


def _columns(document: Document, entries: Sequence[Entry]) -> list[Column]:
    def unit(entry: Entry, text: str) -> str:
        return text if entry.percent is None or text == "-" else f"{text} %"

    values = [unit(e, spread(e.values, e.percent)) for e in entries]
    violations = [unit(e, signed(e.violation, e.percent)) for e in entries]
    multipliers = [spread(e.multipliers) for e in entries]
    columns = [
        Column(("constraint",), [e.name for e in entries], right=False),
        Column(
            ("value", *judged_header(document)), values, names=("value",), values=[_mean(e.values) for e in entries]
        ),
        Column(("level",), [e.level for e in entries], rank=LEVEL),
        Column(("violation",), violations, values=[e.violation for e in entries]),
        Column(("holds",), ["yes" if e.holds else "no" for e in entries], right=False),
    ]
    if all(text == "-" for text in multipliers):
        return columns
    numbers = [_mean(e.multipliers) for e in entries]
    return [*columns, Column(("multiplier",), multipliers, rank=MULTIPLIER, values=numbers)]


def _chosen(document: Document) -> list[Line]:
    """The rows whose constraints are listed."""
    rows = [row for row in lines(document) if row.finished]
    if "search" in document:
        best, name = reported_iteration(document), searched_name(document["search"])
        return [row for row in rows if best is not None and row.setting.get(name) == tried(best)][:1]
    methods = dict.fromkeys(row.method for row in rows)
    return [min((r for r in rows if r.method == m), key=lambda row: rank_of(document, row)) for m in methods]


def _entries(document: Document, row: Line, names: Sequence[str]) -> list[Entry]:
    runs = judged_rows(row.finished, judges(document))
    setting = setting_text(varied_setting(lines(document), row.method, row.given))
    title = one_line(row.method) if setting == "-" else f"{one_line(row.method)}: {setting}"
    return [entry for name in names for entry in _of_constraint(document, row, runs, (title, name))]


def _of_constraint(document: Document, row: Line, runs: Sequence[RunRow], named: tuple[str, str]) -> list[Entry]:
    """The entries of one constraint, one for each component of a vector."""
    title, name = named
    bound, percent = document["constraints"][name], share_decimals(document, name)
    own = [run["constraints"][name] for run in runs]
    parts = max(len(components(one["value"])) for one in own)
    level = f"{bound['sense']} {number(row.levels[name] * (1 if percent is None else 100), 6)}"
    level += "" if percent is None else " %"
    found = []
    for k in range(parts):
        values, violations, multipliers = (_at(own, key, k) for key in ("value", "violation", "multiplier"))
        worst = _largest(violations, bound["sense"])
        size = math.inf if worst is None else excess(worst, bound["sense"]) / _unit(document, name)
        said = one_line(name) if parts == 1 else f"{one_line(name)}[{k}]"
        holds = worst is not None and (row.all_feasible or _is_held(document, name, worst, row.levels[name]))
        found.append(Entry(title, said, level, values, worst, multipliers, holds, size, percent))
    return found


def _at(rows: Sequence[ConstraintRow], key: str, k: int) -> list[float | None]:
    """One component of a number of every seed."""
    each = [components(row[key]) for row in rows]  # type: ignore[literal-required]
    return [own[k] if k < len(own) else (own or [None])[0] for own in each]


def _largest(violations: Sequence[float | None], sense: str) -> float | None:
    known = [v for v in violations if v is not None]
    return max(known, key=lambda v: excess(v, sense)) if len(known) == len(violations) else None


def _unit(document: Document, name: str) -> float:
    """What violations are compared in: tolerances, where all constraints have one."""
    in_tolerances = all(bound["tolerance"] > 0 for bound in document["constraints"].values())
    return document["constraints"][name]["tolerance"] if in_tolerances else 1.0


def _is_held(document: Document, name: str, violation: float, level: float) -> bool:
    bound = document["constraints"][name]
    allowed = bound["tolerance"] + slack(level + violation, level, bound["tolerance"], "float32")
    return excess(violation, bound["sense"]) <= allowed


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [x for x in numbers if x is not None]
    return mean(known) if known else None
