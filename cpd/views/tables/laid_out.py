"""Tables that are laid out already, printed for reading: on a terminal, as Markdown or as LaTeX."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console

from cpd.views.printable import spelled_out
from cpd.views.tables.markup import escape_latex, escape_markdown, latex, markdown
from cpd.views.tables.section import Section
from cpd.views.tables.terminal import UNLIMITED, console_on, print_line, print_section, print_wrapped

HINT = " (--format json has all)"


def paper(wide: bool = False) -> Console:
    """Stdout, as wide as the terminal; without end where there is none, or everything is asked for."""
    return console_on(sys.stdout, UNLIMITED if wide else None)


def print_laid_out(
    tables: Sequence[Section], form: str, above: Sequence[str] = (), below: Sequence[str] = (), *, wide: bool = False
) -> None:
    """Print tables, with lines above and below them.

    Args:
        tables: Those without a row are left out, unless it is said why there is none.
        form: ``table``, ``markdown`` or ``latex``.
        above: Of the first one.
        below: Of the last one.
        wide: Whether to leave nothing out, however long the lines are.
    """
    tables = [table for table in tables if table.columns and (table.height or table.shown)]
    if form != "table":
        _write(_marked_up(tables, form, above, below))
        return
    console, lines = paper(wide), Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    for line in above:
        print_wrapped(line, lines, "bold")
    for number, table in enumerate(tables):
        if above or number:
            print_line("", console)
        print_section(table, console, HINT)
    if below:
        print_line("", console)
    for line in below:
        print_wrapped(line, lines)


def _marked_up(tables: Sequence[Section], form: str, above: Sequence[str], below: Sequence[str]) -> str:
    escape, printer = (escape_latex, latex) if form == "latex" else (escape_markdown, markdown)
    lines = [escape(line) + "\n" for line in above]
    return "\n".join([*lines, *map(printer, tables), *(escape(line) + "\n" for line in below)])


def _write(text: str) -> None:
    """Write text as it is, in characters that stdout has."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def print_lines(lines: Sequence[str]) -> None:
    """Print lines of text as they are, but for what a terminal would obey; an empty one above them."""
    if lines:
        _write("\n".join(["", *map(spelled_out, lines)]) + "\n")
