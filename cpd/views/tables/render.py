"""Documents as text: one producer of rows, five printers. Rows in, text out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TextIO

from rich.console import Console

from cpd.verdict.document import Document, Plain, is_number
from cpd.views.printable import one_line
from cpd.views.tables.constraint_list import constraints_section
from cpd.views.tables.headline import MOST_NAMED, subtitle, title, verdict_sentence, verdict_sentences
from cpd.views.tables.markup import escape_latex, escape_markdown, latex, markdown
from cpd.views.tables.names import readable
from cpd.views.tables.numbers import setting_value
from cpd.views.tables.pager import page
from cpd.views.tables.records import records, to_csv, to_frame
from cpd.views.tables.runs import whole_section
from cpd.views.tables.screen import shortened
from cpd.views.tables.search import IterationPrinter, notes_of_iterations, whole_search
from cpd.views.tables.section import Column, Section
from cpd.views.tables.shape import DEFAULT, LEAST, MOST, Shape, group_sizes, shaped
from cpd.views.tables.summary import summary_section
from cpd.views.tables.terminal import UNLIMITED, console_on, on_terminal, print_line, print_section, print_wrapped
from cpd.views.tables.transfer import transfer_section

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

HINT = " (--wide has all)"


def show(
    document: Document,
    form: str,
    stream: TextIO,
    *,
    shape: Shape = DEFAULT,
    iterations_shown: bool = False,
    paged: bool = False,
) -> None:
    """Print a document to a stream, see :func:`render`; where that is a terminal, by way of a pager if it is long."""
    console = console_on(stream)
    if not (paged and form == "table" and on_terminal(stream)):
        render(document, form, console, shape=shape, iterations_shown=iterations_shown)
        return
    with console.capture() as captured:
        render(document, form, console, shape=shape, iterations_shown=iterations_shown)
    page(captured.get(), stream, console.size, sideways=shape.wide)


def render(
    document: Document, form: str, console: Console, *, shape: Shape = DEFAULT, iterations_shown: bool = False
) -> None:
    """Print a document: a table to read in the console's width, or data.

    Args:
        document: Contract 3's object.
        form: One of :data:`FORMATS`.
        console: Its width, colours and encoding decide how a table looks; data formats ignore them.
        shape: Which rows and columns are shown, of formats that are read; ``json`` and ``csv`` have all.
        iterations_shown: Whether the iterations of a search were already printed one by one: a table leaves them out.

    Raises:
        CpdError: The shape names a column that is not there.
    """
    if form == "table":
        _print_document(readable(document), console, shape, iterations_shown)
    else:
        _write(text(document, form, shape), console)


def text(document: Document, form: str, shape: Shape = DEFAULT) -> str:
    """A document in a data format: ``json`` and ``csv`` in full precision, ``markdown`` and ``latex`` for reading."""
    if form == "json":
        return json.dumps(document, allow_nan=False, indent=2) + "\n"
    if form == "csv":
        return to_csv(records(document))
    document = readable(document)
    above, tables = [title(document), subtitle(document)], sections(document, shape)
    return _marked_up(form, above, tables, verdict_sentence(document))


def sections(document: Document, shape: Shape = DEFAULT) -> list[Section]:
    """The tables of a document: its runs and their summary, or the iterations of its search."""
    summary = summary_section(document, shape.folds) if "search" not in document else None
    main = main_section(document, shape)
    found = [None if main is None else shaped(main, shape), summary, transfer_section(document)]
    return [section for section in found if section is not None]


def main_section(document: Document, shape: Shape = DEFAULT) -> Section | None:
    """The iterations of a search, or the runs, or the constraints, not yet shaped; None where there are none."""
    if shape.constraints:
        return constraints_section(document, shape.constraints)
    if "search" in document:
        return whole_search(document) if document["search"]["iterations"] else None
    return whole_section(document, shape) if document["runs"] else None


def print_rows(rows: Sequence[Mapping[str, Plain]], form: str, name: str, stream: TextIO | None = None) -> None:
    """Print any list of flat records in any format, e.g. the bundled tasks or the stored sweeps.

    Args:
        rows: All with the same keys.
        form: One of :data:`FORMATS`.
        name: Key of the list in JSON: ``{name: rows}``.
        stream: Default: stdout.
    """
    console = console_on(stream or sys.stdout)
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


def _print_document(document: Document, console: Console, shape: Shape, iterations_shown: bool) -> None:
    """Print all of it; of many rows as many as a terminal has room for, where nobody asked for a number of them."""
    shape = replace(shape, narrow=console.width < UNLIMITED)
    main = None if iterations_shown else main_section(document, shape)
    printed = partial(_print_tables, document, console, main, iterations_shown=iterations_shown)
    if shape.top is None and on_terminal(console.file):
        shape = replace(shape, top=_room(main, shape, console, printed))
    printed(shape)


def _room(main: Section | None, shape: Shape, console: Console, printed: Callable[[Shape], None]) -> int:
    """How many rows of a method make all of it fit on the screen, where some method has more than is readable."""
    if main is None:
        return MOST
    sizes = group_sizes(main, shape)
    top = MOST
    while max(sizes, default=0) > MOST and top > LEAST:
        with console.capture() as captured:
            printed(replace(shape, top=top))
        over = captured.get().count("\n") + 1 - console.size.height  # the prompt needs a line
        if over <= 0:
            break
        top = max(LEAST, top - math.ceil(over / sum(size > top for size in sizes)))
    return top


def _print_tables(
    document: Document, console: Console, main: Section | None, shape: Shape, *, iterations_shown: bool
) -> None:
    summary = summary_section(document, shape.folds) if "search" not in document else None
    found = (
        None if main is None else shaped(main, shape),
        summary and _summary(summary, shape),
        transfer_section(document),
    )
    if not iterations_shown:
        print_wrapped(title(document, MOST_NAMED if shape.narrow else None), console, "bold")
        print_wrapped(subtitle(document), console, "dim")
    elif notes := notes_of_iterations(document):
        print_line("", console)
        for note in notes:
            print_wrapped(note, console)
    for section in (section for section in found if section is not None):
        print_line("", console)
        print_section(section, console, HINT, shape.wide)
    print_line("", console)
    for sentence in verdict_sentences(document):
        print_wrapped(sentence, console, "bold")


def _summary(summary: Section, shape: Shape) -> Section:
    """A summary of very many levels, no longer than the table above it."""
    methods = len(set(summary.columns[0].cells))
    if not shape.top or summary.height <= MOST * methods:
        return summary
    return shortened(summary, shape.top * methods, hint=" (--top all has all)")


def _marked_up(form: str, above: Sequence[str], tables: Sequence[Section], below: str) -> str:
    escape, printer = (escape_latex, latex) if form == "latex" else (escape_markdown, markdown)
    parts = [
        *(escape(line) + "\n" for line in above),
        *map(printer, tables),
        *([escape(below) + "\n"] if below else []),
    ]
    return "\n".join(parts)


def _write(text: str, console: Console) -> None:
    """Write text as it is, in characters that the stream's encoding has."""
    console.file.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))
