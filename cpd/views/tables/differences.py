"""What two sweeps differ in, as a table of three columns whose words are folded to the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len

from cpd.views.printable import one_line
from cpd.views.tables.section import Column, Section
from cpd.views.tables.terminal import GAP

MOST, LEAST = 48, 8
"""Letters of a column, however wide or narrow the terminal."""

Row = tuple[str, str, str, str]
"""A part, what differs, and how it is in both."""


def differences_section(rows: Sequence[Row], width: int, *, fold: bool = True) -> Section:
    """Lay differences out.

    Args:
        rows: In order; those of a part are together.
        width: Letters of a line.
        fold: Whether to fold long words over several lines.
    """
    texts = [[one_line(text) for text in row[1:]] for row in rows]
    widths = _widths(texts, width)
    cells: list[list[str]] = [[], [], []]
    groups: list[str] = []
    for row, own in zip(rows, texts, strict=True):
        parts = [_folded(text, room) if fold else [text] for text, room in zip(own, widths, strict=True)]
        height = max(map(len, parts))
        groups += [row[0]] * height
        for column, part in zip(cells, parts, strict=True):
            column += [*part, *[""] * (height - len(part))]
    headers = ("", "A", "B")
    columns = [Column((header,), own, right=False) for header, own in zip(headers, cells, strict=True)]
    return Section("differences", columns, groups=groups)


def _widths(texts: Sequence[Sequence[str]], width: int) -> list[int]:
    """How wide each column may be: the narrow ones as they need it, the rest in equal shares."""
    wanted = [min(MOST, max([1, *map(cell_len, column)])) for column in zip(*texts, strict=True)]
    room, left = width - 2 * GAP, len(wanted)
    given = [0] * len(wanted)
    for k in sorted(range(len(wanted)), key=lambda k: wanted[k]):
        given[k] = max(LEAST, min(wanted[k], room // left))
        room, left = room - given[k], left - 1
    return given


def _folded(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]
