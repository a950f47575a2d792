"""Several sweeps side by side: each setting of each of them in one table, like beside like."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cpd.verdict.document import Document, Plain
from cpd.views.printable import one_line
from cpd.views.tables.headline import title, verdict_sentences
from cpd.views.tables.lines import Line, lines, setting_text
from cpd.views.tables.names import readable
from cpd.views.tables.numbers import distinct
from cpd.views.tables.runs import whole_section
from cpd.views.tables.section import Column, Section


@dataclass(frozen=True)
class Shown:
    """One of the sweeps.

    Attributes:
        label: A letter, as the table has it.
        id: Of the sweep.
        document: Contract 3's object.
    """

    label: str
    id: str
    document: Document


@dataclass(frozen=True)
class _Row:
    """A line of one of the sweeps, and its place among the lines of that one."""

    sweep: int
    place: int
    line: Line


def shown(documents: Mapping[str, Document]) -> list[Shown]:
    """Sweeps by their ids, with a letter each: A, B ... Z, AA, AB ..."""
    pairs = enumerate(documents.items())
    return [Shown(_letter(number), sweep, readable(document)) for number, (sweep, document) in pairs]


def beside_section(sweeps: Sequence[Shown]) -> Section:
    """Lay the settings of several sweeps out in one table.

    Rows of one method are together, and in it those of one setting at the same levels, a row for each sweep that has
    it. What is best, feasible or useful is so within its own sweep.
    """
    own = [lines(sweep.document) for sweep in sweeps]
    tables = [whole_section(sweep.document) if sweep.document["runs"] else Section("runs", []) for sweep in sweeps]
    rows = _in_order(own)
    every = [row.line for row in rows]
    columns = [
        Column(("setting",), _settings(every), right=False),
        Column(("sweep",), [sweeps[row.sweep].label for row in rows], right=False),
        *_level_columns(every),
        *_outcomes([_outcome_columns(table) for table in tables], rows),
    ]
    methods = [one_line(line.method) for line in every]
    marks = [tables[row.sweep].marks[row.place] for row in rows]
    facts = [tables[row.sweep].facts[row.place] for row in rows]
    groups = methods if len(set(methods)) > 1 else []
    return Section("runs", columns, marks, groups, facts=facts, named=["setting", "sweep"])


def headings(sweeps: Sequence[Shown]) -> list[str]:
    """A line for each sweep: its letter, its id, what was asked."""
    return [f"{sweep.label}  {sweep.id}  {title(sweep.document)}" for sweep in sweeps]


def answers(sweeps: Sequence[Shown]) -> list[str]:
    """The verdict of each sweep."""
    return [f"{sweep.label}: {' '.join(verdict_sentences(sweep.document))}" for sweep in sweeps]


def _letter(number: int) -> str:
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)


def _in_order(own: Sequence[Sequence[Line]]) -> list[_Row]:
    """All lines: by method, then by setting, then by levels, each as they first appear, then by sweep."""
    rows = [_Row(sweep, place, line) for sweep, found in enumerate(own) for place, line in enumerate(found)]
    keys = [
        _places([row.line.method for row in rows]),
        _places([json.dumps(row.line.setting, sort_keys=True) for row in rows]),
        _places([json.dumps(row.line.levels, sort_keys=True) for row in rows]),
    ]
    order = sorted(range(len(rows)), key=lambda k: (*(places[k] for places in keys), rows[k].sweep))
    return [rows[k] for k in order]


def _places(texts: Sequence[str]) -> list[int]:
    """Where each text first appears."""
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    return [first[text] for text in texts]


def _settings(rows: Sequence[Line]) -> list[str]:
    """What tells each setting from the others of its method, in all sweeps."""
    by_method: dict[str, list[Line]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    varying = {method: _varying(found) for method, found in by_method.items()}
    return [setting_text({n: v for n, v in row.setting.items() if n in varying[row.method]}) for row in rows]


def _varying(rows: Sequence[Line]) -> set[str]:
    """The hyperparameters in which the settings of a method differ; all where they do not."""
    names = dict.fromkeys(name for row in rows for name in row.setting)
    found = {name for name in names if len({json.dumps(row.setting.get(name)) for row in rows}) > 1}
    return found or set(names)


def _level_columns(rows: Sequence[Line]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.levels)
    columns = []
    for name in names:
        levels: list[Plain] = [row.levels.get(name) for row in rows]
        if len({json.dumps(level) for level in levels if level is not None}) > 1:  # else the headings say it
            columns.append(Column((one_line(name), "level"), distinct(levels)))
    return columns


VERDICT = ("feasible",)


def _outcome_columns(table: Section) -> dict[tuple[str, ...], Column]:
    """The columns of what came of the rows, from the verdict on, by their headers."""
    verdict = [k for k, c in enumerate(table.columns) if c.header[0] == VERDICT[0] and not c.right]
    if not verdict:
        return {}
    first, *others = table.columns[verdict[0] :]
    own: dict[tuple[str, ...], Column] = {VERDICT: first}
    for column in others:
        own[(*column.header, "constraint") if column.header == VERDICT else column.header] = column
    return own


def _outcomes(found: Sequence[Mapping[tuple[str, ...], Column]], rows: Sequence[_Row]) -> Iterator[Column]:
    """Columns of what came of each row; one that a sweep has not is empty in its rows."""
    for header in dict.fromkeys(header for columns in found for header in columns):
        having = [columns[header] for columns in found if header in columns]
        own = [(found[row.sweep].get(header), row.place) for row in rows]
        cells = ["-" if column is None else column.cells[k] for column, k in own]
        values = [None if column is None else (column.values or column.cells)[k] for column, k in own]
        names = tuple(dict.fromkeys(name for column in having for name in column.names))
        rank = max(column.rank for column in having)
        answers = any(header in list(columns)[:2] for columns in found)  # the verdict, and the objective of each
        rank = rank if answers or len(having) == len(found) else max(1, rank)
        shown = max((column.header for column in having), key=len) if header == VERDICT else header
        yield Column(shown, cells, having[0].right, rank, names, values)
