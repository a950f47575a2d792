"""The table of methods: how many settings work, over what range, and what the best one costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from cpd.verdict.document import Document, RunRow, SummaryRow
from cpd.verdict.judged import judged_rows, judges
from cpd.views.printable import one_line
from cpd.views.tables.both import both_columns, judged_header, objective_on, value_on
from cpd.views.tables.budgets import budget_section
from cpd.views.tables.lines import (
    Line,
    best_line,
    lines,
    setting_text,
    share_decimals,
    swept_levels,
    varied_setting,
    worst_component,
)
from cpd.views.tables.numbers import decades, distinct, measured, spread
from cpd.views.tables.section import ALWAYS, Column, Section
from cpd.views.tables.worst import has_many, worst_column, worst_of

Count = Literal["useful_settings", "trainings_to_first_useful"]
Width = Literal["feasible_decades", "useful_decades"]
Edge = Literal["feasible_at_edge", "useful_at_edge"]

WORST = ("worst constraint", "at best")
FEASIBLE_DECADES, AT_BEST, SETTING, FIRST_USEFUL = 4, 3, 2, 1
"""Ranks of columns: what is left out first has the highest."""


def summary_section(document: Document, narrow: bool = False) -> Section | None:
    """Lay out the summary; None where there is none, or where each method has but one setting.

    Args:
        document: Contract 3's object.
        narrow: Whether the worst one stands for many constraints.
    """
    if "budget" in document:
        return budget_section(document)
    entries = document.get("summary", [])
    if all(entry["settings"] == 1 for entry in entries):
        return None
    rows = lines(document)
    columns = [
        Column(("method",), [one_line(e["method"]) for e in entries], right=False),
        *_level_columns(entries, rows),
        Column(("feasible", "settings"), [f"{e['feasible_settings']} of {e['settings']}" for e in entries]),
        _width(entries, "feasible_decades", FEASIBLE_DECADES),
        _count(entries, "useful_settings", ("useful", "settings")),
        _width(entries, "useful_decades"),
        Column(("best setting",), [_setting(e, rows) for e in entries], right=False, rank=SETTING),
        Column(_best_objective(document), [measured(e["best_objective"]) for e in entries]),
        *_both_at_best(document, rows, entries),
        *_constraints_at_best(document, rows, entries, narrow),
        _count(entries, "trainings_to_first_useful", ("trainings to", "first useful"), FIRST_USEFUL),
    ]
    marks = ["feasible" if e["useful_settings"] and not _by_luck(e, rows) else "" for e in entries]
    return Section("summary", columns, marks)


def _best_objective(document: Document) -> tuple[str, ...]:
    """The header of the best objective; the best setting stands beside it."""
    name = one_line(document["objective"])
    return ("best", name, *(["objective"] if name == "setting" else []), *judged_header(document))


def _level_columns(entries: Sequence[SummaryRow], rows: Sequence[Line]) -> list[Column]:
    names = swept_levels(rows)
    return [Column((one_line(n), "level"), distinct([e["levels"][n] for e in entries])) for n in names]


def _count(entries: Sequence[SummaryRow], key: Count, header: tuple[str, ...], rank: int = ALWAYS) -> Column:
    return Column(header, ["-" if e[key] is None else str(e[key]) for e in entries], rank=rank)


def _width(entries: Sequence[SummaryRow], key: Width, rank: int = ALWAYS) -> Column:
    of: Literal["feasible", "useful"] = "feasible" if key == "feasible_decades" else "useful"
    edge: Edge = "feasible_at_edge" if of == "feasible" else "useful_at_edge"
    return Column((of, "decades"), [decades(e[key], e.get(edge, False)) for e in entries], rank=rank)


def _setting(entry: SummaryRow, rows: Sequence[Line]) -> str:
    best = entry["best_setting"]
    if best is None:
        return "none"
    luck = " (last step only)" if _by_luck(entry, rows) else ""
    return setting_text(varied_setting(rows, entry["method"], best)) + luck


def _by_luck(entry: SummaryRow, rows: Sequence[Line]) -> bool:
    row = best_line(rows, entry)
    return row is not None and row.by_luck


def _both_at_best(document: Document, rows: Sequence[Line], entries: Sequence[SummaryRow]) -> list[Column]:
    """The objective of the best settings on the other examples, and the gap."""
    header = ("best", one_line(document["objective"]))
    return both_columns(document, _best_runs(rows, entries), header, objective_on, ranks=(AT_BEST, AT_BEST))


def _constraints_at_best(
    document: Document, rows: Sequence[Line], entries: Sequence[SummaryRow], narrow: bool
) -> list[Column]:
    """The constraints at the best settings; of many the worst one first, or alone."""
    many = has_many(document)
    names = [] if many and narrow else document["constraints"]
    best = [best_line(rows, entry) for entry in entries] if many else []
    worst = [None if row is None else worst_of(document, row) for row in best]
    return [
        *([replace(worst_column(document, worst, WORST), rank=FEASIBLE_DECADES)] if many else []),
        *(column for name in names for column in _at_best(document, rows, entries, name)),
    ]


def _at_best(document: Document, rows: Sequence[Line], entries: Sequence[SummaryRow], name: str) -> list[Column]:
    percent = share_decimals(document, name)
    cells = [spread(_best_values(document, rows, entry, name), percent) for entry in entries]
    header = (one_line(name) + (" %" if percent is not None else ""), "at best")
    ranks = (AT_BEST, AT_BEST)
    others = both_columns(document, _best_runs(rows, entries), header, value_on(document, name), percent, ranks)
    return [Column((*header, *judged_header(document)), cells, rank=AT_BEST), *others]


def _best_runs(rows: Sequence[Line], entries: Sequence[SummaryRow]) -> list[list[RunRow]]:
    """The runs of each best setting, one per seed."""
    best = [best_line(rows, entry) for entry in entries]
    return [row.runs if row else [] for row in best]


def _best_values(document: Document, rows: Sequence[Line], entry: SummaryRow, name: str) -> list[float | None]:
    """A constraint's values at the best setting, one per seed; a vector's worst component."""
    sense = document["constraints"][name]["sense"]
    row = best_line(rows, entry)
    own = judged_rows(row.finished, judges(document)) if row else []
    return [worst_component(run["constraints"][name], sense).value for run in own]
