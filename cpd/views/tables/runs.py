"""The table of runs: one row per setting and levels, mean over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cpd.verdict.averages import mean
from cpd.verdict.document import Document, Verdict
from cpd.verdict.feasibility import excess
from cpd.verdict.judged import judged_rows, judges
from cpd.views.printable import one_line
from cpd.views.tables.both import both_columns, judged_header, objective_on, value_on
from cpd.views.tables.certainty import WORDS, verdict_shown
from cpd.views.tables.certificates import kkt_columns
from cpd.views.tables.iterates import iterate_columns
from cpd.views.tables.lines import (
    Line,
    compared,
    components,
    is_best,
    is_useful,
    lines,
    notes_of,
    seeds_change_nothing,
    share_decimals,
    swept_levels,
    varied,
    worst_component,
)
from cpd.views.tables.numbers import distinct, is_share, signed, spread
from cpd.views.tables.section import ALWAYS, Column, Section, told_apart

VALUE, BOTH, OBJECTIVES, VIOLATION, HELD, METRIC, MULTIPLIER = 1, (3, 2), (5, 4), 6, 7, 8, 9
SLOPE = VALUE
"""Ranks of columns: what is left out first stands last. The first constraint's value always stays."""


def runs_section(document: Document, further: Sequence[str] = ()) -> Section:
    """Lay out a document's runs for reading, with further columns by name."""
    rows = lines(document)
    methods = list(dict.fromkeys(row.method for row in rows))
    best = [is_best(document, row) for row in rows]
    notes, markers = notes_of(rows, judges(document))
    columns = told_apart(
        [
            *(("setting", column) for column in _setting_columns(rows)),
            *(("", column) for column in _level_columns(document, rows)),
            ("", _feasible_column(document, rows, best)),
            *_number_columns(document, rows, bool(further)),
            *(("metric", column) for column in _metric_columns(document, rows)),
            *(("", column) for column in (kkt_columns(rows) if "kkt" in further else [])),
            *(("", column) for column in iterate_columns(rows)),
            *([("", Column(("note",), markers, right=False))] if notes else []),
        ]
    )
    marks = [_mark(row, at_best) for row, at_best in zip(rows, best, strict=True)]
    groups = [one_line(row.method) for row in rows] if len(methods) > 1 else []
    return Section("runs", columns, marks, groups, notes)


def _setting_columns(rows: Sequence[Line]) -> list[Column]:
    """A column for each part of a setting that varies in every method, beside one for what varies in some of them."""
    by_method = {method: varied(rows, method) for method in dict.fromkeys(row.method for row in rows)}
    names = list(dict.fromkeys(name for of_method in by_method.values() for name in of_method))
    common = [name for name in names if all(name in of_method for of_method in by_method.values())]
    values = {name: distinct([row.setting.get(name) for row in rows]) for name in common}
    columns = [Column((one_line(name),), list(map(one_line, texts))) for name, texts in values.items()]
    if common == names:
        return columns
    cells = [""] * len(rows)
    for method, of_method in by_method.items():
        own = [name for name in of_method if name not in common]
        at = [k for k, row in enumerate(rows) if row.method == method]
        texts = [distinct([rows[k].setting.get(name) for k in at]) for name in own]
        for place, k in enumerate(at):
            cells[k] = one_line(", ".join(f"{n} {t[place]}" for n, t in zip(own, texts, strict=True))) or "-"
    return [Column(("setting",), cells, right=False), *columns]


def _level_columns(document: Document, rows: Sequence[Line]) -> list[Column]:
    columns = []
    for name in swept_levels(rows):
        percent = share_decimals(document, name) is not None
        cells = distinct([row.levels[name] * (100 if percent else 1) for row in rows])
        columns.append(Column((one_line(name), "level %" if percent else "level"), cells))
    return columns


def _feasible_column(document: Document, rows: Sequence[Line], best: Sequence[bool]) -> Column:
    several = any(len(row.runs) > 1 for row in rows) and not seeds_change_nothing(rows)
    shared = compared(rows)
    cells = [
        _verdict(row, several, is_useful(document, row) and row.levels in shared, at_best, verdict_shown(document, row))
        for row, at_best in zip(rows, best, strict=True)
    ]
    return Column(("feasible", "seeds") if several else ("feasible",), cells, right=False)


def _verdict(row: Line, several: bool, useful: bool, at_best: bool, sure: Verdict | None) -> str:
    """Whether it is feasible, or in how many of its runs, and in how many of these at the last step only.

    Where there are held-out intervals, whether that is sure.
    """
    words = list(row.unfinished())
    if several:
        counted = (f"{n} {status}" for status, n in row.unfinished().items())
        words = [f"{row.feasible}/{len(row.counted)}", *counted, *(["unsure"] if sure == "uncertain" else [])]
    elif not words and (sure is not None or not row.lucky):
        words = [("yes" if row.feasible else "no") if sure is None else WORDS[sure]]
    marks = [*(["useful"] if useful else []), *(["best"] if at_best else [])]
    if row.lucky:
        luck = "last step" if marks or (sure and not several) else "last step only"  # a terminal is narrow
        words.append(luck if row.lucky == row.feasible else f"{row.lucky} {luck}")
    return ", ".join([*words, *marks])


def _mark(row: Line, at_best: bool) -> str:
    if row.by_luck:
        return ""
    if at_best:
        return "best"
    if row.all_feasible:
        return "feasible"
    return "bad" if row.unfinished() else ""


def _number_columns(document: Document, rows: Sequence[Line], spared: bool) -> list[tuple[str, Column]]:
    """Objective and constraints; where further columns are asked for, these stay and any of those may be left out."""
    columns = _objective_columns(document, rows)
    columns += [c for k, n in enumerate(document["constraints"]) for c in _constraint_columns(document, rows, n, k)]
    return [(kind, replace(c, rank=max(c.rank, VALUE)) if spared else c) for kind, c in columns]


def _objective_columns(document: Document, rows: Sequence[Line]) -> list[tuple[str, Column]]:
    """The objective that decides, that on the other examples, and the gap."""
    name, by = (one_line(document["objective"]),), judges(document)
    cells = [spread([objective_on(run, by) for run in row.finished]) for row in rows]
    others = both_columns(document, [row.finished for row in rows], name, objective_on, ranks=OBJECTIVES)
    own = Column((*name, *judged_header(document)), cells)
    return [("objective", own), *(("", column) for column in others)]


def _constraint_columns(document: Document, rows: Sequence[Line], name: str, place: int) -> list[tuple[str, Column]]:
    """Value, violation, multiplier and share of the steps held; a vector is shown by its worst component."""
    sense, percent = document["constraints"][name]["sense"], share_decimals(document, name)
    on = judges(document)
    worst = [
        [worst_component(run["constraints"][name], sense) for run in judged_rows(row.finished, on)] for row in rows
    ]
    values = [spread([seed.value for seed in seeds], percent) for seeds in worst]
    violations = [_worst_violation([seed.violation for seed in seeds], sense, percent) for seeds in worst]
    multipliers = [spread([seed.multiplier for seed in seeds]) for seeds in worst]
    held = [_mean_percent([seed.feasible_share for seed in seeds]) for seeds in worst]
    unit = " %" if percent is not None else ""
    prefix = (one_line(name),) if len(document["constraints"]) > 1 else ()
    header = (one_line(name) + unit,)
    said = (*_worst_of(document, name), *judged_header(document))
    value = Column((*header, *said), values, rank=VALUE if place else ALWAYS)
    beside = value_on(document, name)
    others = [
        *both_columns(document, [row.finished for row in rows], header, beside, percent, BOTH),
        Column((*prefix, "violation" + unit), violations, rank=VIOLATION),
        Column((*prefix, "multiplier"), multipliers, rank=MULTIPLIER),
        Column((*prefix, "held %"), held, rank=HELD),
    ]
    others = [*_slope_columns(document, rows, name, prefix), *others]
    shown = [c for c in others if c.rank <= VIOLATION or any(cell != "-" for cell in c.cells)]
    return [("constraint", value), *(("", column) for column in shown)]


def _slope_columns(document: Document, rows: Sequence[Line], name: str, prefix: tuple[str, ...]) -> list[Column]:
    """What the multiplier predicts that a unit of the level costs, and what neighbouring levels say that it does."""
    found = [[run["constraints"][name].get("sensitivity") for run in row.finished] for row in rows]
    known = [[slopes for slopes in own if slopes is not None] for own in found]
    if not any(slopes["predicted"] is not None or slopes["measured"] is not None for own in known for slopes in own):
        return []
    kkt = [run.get("kkt") for row in rows for run in row.finished]
    whose = "surrogate's" if any(one and one["of"] == "surrogate" for one in kkt) else "predicted"
    head = " ".join(("dF/dlevel", *prefix))
    return [
        Column((head, whose), [spread([s["predicted"] for s in own]) for own in known], rank=SLOPE),
        Column((head, "measured"), [spread([s["measured"] for s in own]) for own in known], rank=SLOPE),
    ]


def _worst_of(document: Document, name: str) -> list[str]:
    """Say how many components a vector constraint has."""
    size = max((len(components(run["constraints"][name]["value"])) for run in document["runs"]), default=1)
    return [f"worst of {size}"] if size > 1 else []


def _mean_percent(shares: Sequence[float | None]) -> str:
    """The mean of shares; 100 is said of what held at every step alone."""
    found = [share for share in shares if share is not None]
    if not found:
        return "-"
    held = 100 * mean(found)
    return f"{held if held == 100 else min(held, 99):.0f}"


def _worst_violation(violations: Sequence[float | None], sense: str, percent: int | None) -> str:
    found = [v for v in violations if v is not None]
    return signed(max(found, key=lambda violation: excess(violation, sense), default=None), percent)


def _metric_columns(document: Document, rows: Sequence[Line]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for run in row.runs for name in run["metrics"])
    columns = []
    for name in names:
        on = judges(document)
        numbers = [[run["metrics"].get(name) for run in judged_rows(row.finished, on)] for row in rows]
        percent = 2 if is_share(name, [x for seeds in numbers for x in seeds]) else None
        header = one_line(name) + (" %" if percent is not None else "")
        columns.append(Column((header,), [spread(seeds, percent) for seeds in numbers], rank=METRIC))
    return columns
