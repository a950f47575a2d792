"""A table before it is printed: columns of finished text, the same for a terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from rich.cells import cell_len

ALWAYS = 0
"""Rank of a column that is never left out."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        header: One or two lines.
        cells: One text per row.
        right: Whether it is aligned to the right, as numbers are.
        rank: :data:`ALWAYS`, or how soon it is left out where the terminal is narrow: the highest goes first.
    """

    header: tuple[str, ...]
    cells: Sequence[str]
    right: bool = True
    rank: int = ALWAYS

    @property
    def name(self) -> str:
        """The header on one line."""
        return " ".join(self.header)

    @cached_property
    def width(self) -> int:
        """Characters that the widest of header and cells takes on a terminal."""
        return max(cell_len(text) for text in [*self.header, *self.cells])


def told_apart(columns: Sequence[tuple[str, Column]]) -> list[Column]:
    """Columns of which no two are called the same: those that would be say what they are, too.

    Args:
        columns: Each with its kind, e.g. ``metric``; empty for one whose header is no user's word.
    """
    names = [column.name.removesuffix(" %") for _, column in columns]
    return [
        replace(column, header=(*column.header, kind)) if kind and names.count(name) > 1 else column
        for name, (kind, column) in zip(names, columns, strict=True)
    ]


@dataclass(frozen=True)
class Section:
    """One table with what is said above and below it.

    Attributes:
        name: What the table is called.
        columns: In order of reading.
        marks: Of each row: ``best``, ``feasible``, ``bad`` (diverged or failed) or empty.
        groups: The method of each row where there are several, else empty.
        notes: Footnotes.
    """

    name: str
    columns: Sequence[Column]
    marks: Sequence[str] = ()
    groups: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def flat(self) -> Sequence[Column]:
        """The columns with the method of each row as the first, for formats without group headings."""
        method = [Column(("method",), list(self.groups), right=False)] if self.groups else []
        return [*method, *self.columns]
