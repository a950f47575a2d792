"""Documents as text: one producer of rows, five printers. Rows in, text out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console

from cpd.verdict.document import Document, Plain, is_number
from cpd.views.printable import one_line
from cpd.views.tables.headline import subtitle, title, verdict_sentence, verdict_sentences
from cpd.views.tables.markup import escape_latex, escape_markdown, latex, markdown
from cpd.views.tables.names import readable
from cpd.views.tables.numbers import setting_value
from cpd.views.tables.records import records, to_csv, to_frame
from cpd.views.tables.runs import runs_section
from cpd.views.tables.search import IterationPrinter, search_section
from cpd.views.tables.section import Column, Section
from cpd.views.tables.summary import summary_section
from cpd.views.tables.terminal import print_line, print_section, print_wrapped

__all__ = [
    "FORMATS",
    "IterationPrinter",
    "print_rows",
    "records",
    "render",
    "show",
    "text",
    "title",
    "to_frame",
    "verdict_sentence",
]

FORMATS = ("table", "json", "csv", "markdown", "latex")

HINT = " (--format json has all)"


def show(
    document: Document, form: str, stream: TextIO, *, iterations_shown: bool = False, further: Sequence[str] = ()
) -> None:
    """Print a document to a stream; see :func:`render`."""
    render(document, form, _console(stream), iterations_shown=iterations_shown, further=further)


def render(
    document: Document, form: str, console: Console, *, iterations_shown: bool = False, further: Sequence[str] = ()
) -> None:
    """Print a document: a table to read in the console's width, or data.

    Args:
        document: Contract 3's object.
        form: One of :data:`FORMATS`.
        console: Its width, colours and encoding decide how a table looks; data formats ignore them.
        iterations_shown: Whether the iterations of a search were already printed one by one: a table leaves them out.
        further: Columns that are asked for by name: :data:`cpd.views.tables.certificates.FURTHER`.
    """
    if form == "table":
        _print_tables(readable(document), console, iterations_shown, further)
    else:
        _write(text(document, form, further), console)


def text(document: Document, form: str, further: Sequence[str] = ()) -> str:
    """A document in a data format: ``json`` and ``csv`` in full precision, ``markdown`` and ``latex`` for reading."""
    if form == "json":
        return json.dumps(document, allow_nan=False, indent=2) + "\n"
    if form == "csv":
        return to_csv(records(document))
    document = readable(document)
    above, tables = [title(document), subtitle(document)], sections(document, further)
    return _marked_up(form, above, tables, verdict_sentence(document))


def sections(document: Document, further: Sequence[str] = ()) -> list[Section]:
    """The tables of a document: its runs and their summary, or the iterations of its search."""
    if "search" in document:
        return [search_section(document)] if document["search"]["iterations"] else []
    found = [runs_section(document, further) if document["runs"] else None, summary_section(document)]
    return [section for section in found if section is not None]


def print_rows(rows: Sequence[Mapping[str, Plain]], form: str, name: str, stream: TextIO | None = None) -> None:
    """Print any list of flat records in any format, e.g. the bundled tasks or the stored sweeps.

    Args:
        rows: All with the same keys.
        form: One of :data:`FORMATS`.
        name: Key of the list in JSON: ``{name: rows}``.
        stream: Default: stdout.
    """
    console = _console(stream or sys.stdout)
    if form == "json":
        _write(json.dumps({name: list(rows)}, allow_nan=False, indent=2) + "\n", console)
    elif form == "csv":
        _write(to_csv([dict(row) for row in rows]), console)
    elif rows and form == "table":
        print_section(_section_of(rows, name), console)
    elif rows:
        _write(_marked_up(form, [], [_section_of(rows, name)], ""), console)


def _section_of(rows: Sequence[Mapping[str, Plain]], name: str) -> Section:
    columns = []
    for key in rows[0]:
        values = [row.get(key) for row in rows]
        numeric = all(v is None or is_number(v) for v in values)
        columns.append(Column((one_line(key),), [one_line(setting_value(v)) for v in values], right=numeric))
    return Section(name, columns)


def _print_tables(document: Document, console: Console, iterations_shown: bool, further: Sequence[str]) -> None:
    if not iterations_shown:
        print_wrapped(title(document), console, "bold")
        print_wrapped(subtitle(document), console, "dim")
    for section in sections(document, further):
        if not (iterations_shown and section.name == "iterations"):
            print_line("", console)
            print_section(section, console, HINT)
        elif section.notes:
            print_line("", console)
            for note in section.notes:
                print_wrapped(note, console)
    print_line("", console)
    for sentence in verdict_sentences(document):
        print_wrapped(sentence, console, "bold")


def _marked_up(form: str, above: Sequence[str], tables: Sequence[Section], below: str) -> str:
    escape, printer = (escape_latex, latex) if form == "latex" else (escape_markdown, markdown)
    parts = [
        *(escape(line) + "\n" for line in above),
        *map(printer, tables),
        *([escape(below) + "\n"] if below else []),
    ]
    return "\n".join(parts)


def _console(stream: TextIO) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _write(text: str, console: Console) -> None:
    """Write text as it is, in characters that the stream's encoding has."""
    console.file.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))
