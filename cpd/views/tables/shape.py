"""What of a table is shown, and in which order: decided here for every printer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from cpd.errors import CpdError
from cpd.views.tables.column_names import called, named
from cpd.views.tables.section import ALWAYS, Column, Section, Value

Only = Literal["feasible", "useful", "failed"]
"""Which settings are shown: ``failed`` are those of which some run came to no result."""

MOST, LEAST = 30, 5
"""Rows of a method that a terminal shows by default; where it is too low for those, no fewer than these."""

ALL = 0
"""Of a method, all rows."""

KKT = "kkt"
"""Columns that are added to the others where nothing else is asked for."""

NOTE = "note"

NONE: dict[Only, str] = {"feasible": "is feasible", "useful": "is useful", "failed": "failed"}
"""What is said of rows where none is shown."""


class Order(NamedTuple):
    """A column by which rows are sorted; numbers before words, what is missing last."""

    column: str
    falling: bool = False

    def __str__(self) -> str:
        """As it is typed."""
        return f"{'-' if self.falling else ''}{self.column}"


@dataclass(frozen=True)
class Shape:
    """How a reader wants a document's table of runs, or of iterations; the summary and the verdict are of all of it.

    Attributes:
        sort: By which columns, within a method; default: the order of the grid.
        top: How many rows of a method; :data:`ALL` for all. Default: what the printer finds readable.
        columns: Which columns, by name; ``kkt`` alone adds its own to the others. Default: what the width has room for.
        only: Which settings.
        wide: All columns, however wide the terminal is.
        constraints: Of which constraints a list is shown in place of the runs; names, patterns, or ``all``.
        narrow: Whether what needs many columns stands in one; the printer says so.
    """

    sort: tuple[Order, ...] = ()
    top: int | None = None
    columns: tuple[str, ...] = ()
    only: Only | None = None
    wide: bool = False
    narrow: bool = False
    constraints: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether rows and columns are those that nobody asked otherwise for."""
        return self == Shape(wide=self.wide, narrow=self.narrow)

    @property
    def folds(self) -> bool:
        """Whether many constraints stand in one column."""
        return self.narrow and not self.wide


DEFAULT = Shape()


def shaped(section: Section, shape: Shape) -> Section:
    """A table with the rows and columns that are asked for, its footnotes numbered.

    Args:
        section: All of it, with the facts of each row.
        shape: What is asked for.

    Raises:
        CpdError: No column is called so, or several are.
    """
    kept = _kept(section, shape.only)
    places = _ordered(section, kept, shape)
    found = replace(picked(section, places), shown=_words(section, len(kept), len(places), shape))
    return _with_notes(replace(found, columns=_columns(found, shape.columns)), shape)


def picked(section: Section, places: Sequence[int]) -> Section:
    """Some rows of a table, in this order."""

    def of(texts: Sequence[Any]) -> list[Any]:
        return [texts[k] for k in places] if texts else []

    def column(whole: Column) -> Column:
        return replace(whole, cells=of(whole.cells), values=of(whole.values))

    return replace(
        section,
        columns=list(map(column, section.columns)),
        further=list(map(column, section.further)),
        marks=of(section.marks),
        groups=of(section.groups),
        facts=of(section.facts),
    )


def group_sizes(section: Section, shape: Shape) -> list[int]:
    """How many rows of each method are wanted, whatever their number."""
    return list(map(len, _groups(section, _kept(section, shape.only))))


def _kept(section: Section, only: Only | None) -> list[int]:
    """The places of the rows that are wanted."""
    if only is None:
        return list(range(section.height))
    if only == "useful" and section.facts and all(facts.useful is None for facts in section.facts):
        raise CpdError("a search calls no training useful", place="--only", hint="valid: feasible, failed")
    return [k for k, facts in enumerate(section.facts) if getattr(facts, only)]


def _ordered(section: Section, places: Sequence[int], shape: Shape) -> list[int]:
    """The rows in order, of each method at most so many: the first ones, or the best where no order is asked for."""
    top = shape.top or ALL
    if not top and not shape.sort:
        return list(places)
    found: list[int] = []
    for group in _groups(section, places):
        rows = _sorted(section, group, shape.sort)
        if top and not shape.sort and len(rows) > top:
            rows = sorted(rows, key=lambda k: section.facts[k].rank)
        found += rows[:top] if top else rows
    return found


def _words(section: Section, kept: int, shown: int, shape: Shape) -> str:
    """Which rows are shown, where not all are, and how to see the others."""
    if shape.only and not kept:
        return f"none of the {section.height:,} rows {NONE[shape.only]}"
    said = [f"{shape.only} only, {kept:,} of {section.height:,} rows"] if shape.only else []
    if shown < kept:
        first = "the worst first" if shape.constraints else "the best first"
        how = f"by {','.join(map(str, shape.sort))}" if shape.sort else first
        each = f"at most {shape.top} of each method, " if section.groups else ""
        of = f"{shown:,} of them" if shape.only else f"{shown:,} of {kept:,} rows"
        said.append(f"{of}, {each}{how} (--top all has all)")
    return "; ".join(said)


def _groups(section: Section, places: Iterable[int]) -> list[list[int]]:
    """The rows of each method."""
    groups: dict[str, list[int]] = {}
    for k in places:
        groups.setdefault(section.groups[k] if section.groups else "", []).append(k)
    return list(groups.values())


def _sorted(section: Section, places: Sequence[int], orders: Sequence[Order]) -> list[int]:
    rows = list(places)
    for order in reversed(orders):
        column = named(section.columns, section.further, order.column, "--sort")
        values: Sequence[Value] = column.values or column.cells
        missing = [k for k in rows if values[k] is None]
        known = [k for k in rows if values[k] is not None]
        rows = [*sorted(known, key=lambda k: _key(values[k]), reverse=order.falling), *missing]
    return rows


def _key(value: Any) -> tuple[Any, ...]:
    """Numbers before words before several of them."""
    if isinstance(value, tuple | list):
        return (2, *map(_key, value))
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def _columns(section: Section, names: Sequence[str]) -> Sequence[Column]:
    """The columns that are asked for, after those that tell the rows apart where these are not named themselves."""
    own = [column for column in section.further if KKT in column.names]
    if set(names) <= {KKT}:
        return [*section.columns, *own] if names else section.columns
    chosen: list[Column] = []
    for name in names:
        if name == NOTE:
            continue
        chosen += own if name == KKT else [named(section.columns, section.further, name, "--columns")]
    seen = {id(column): column for column in chosen}  # by identity: two columns may hold the same
    first = [c for c in section.columns if called(c) in section.named and id(c) not in seen]
    return [*first, *(replace(column, rank=ALWAYS) for column in seen.values())]


def _with_notes(section: Section, shape: Shape) -> Section:
    """The table with a column of marks and the footnotes, where there are some and other columns are not asked for."""
    if not section.facts or (set(shape.columns) - {KKT, NOTE} and NOTE not in shape.columns):
        return section
    notes, markers = numbered([facts.notes for facts in section.facts])
    column = [Column((NOTE,), markers, right=False)] if notes else []
    return replace(section, columns=[*section.columns, *column], notes=[*notes, *section.notes])


def numbered(notes_of: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Footnotes, each said once, and the numbers of those that concern each row."""
    notes: dict[str, int] = {}
    markers = [
        ",".join(f"[{notes.setdefault(note, len(notes) + 1)}]" for note in dict.fromkeys(own)) for own in notes_of
    ]
    return [f"[{k}] {note}" for note, k in notes.items()], markers
