"""A gallery as a table: task by method on a page, a row for each of both on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.verdict.gallery import GalleryRow
from cpd.views.printable import one_line
from cpd.views.tables.lines import setting_text
from cpd.views.tables.numbers import decades, measured
from cpd.views.tables.section import Column, Section

BEST, SETTING, FEASIBLE = 1, 2, 3
"""Ranks of columns: what is left out first has the highest."""

CELLS = "Each cell: share of the settings that are useful, decades that they span, trainings to the first one."


def gallery_list(rows: Sequence[GalleryRow]) -> Section:
    """A row for each task and method, the tasks as headings."""
    notes, marks = _notes(rows)
    columns = [
        Column(("method",), [f"  {one_line(row['method'])}" for row in rows], right=False),
        Column(("feasible", "settings"), [_count(row, row["feasible_settings"]) for row in rows], rank=FEASIBLE),
        Column(("useful", "settings"), [_count(row, row["useful_settings"]) for row in rows]),
        Column(("share", "useful"), [_share(row) for row in rows]),
        Column(("useful", "decades"), [_decades(row) for row in rows]),
        Column(("trainings to", "first useful"), [_trainings(row) for row in rows]),
        Column(("best setting",), [_setting(row) for row in rows], right=False, rank=SETTING),
        Column(("best", "objective"), [measured(row["best_objective"]) for row in rows], rank=BEST),
        *([Column(("note",), marks, right=False)] if notes else []),
    ]
    colours = ["feasible" if row["useful_settings"] else "" for row in rows]
    return Section("gallery", columns, colours, [one_line(row["task"]) for row in rows], notes)


def gallery_matrix(rows: Sequence[GalleryRow]) -> Section:
    """A row for each task, a column for each method."""
    notes, marks = _notes(rows)
    tasks, methods = (list(dict.fromkeys(row[key] for row in rows)) for key in ("task", "method"))
    cells = {(row["task"], row["method"]): _cell(row, mark) for row, mark in zip(rows, marks, strict=True)}
    columns = [Column(("task",), [one_line(task) for task in tasks], right=False)]
    for method in methods:
        columns.append(Column((one_line(method),), [cells.get((task, method), "-") for task in tasks]))
    return Section("gallery", columns, notes=[CELLS, *notes])


def _cell(row: GalleryRow, mark: str) -> str:
    if row["settings"] is None:
        return mark
    if not row["useful_settings"]:
        return f"0 % {mark}".strip()
    return f"{_share(row)}, {_decades(row)}, {_trainings(row)}"


def _notes(rows: Sequence[GalleryRow]) -> tuple[list[str], list[str]]:
    """The distinct notes as footnotes, and the mark of each row."""
    texts = list(dict.fromkeys(row["note"] for row in rows if row["note"] is not None))
    marks = ["" if row["note"] is None else f"[{texts.index(row['note']) + 1}]" for row in rows]
    return [f"[{k}] {one_line(text)}" for k, text in enumerate(texts, 1)], marks


def _count(row: GalleryRow, count: int | None) -> str:
    return "-" if count is None else f"{count} of {row['settings']}"


def _share(row: GalleryRow) -> str:
    return "-" if row["useful_share"] is None else f"{100 * row['useful_share']:.0f} %"


def _decades(row: GalleryRow) -> str:
    return decades(row["useful_decades"], bool(row["useful_at_edge"]))


def _trainings(row: GalleryRow) -> str:
    return "-" if row["trainings_to_first_useful"] is None else str(row["trainings_to_first_useful"])


def _setting(row: GalleryRow) -> str:
    return "-" if row["best_setting"] is None else setting_text(row["best_setting"])
