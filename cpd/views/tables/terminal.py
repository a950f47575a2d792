"""Tables on a terminal, coloured and fitted to its width; plain text where there is no terminal or no colour."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cpd.views.tables.section import ALWAYS, Column, Section

GAP = 2
DEVIATION = " ± "
HEADER_PARTS = re.compile(r"[^_. ]+(?: %$)?[_. ]*|[_. ]+")
STYLES = {"best": "bold green", "feasible": "green", "bad": "red"}
NARROWEST = 20
"""A last column of words is folded down to this width before it is left to run over."""


def print_section(section: Section, console: Console, hint: str = "") -> None:
    """Print a table in the console's width.

    Columns of high rank are left out where it is too narrow, and named below; numbers are never cut.

    Args:
        section: The table.
        console: Colours and line-drawing only where it is a terminal that wants colour.
        hint: Where to find what was left out.
    """
    columns, left_out = fit(section.columns, console.width)
    columns, origin = _fold_last(columns, console.width)
    print_header(columns, console)
    groups, marks = (list(texts) or [""] * len(section.columns[0].cells) for texts in (section.groups, section.marks))
    for line, k in enumerate(origin):
        if groups[k] and (line == 0 or groups[k] != groups[origin[line - 1]]):
            print_line(groups[k], console, "bold")
        print_line(joined(columns, [column.cells[line] for column in columns]), console, STYLES.get(marks[k], ""))
    if left_out:
        print_wrapped(f"left out at this width: {', '.join(left_out)}{hint}", console, "dim")
    for note in section.notes:
        print_wrapped(note, console)


def print_line(line: str, console: Console, style: str = "") -> None:
    """Print one line as it is: no markup, nothing cut or folded."""
    text = Text(writable(line, console).rstrip(), style=style if is_colourful(console) else "")
    console.print(text, soft_wrap=True, highlight=False)


def print_wrapped(text: str, console: Console, style: str = "") -> None:
    """Print a sentence folded at words, its further lines indented."""
    for line in textwrap.wrap(text, max(NARROWEST, console.width), subsequent_indent="    ", break_long_words=False):
        print_line(line, console, style)


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


def _fold_last(columns: Sequence[Column], width: int) -> tuple[list[Column], list[int]]:
    """Fold a last column of words that is too wide, over several lines.

    Returns:
        The columns with one cell per line, and the row that each line belongs to.
    """
    *others, last = columns
    room = max(NARROWEST, width - _total([*others, Column(("",), [""])]))
    folds = last.right is False and last.width > room
    parts = [textwrap.wrap(cell, room) or [""] if folds else [cell] for cell in last.cells]
    origin = [k for k, cell in enumerate(parts) for _ in cell]
    blanks = [[""] * (len(cell) - 1) for cell in parts]
    opened = [replace(c, cells=[t for k, cell in enumerate(c.cells) for t in [cell, *blanks[k]]]) for c in others]
    return [*opened, replace(last, cells=[part for cell in parts for part in cell])], origin


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
