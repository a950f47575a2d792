"""Tables as HTML that sorts and filters: every text escaped, every number with its full value beside it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from cpd.views.tables.lines import error_line
from cpd.views.tables.numbers import measured, setting_value
from cpd.views.tables.records import records
from cpd.views.tables.section import Section

MOST_ROWS = 5000
"""Rows of the table of all runs: a page of more opens slowly."""


def section_table(section: Section, name: str) -> str:
    """A finished table of :mod:`cpd.tables`, called by a name, with its notes below."""
    columns = section.flat
    marks = list(section.marks) or [""] * len(columns[0].cells)
    heads = [(column.name, column.right) for column in columns]
    rows = []
    for k, mark in enumerate(marks):
        rows.append((mark, [_cell(column.cells[k], column.right) for column in columns]))
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in section.notes)
    return sortable(name.lower(), heads, rows) + notes


def runs_table(document: Mapping[str, Any]) -> str:
    """Every run, all its numbers; columns without any value are left out."""
    rows = records(document)
    names = [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]
    numeric = {name for name in names if all(_is_number(row[name]) or row[name] is None for row in rows)}
    body = [(_mark(row), [_value_cell(name, row[name], name in numeric) for name in names]) for row in rows[:MOST_ROWS]]
    left_out = len(rows) - len(body)
    note = f'<p class="note">The first {MOST_ROWS} of {len(rows)} runs: cpd export has all.</p>' if left_out else ""
    return sortable("all runs", [(name, name in numeric) for name in names], body) + note


def sortable(name: str, heads: Sequence[tuple[str, bool]], rows: Sequence[tuple[str, list[str]]]) -> str:
    """A table with a button in every header and a filter above.

    Args:
        name: What it is called.
        heads: Text of each header, and whether the column holds numbers.
        rows: A class for each row, and its cells as HTML.
    """
    headers = "".join(
        f'<th scope="col" aria-sort="none"{_number_class(right)}>'
        f'<button type="button">{html.escape(text)}</button></th>'
        for text, right in heads
    )
    body = "\n".join(f"<tr{_class(mark)}>{''.join(cells)}</tr>" for mark, cells in rows)
    label = html.escape(name)
    return (
        f'<div class="sortable"><div class="tools"><label>Filter {label}: <input type="search" autocomplete="off" '
        f'placeholder="rows with all these words"></label><output aria-live="polite"></output></div>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{headers}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div></div>"
    )


def pairs_table(pairs: Mapping[str, Any]) -> str:
    """Names and values below each other."""
    rows = "".join(
        f'<tr class="head"><th scope="row">{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>'
        for name, value in pairs.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _mark(row: Mapping[str, Any]) -> str:
    return "bad" if row["status"] != "completed" else "feasible" if row["feasible"] else ""


def _value_cell(name: str, value: Any, numeric: bool) -> str:
    if numeric and value is not None:
        return (
            f'<td class="number" data-value="{value!r}">{measured(value, 6)}</td>'
            if isinstance(value, float)
            else (f'<td class="number">{value}</td>')
        )
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    text = error_line(value) if name == "error" and value else setting_value(value, 6)
    return _cell(text, numeric)


def _cell(text: str, number: bool) -> str:
    return f"<td{_number_class(number)}>{html.escape(text)}</td>"


def _number_class(number: bool) -> str:
    return ' class="number"' if number else ""


def _class(mark: str) -> str:
    return f' class="{mark}"' if mark else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
