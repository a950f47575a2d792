"""The table of runs: one row per setting and levels, mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from cpd.verdict.averages import mean
from cpd.verdict.document import Document, Verdict
from cpd.verdict.feasibility import excess
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.settings import mean_objective
from cpd.views.printable import one_line
from cpd.views.tables.both import both_columns, judged_header, objective_on, value_on
from cpd.views.tables.certainty import WORDS, verdict_shown
from cpd.views.tables.certificates import kkt_columns
from cpd.views.tables.column_names import called
from cpd.views.tables.iterates import iterate_columns
from cpd.views.tables.lines import (
    Line,
    compared,
    components,
    is_best,
    is_useful,
    lines,
    row_notes,
    seeds_change_nothing,
    share_decimals,
    swept_levels,
    varied,
    worst_component,
)
from cpd.views.tables.numbers import distinct, is_share, number, signed, sort_value, spread
from cpd.views.tables.section import ALWAYS, LAST, Column, Facts, Section, told_apart
from cpd.views.tables.shape import DEFAULT, Shape, shaped
from cpd.views.tables.worst import Worst, has_many, satisfied_column, worst_column, worst_of

VALUE, BOTH, OBJECTIVES, VIOLATION, HELD, METRIC, MULTIPLIER = 1, (3, 2), (5, 4), 6, 7, 8, 9
WORST = ("worst", "constraint")
SLOPE = VALUE
"""Ranks of columns: what is left out first stands last. The first constraint's value always stays."""


class Judged(NamedTuple):
    """A row's verdicts."""

    best: bool
    useful: bool
    worst: Worst | None


def runs_section(document: Document, shape: Shape = DEFAULT) -> Section:
    """Lay out a document's runs for reading, in the shape that is asked for."""
    return shaped(whole_section(document, shape), shape)


def whole_section(document: Document, shape: Shape = DEFAULT) -> Section:
    """All runs and all that is known of them, not yet shaped; what the shape folds stands in one column."""
    rows = lines(document)
    judged = [_judged(document, row) for row in rows]
    setting, levels = _setting_columns(rows), _level_columns(document, rows)
    spared = bool(shape.columns)
    numbers = [c for k, n in enumerate(document["constraints"]) for c in _constraint_columns(document, rows, n, k)]
    many, folds = has_many(document), has_many(document) and shape.folds
    columns = told_apart(
        [
            *(("setting", column) for column in setting),
            *(("", column) for column in levels),
            ("", _feasible_column(document, rows, judged)),
            *_spared(_objective_columns(document, rows), spared),
            *([("", worst_column(document, [own.worst for own in judged], WORST))] if many else []),
            *(("", column) for column in satisfied_column(document, rows, LAST)),
            *([] if folds else _spared(numbers, spared)),
            *(("metric", column) for column in _metric_columns(document, rows)),
            *(("", column) for column in iterate_columns(rows)),
        ]
    )
    return Section(
        "runs",
        columns,
        [_mark(row, own.best) for row, own in zip(rows, judged, strict=True)],
        [one_line(row.method) for row in rows] if len({row.method for row in rows}) > 1 else [],
        facts=_facts(document, rows, judged),
        further=[*(column for _, column in numbers if folds), *_asked_for(rows, setting)],
        named=[called(column) for column in columns[: len(setting) + len(levels)]],
        folded=f"each of the {len(document['constraints'])} constraints" if folds else "",
    )


def _judged(document: Document, row: Line) -> Judged:
    return Judged(is_best(document, row), is_useful(document, row), worst_of(document, row))


def _facts(document: Document, rows: Sequence[Line], judged: Sequence[Judged]) -> list[Facts]:
    """What each row is asked for by, and its footnotes."""
    notes = row_notes(rows, judges(document))
    return [
        Facts(row.all_feasible, own.useful, bool(row.unfinished()), _rank(document, row, own), said)
        for row, own, said in zip(rows, judged, notes, strict=True)
    ]


def _rank(document: Document, row: Line, judged: Judged) -> tuple[float, ...]:
    """The best first, then useful, feasible, lucky, infeasible and unfinished ones.

    Of the feasible the lowest objective is first, of the others the least violation.
    """
    objective = mean_objective(judged_rows(row.runs, judges(document)))
    if row.all_feasible:
        kind = 0 if judged.best else 3 if row.by_luck else 1 if judged.useful else 2
        return (kind, math.inf if objective is None else objective)
    return (5 if row.unfinished() else 4, math.inf if judged.worst is None else judged.worst.size)


def rank_of(document: Document, row: Line) -> tuple[float, ...]:
    """What rows are ordered by: the best has the lowest, and of those that are not feasible the nearest to it."""
    return _rank(document, row, _judged(document, row))


def _asked_for(rows: Sequence[Line], setting: Sequence[Column]) -> list[Column]:
    """Columns that are there for those who ask: hyperparameters that stand in one column, residuals, time."""
    shown = {column.name for column in setting}
    names = dict.fromkeys(n for method in dict.fromkeys(row.method for row in rows) for n in varied(rows, method))
    means = {key: [_mean([run[key] for run in row.finished]) for row in rows] for key in ("steps", "seconds")}
    return [
        *(_setting_column(rows, name) for name in names if one_line(name) not in shown),
        *kkt_columns(rows),
        *(Column((key,), [number(value) for value in values], values=values) for key, values in means.items()),
    ]


def _setting_columns(rows: Sequence[Line]) -> list[Column]:
    """A column for each part of a setting that varies in every method, beside one for what varies in some of them."""
    by_method = {method: varied(rows, method) for method in dict.fromkeys(row.method for row in rows)}
    names = list(dict.fromkeys(name for of_method in by_method.values() for name in of_method))
    common = [name for name in names if all(name in of_method for of_method in by_method.values())]
    columns = [_setting_column(rows, name) for name in common]
    if common == names:
        return columns
    cells = [""] * len(rows)
    for method, of_method in by_method.items():
        own = [name for name in of_method if name not in common]
        at = [k for k, row in enumerate(rows) if row.method == method]
        texts = [distinct([rows[k].setting.get(name) for k in at]) for name in own]
        for place, k in enumerate(at):
            cells[k] = one_line(", ".join(f"{n} {t[place]}" for n, t in zip(own, texts, strict=True))) or "-"
    values = [tuple(sort_value(row.setting.get(name)) for name in by_method[row.method]) for row in rows]
    return [Column(("setting",), cells, right=False, values=values), *columns]


def _setting_column(rows: Sequence[Line], name: str) -> Column:
    """One part of the settings."""
    values = [row.setting.get(name) for row in rows]
    cells = list(map(one_line, distinct(values)))
    return Column((one_line(name),), cells, names=(name, f"setting.{name}"), values=list(map(sort_value, values)))


def _level_columns(document: Document, rows: Sequence[Line]) -> list[Column]:
    columns = []
    for name in swept_levels(rows):
        percent = share_decimals(document, name) is not None
        cells = distinct([row.levels[name] * (100 if percent else 1) for row in rows])
        values, names = [row.levels[name] for row in rows], (f"{name} level", f"levels.{name}")
        columns.append(Column((one_line(name), "level %" if percent else "level"), cells, names=names, values=values))
    return columns


def _feasible_column(document: Document, rows: Sequence[Line], judged: Sequence[Judged]) -> Column:
    several = any(len(row.runs) > 1 for row in rows) and not seeds_change_nothing(rows)
    shared = compared(rows)
    cells = [
        _verdict(row, several, own.useful and row.levels in shared, own.best, verdict_shown(document, row))
        for row, own in zip(rows, judged, strict=True)
    ]
    values = [(row.feasible / len(row.counted), own.useful, own.best) for row, own in zip(rows, judged, strict=True)]
    return Column(("feasible", "seeds") if several else ("feasible",), cells, right=False, values=values)


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


def _spared(columns: Sequence[tuple[str, Column]], spared: bool) -> list[tuple[str, Column]]:
    """Columns of which any may be left out, where others are asked for."""
    return [(kind, replace(c, rank=max(c.rank, VALUE)) if spared else c) for kind, c in columns]


def _objective_columns(document: Document, rows: Sequence[Line]) -> list[tuple[str, Column]]:
    """The objective that decides, that on the other examples, and the gap."""
    name, by = (one_line(document["objective"]),), judges(document)
    found = [[objective_on(run, by) for run in row.finished] for row in rows]
    others = both_columns(document, [row.finished for row in rows], name, objective_on, ranks=OBJECTIVES)
    own = Column(
        (*name, *judged_header(document)),
        list(map(spread, found)),
        names=("objective",),
        values=list(map(_mean, found)),
    )
    return [("objective", own), *(("", column) for column in others)]


def _constraint_columns(document: Document, rows: Sequence[Line], name: str, place: int) -> list[tuple[str, Column]]:
    """Value, violation, multiplier and share of the steps held; a vector is shown by its worst component."""
    sense, percent = document["constraints"][name]["sense"], share_decimals(document, name)
    on = judges(document)
    worst = [
        [worst_component(run["constraints"][name], sense) for run in judged_rows(row.finished, on)] for row in rows
    ]
    values = [[seed.value for seed in seeds] for seeds in worst]
    violations = [_worst_violation([seed.violation for seed in seeds], sense) for seeds in worst]
    multipliers = [[seed.multiplier for seed in seeds] for seeds in worst]
    held = [_mean([seed.feasible_share for seed in seeds]) for seeds in worst]
    unit = " %" if percent is not None else ""
    prefix = (one_line(name),) if len(document["constraints"]) > 1 else ()
    header = (one_line(name) + unit,)
    said = (*_worst_of(document, name), *judged_header(document))

    def column(head: tuple[str, ...], cells: list[str], rank: int, key: str, numbers: list[float | None]) -> Column:
        return Column(head, cells, rank=rank, names=_names(name, key), values=numbers)

    shares = [spread(numbers, percent) for numbers in values]
    value = column((*header, *said), shares, VALUE if place else ALWAYS, "value", list(map(_mean, values)))
    beside = value_on(document, name)
    sizes = [signed(violation, percent) for violation in violations]
    prices = list(map(_mean, multipliers))
    others = [
        *both_columns(document, [row.finished for row in rows], header, beside, percent, BOTH),
        column((*prefix, "violation" + unit), sizes, VIOLATION, "violation", violations),
        column((*prefix, "multiplier"), list(map(spread, multipliers)), MULTIPLIER, "multiplier", prices),
        column((*prefix, "held %"), list(map(_percent, held)), HELD, "held", held),
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
    predicted = [[s["predicted"] for s in own] for own in known]
    measured = [[s["measured"] for s in own] for own in known]
    return [
        Column((head, key), list(map(spread, own)), rank=SLOPE, names=_names(name, word), values=list(map(_mean, own)))
        for key, word, own in ((whose, "predicted", predicted), ("measured", "measured", measured))
    ]


def _worst_of(document: Document, name: str) -> list[str]:
    """Say how many components a vector constraint has."""
    size = max((len(components(run["constraints"][name]["value"])) for run in document["runs"]), default=1)
    return [f"worst of {size}"] if size > 1 else []


def _percent(held: float | None) -> str:
    """A share in percent; 100 is said of what held at every step alone."""
    if held is None:
        return "-"
    percent = 100 * held
    return f"{percent if percent == 100 else min(percent, 99):.0f}"


def _worst_violation(violations: Sequence[float | None], sense: str) -> float | None:
    found = [v for v in violations if v is not None]
    return max(found, key=lambda violation: excess(violation, sense), default=None)


def _mean(numbers: Sequence[float | None]) -> float | None:
    found = [number for number in numbers if number is not None]
    return mean(found) if found else None


def _names(constraint: str, key: str) -> tuple[str, ...]:
    """What else a constraint's column may be called."""
    part = {"held": "feasible_share", "predicted": "sensitivity.predicted", "measured": "sensitivity.measured"}
    path = f"constraints.{constraint}.{part.get(key, key)}"
    return (constraint, path) if key == "value" else (key, f"{constraint} {key}", path)


def _metric_columns(document: Document, rows: Sequence[Line]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for run in row.runs for name in run["metrics"])
    columns = []
    for name in names:
        on = judges(document)
        numbers = [[run["metrics"].get(name) for run in judged_rows(row.finished, on)] for row in rows]
        percent = 2 if is_share(name, [x for seeds in numbers for x in seeds]) else None
        header = one_line(name) + (" %" if percent is not None else "")
        cells, values = [spread(seeds, percent) for seeds in numbers], list(map(_mean, numbers))
        columns.append(Column((header,), cells, rank=METRIC, names=(name, f"metrics.{name}"), values=values))
    return columns
