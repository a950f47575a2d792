"""Tables of a report as data for its template: every text as it is, every number with its full value beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cpd.verdict.document import Document, Plain, is_number
from cpd.views.tables.lines import error_line
from cpd.views.tables.numbers import measured, setting_value
from cpd.views.tables.records import Record, records
from cpd.views.tables.section import Section

MOST_ROWS = 5000
"""Rows of the table of all runs: a page of more opens slowly."""


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


def section_table(section: Section, name: str) -> Table:
    """A finished table of :mod:`cpd.views.tables`, called by a name."""
    columns = section.flat
    marks = list(section.marks) or [""] * len(columns[0].cells)
    heads = [Cell(column.name, column.right) for column in columns]
    rows = [Row(mark, [Cell(column.cells[k], column.right) for column in columns]) for k, mark in enumerate(marks)]
    return Table(name.lower(), heads, rows, section.notes)


def runs_table(document: Document) -> Table:
    """Every run, all its numbers; columns without any value are left out."""
    found = records(document)
    names = [name for name in (found[0] if found else {}) if any(record[name] is not None for record in found)]
    numeric = {name: all(is_number(record[name]) or record[name] is None for record in found) for name in names}
    rows = [Row(_mark(record), [_cell(n, record[n], numeric[n]) for n in names]) for record in found[:MOST_ROWS]]
    notes = [f"The first {MOST_ROWS} of {len(found)} runs: cpd export has all."] if len(found) > MOST_ROWS else []
    return Table("all runs", [Cell(name, numeric[name]) for name in names], rows, notes)


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
