"""Tables of a report as data for its template: every text as it is, every number with its full value beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cpd.verdict.document import Document, Plain, RunRow, is_number
from cpd.views.tables.lines import error_line, is_best, lines
from cpd.views.tables.numbers import measured, setting_value
from cpd.views.tables.records import Record, records
from cpd.views.tables.section import Section

MOST_ROWS = 5000
"""Rows of a table: a page of more opens slowly."""

MOST_CELLS = 200_000
"""Cells of a table: of many columns there are fewer rows."""

LONGEST_PINNED = 24
"""Letters of a first column that stays where the others scroll."""

MARKS = ("best", "feasible", "", "bad")
"""What rows are kept for where there are too many."""


class Cell(NamedTuple):
    """One cell; ``full`` is the value that its text rounds."""

    text: str
    is_number: bool = False
    full: float | None = None


class Row(NamedTuple):
    """One row; its mark is ``best``, ``feasible``, ``bad`` or empty."""

    mark: str
    cells: Sequence[Cell]


class Table(NamedTuple):
    """A table that sorts and filters, with its notes below."""

    name: str
    heads: Sequence[Cell]
    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def is_pinned(self) -> bool:
        """Whether the first column may stay in sight: there are others, and it is short."""
        firsts = [self.heads[0].text, *(row.cells[0].text for row in self.rows)]
        return len(self.heads) > 2 and max(map(len, firsts)) <= LONGEST_PINNED


def section_table(section: Section, name: str) -> Table:
    """A finished table of :mod:`cpd.views.tables`, called by a name."""
    columns = section.flat
    marks = list(section.marks) or [""] * len(columns[0].cells)
    heads = [Cell(column.name, column.right) for column in columns]
    kept = telling(marks, len(columns))
    rows = [Row(marks[k], [Cell(column.cells[k], column.right) for column in columns]) for k in kept]
    return Table(name.lower(), heads, rows, [*_left_out(kept, marks, "rows"), *section.notes])


def runs_table(document: Document) -> Table:
    """Every run, all its numbers; columns without any value are left out."""
    found = records(document)
    names = [name for name in (found[0] if found else {}) if any(record[name] is not None for record in found)]
    numeric = {name: all(is_number(record[name]) or record[name] is None for record in found) for name in names}
    marks = _marks(document, found)
    kept = telling(marks, len(names))
    rows = [Row(marks[k].replace("best", "feasible"), [_cell(n, found[k][n], numeric[n]) for n in names]) for k in kept]
    return Table("all runs", [Cell(name, numeric[name]) for name in names], rows, _left_out(kept, marks, "runs"))


def telling(marks: Sequence[str], columns: int) -> list[int]:
    """Places of the rows that are shown, in their order: all, or the best, then the feasible, as many as there may be.

    Args:
        marks: Of each row.
        columns: Of the table.
    """
    most = min(MOST_ROWS, max(MOST_CELLS // max(columns, 1), 1))
    return sorted(sorted(range(len(marks)), key=lambda k: MARKS.index(marks[k]))[:most])


def _left_out(kept: Sequence[int], marks: Sequence[str], what: str) -> list[str]:
    if len(kept) == len(marks):
        return []
    return [f"{len(kept)} of {len(marks)} {what}, the best and the feasible among them: cpd export has all."]


def _marks(document: Document, found: Sequence[Record]) -> list[str]:
    best = {_key(run) for row in lines(document) if is_best(document, row) for run in row.runs}
    return [
        "best" if _key(run) in best and run["feasible"] else _mark(record)
        for run, record in zip(document["runs"], found, strict=True)
    ]


def _key(run: RunRow) -> str:
    return repr((run["method"], run["setting"], run["levels"], run["seed"]))


def _mark(record: Record) -> str:
    return "bad" if record["status"] != "completed" else "feasible" if record["feasible"] else ""


def _cell(name: str, value: Plain, numeric: bool) -> Cell:
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, float) and numeric:
        return Cell(measured(value, 6), numeric, value)
    if isinstance(value, int):
        return Cell(str(value), numeric)
    text = error_line(value) if name == "error" and isinstance(value, str) and value else setting_value(value, 6)
    return Cell(text, numeric)
