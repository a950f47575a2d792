"""A table before it is printed: columns of finished text, the same for a terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from rich.cells import cell_len

ALWAYS = 0
"""Rank of a column that is never left out."""

LAST = -1
"""Rank of a column that is left out where nothing else makes the table fit, neither other columns nor folded words."""

Value = float | str | None | tuple[Any, ...]
"""What a row is sorted by: numbers before words, None last."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        header: One or two lines.
        cells: One text per row.
        right: Whether it is aligned to the right, as numbers are.
        rank: :data:`ALWAYS`, or how soon it is left out where the terminal is narrow: the highest goes first.
        names: What else it may be called where a column is asked for by name.
        values: What rows are sorted by, one per row; default: the cells.
    """

    header: tuple[str, ...]
    cells: Sequence[str]
    right: bool = True
    rank: int = ALWAYS
    names: tuple[str, ...] = ()
    values: Sequence[Value] = ()

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
class Facts:
    """What is known of a row besides its cells.

    Attributes:
        feasible: Whether its setting is.
        useful: Whether its setting is; None where nothing is said of that.
        failed: Whether some run of it came to no result.
        rank: The best row has the lowest.
        notes: Its footnotes.
    """

    feasible: bool = False
    useful: bool | None = None
    failed: bool = False
    rank: tuple[float, ...] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """One table with what is said above and below it.

    Attributes:
        name: What the table is called.
        columns: In order of reading.
        marks: Of each row: ``best``, ``feasible``, ``bad`` (diverged or failed) or empty.
        groups: The method of each row where there are several, else empty.
        notes: Footnotes.
        facts: Of each row; empty where its rows are shown as they are.
        further: Columns that are shown where they are asked for by name alone.
        named: Columns that come first whatever is asked for: what tells the rows apart.
        folded: What stands in one column instead of many, in words; empty where nothing does.
        shown: Which rows are shown, in words; empty where all are, in the order of the grid.
    """

    name: str
    columns: Sequence[Column]
    marks: Sequence[str] = ()
    groups: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    facts: Sequence[Facts] = ()
    further: Sequence[Column] = ()
    named: Sequence[str] = ()
    folded: str = ""
    shown: str = ""

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self.columns[0].cells) if self.columns else 0

    @property
    def flat(self) -> Sequence[Column]:
        """The columns with the method of each row as the first, for formats without group headings."""
        method = [Column(("method",), list(self.groups), right=False)] if self.groups else []
        return [*method, *self.columns]
