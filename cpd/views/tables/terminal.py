"""Tables on a terminal, coloured and fitted to its width; plain text where there is no terminal or no colour."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import IO, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cpd.views.tables.section import ALWAYS, LAST, Column, Section

GAP = 2
DEVIATION = " ± "
HEADER_PARTS = re.compile(r"[^_. ]+(?: %$)?[_. ]*|[_. ]+")
STYLES = {"best": "bold green", "feasible": "green", "bad": "red"}
NARROWEST = 20
"""A last column of words is folded down to this width before it is left to run over."""
NARROW = 4
"""Likewise any other one."""
SEPARATOR = re.compile(r"(?<=\]),(?=\[)")
"""Between footnotes."""


UNLIMITED = 1_000_000
"""Width of what is not shown on a terminal: nothing is left out or folded."""

MOST_LINES = 3
"""Lines that name what was left out."""


def console_on(stream: TextIO, width: int | None = None) -> Console:
    """Where text goes: as wide as the terminal, or as ``COLUMNS`` says; a file or a pipe has room for everything.

    Args:
        stream: Where to.
        width: Instead of its own.
    """
    if width is None and not on_terminal(stream) and not os.environ.get("COLUMNS", "").isdecimal():
        width = UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def on_terminal(stream: IO[str]) -> bool:
    """Whether somebody looks at it as it is written; colours may be forced on elsewhere too."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def left_out_line(names: Sequence[str], width: int, hint: str = "") -> str:
    """Say which columns are missing: of very many, the first ones and how many more."""
    named = list(names)
    while len(named) > 1 and len(_left_out(named, len(names), hint)) > MOST_LINES * width:
        named.pop()
    return _left_out(named, len(names), hint)


def _left_out(named: Sequence[str], of: int, hint: str) -> str:
    more = f" and {of - len(named):,} more" if of > len(named) else ""
    return f"left out at this width: {', '.join(named)}{more}{hint}"


def print_section(section: Section, console: Console, hint: str = "", wide: bool = False) -> None:
    """Print a table in the console's width.

    Columns of high rank are left out where it is too narrow, and named below; numbers are never cut.

    Args:
        section: The table.
        console: Colours and line-drawing only where it is a terminal that wants colour.
        hint: Where to find what was left out.
        wide: Whether the table has all columns instead, wider than the console if need be.
    """
    width = UNLIMITED if wide else console.width
    columns, origin, left_out = _fitted(section.columns, width)
    if section.height:
        print_header(columns, console)
    groups, marks = (list(texts) or [""] * len(section.columns[0].cells) for texts in (section.groups, section.marks))
    for line, k in enumerate(origin):
        if groups[k] and (line == 0 or groups[k] != groups[origin[line - 1]]):
            print_line(groups[k], console, "bold")
        print_line(joined(columns, [column.cells[line] for column in columns]), console, STYLES.get(marks[k], ""))
    if section.shown:
        print_wrapped(section.shown, console, "dim")
    left_out = [*([section.folded] if section.folded else []), *left_out] if section.height else []
    if left_out:
        print_wrapped(left_out_line(left_out, console.width, hint), console, "dim")
    for note in section.notes:
        print_wrapped(note, console)


def print_line(line: str, console: Console, style: str = "") -> None:
    """Print one line as it is: no markup, nothing cut or folded."""
    text = Text(writable(line, console).rstrip(), style=style if is_colourful(console) else "")
    console.print(text, soft_wrap=True, highlight=False)


FILLER = "\0"
"""Stands for the second cell of a letter that takes two while a sentence is folded."""


def print_wrapped(text: str, console: Console, style: str = "") -> None:
    """Print a sentence folded at words, its further lines indented."""
    wrapper = textwrap.TextWrapper(
        max(NARROWEST, console.width), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    measured = "".join(letter + FILLER * (cell_len(letter) - 1) for letter in text)
    for line in wrapper.wrap(measured):
        print_line(line.replace(FILLER, ""), console, style)


def fit(columns: Sequence[Column], width: int, fold: bool = True) -> tuple[list[Column], list[str]]:
    """Fold long headers, then leave out columns, highest rank and rightmost first, then deviations, until all fits.

    Returns:
        The columns shown, and the names of what was left out in order of reading.
    """
    if _total(columns) <= width:
        return list(columns), []
    folded = [_with_folded_header(column) if fold else column for column in columns]
    kept = list(range(len(columns)))
    while _total(folded[k] for k in kept) > width and any(columns[k].rank > ALWAYS for k in kept):
        kept.remove(max(kept, key=lambda k: (columns[k].rank, k)))
    shown = [folded[k] for k in kept]
    names = [column.name for k, column in enumerate(columns) if k not in kept]
    if _total(shown) > width and any(DEVIATION in cell for column in shown for cell in column.cells):
        shown = [replace(c, cells=[cell.partition(DEVIATION)[0] for cell in c.cells]) for c in shown]
        names.append("standard deviations")
    return shown, names


def _fitted(columns: Sequence[Column], width: int) -> tuple[list[Column], list[int], list[str]]:
    """Columns that fit, their words folded: with one cell per line, the row of each line, and what was left out."""
    fitting, left_out = fit(columns, width)
    folded, origin = _fold_words(fitting, width)
    kept = [column for column in columns if column.rank != LAST]
    if _total(folded) <= width or len(kept) == len(columns):
        return folded, origin, left_out
    fitting, others = fit(kept, width)
    return *_fold_words(fitting, width), [*(c.name for c in columns if c.rank == LAST), *others]


def is_colourful(console: Console) -> bool:
    """Whether the console is a terminal that wants colour."""
    return console.is_terminal and not console.no_color


def writable(text: str, console: Console) -> str:
    """Text in characters that the console's encoding has."""
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        text = text.replace("±", "+-").encode(console.encoding, "backslashreplace").decode(console.encoding)
    return text


def print_header(columns: Sequence[Column], console: Console) -> None:
    """Print the headers, one or more lines, and a rule below them."""
    height = max(len(column.header) for column in columns)
    for line in range(height):
        words = [([""] * (height - len(c.header)) + list(c.header))[line] for c in columns]
        print_line(joined(columns, words), console, "bold")
    drawn = is_colourful(console) and "utf" in console.encoding.lower()
    rule = [("─" if drawn else "-") * column.width for column in columns]
    print_line(joined(columns, rule), console)


def _fold_words(columns: Sequence[Column], width: int) -> tuple[list[Column], list[int]]:
    """Fold columns of words over several lines where all is too wide, the last one first and then the widest.

    Returns:
        The columns with one cell per line, and the row that each line belongs to.
    """
    parts = [[[cell] for cell in column.cells] for column in columns]
    widths = [column.width for column in columns]
    last = len(columns) - 1
    for k in sorted(range(len(columns)), key=lambda k: (k != last, -widths[k])):
        over = sum(widths) + GAP * last - width
        least = NARROWEST if k == last and len(columns[k].header) == 1 and " " in "".join(columns[k].cells) else NARROW
        room = max(least, widths[k] - over, *map(cell_len, columns[k].header))
        if over > 0 and not columns[k].right and room < widths[k]:
            parts[k] = [
                textwrap.wrap(SEPARATOR.sub(", ", cell), room, break_long_words=False) or [""]
                for cell in columns[k].cells
            ]
            widths[k] = max(room, *(cell_len(part) for cell in parts[k] for part in cell))
    rows = list(zip(*parts, strict=True))
    heights = [max(map(len, row)) for row in rows]
    origin = [k for k, height in enumerate(heights) for _ in range(height)]
    folded = [
        replace(c, cells=[t for cell, height in zip(own, heights, strict=True) for t in _filled(cell, height)])
        for c, own in zip(columns, parts, strict=True)
    ]
    return folded, origin


def _filled(cell: Sequence[str], height: int) -> list[str]:
    return [*cell, *[""] * (height - len(cell))]


def joined(columns: Sequence[Column], texts: Sequence[str]) -> str:
    """One line of a table: each text padded to its column."""
    padded = []
    for column, text in zip(columns, texts, strict=True):
        space = " " * (column.width - cell_len(text))
        padded.append(space + text if column.right else text + space)
    return (" " * GAP).join(padded)


def _with_folded_header(column: Column) -> Column:
    """Break header lines wider than the cells at underscores, dots and spaces."""
    room = max([len("feasible"), *map(cell_len, column.cells)])
    lines: list[str] = []
    for line in column.header:
        folded: list[str] = []
        for part in HEADER_PARTS.findall(line):
            fits = bool(folded) and cell_len((folded[-1] + part).rstrip()) <= room
            folded = [*folded[:-1], folded[-1] + part] if fits else [*folded, part]
        lines += (part.rstrip() for part in folded)
    return replace(column, header=tuple(lines))


def _total(columns: Iterable[Column]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + GAP * (len(widths) - 1)
