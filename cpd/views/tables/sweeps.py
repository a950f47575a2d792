"""The list of sweeps, a line for each, fitted to a terminal of any width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from cpd.views.tables.section import ALWAYS, Column, Section
from cpd.views.tables.terminal import GAP

LEAST = 6
"""Letters to which a column of words is cut where there is no other way."""

MOST = 32
"""Letters of a column of words that is not the last one."""

EXTRA = 4
"""The rank from which on columns are not needed: words are cut short before a column of a lower one is left out."""


@dataclass(frozen=True)
class SweepLine:
    """A sweep, each part as it is shown.

    Attributes:
        id: Whole: it is what other commands are given.
        age: Since it began.
        runs: How many, or how many of them are done.
        feasible: Settings, of all.
        best: The objective of the best setting.
        objective: What that is called.
        setting: The best one.
        state: What is out of the ordinary.
        models: The size of those that are kept.
        mark: As :class:`~cpd.views.tables.section.Section` has them.
    """

    id: str
    age: str
    command: str
    task: str
    runs: str
    feasible: str
    best: str
    objective: str
    setting: str
    state: str
    tags: str
    note: str
    models: str
    started: str
    ended: str
    took: str
    mark: str = ""


def sweeps_section(lines: Sequence[SweepLine], width: int | None = None, encoding: str = "utf-8") -> Section:
    """Lay out the list.

    Args:
        lines: At least one.
        width: Of the terminal; None for everything, with full times.
        encoding: Of the characters that it has.
    """
    columns = _columns(lines) if width is not None else _wide(lines)
    if width is not None:
        dots = "…" if "utf" in encoding.lower() else ".."
        whole, columns = columns, fitted(columns, width, dots)
        if columns[1:] and whole[COMMAND].column.width > columns[COMMAND].column.width:
            # The task says more than what was done with it.
            whole[COMMAND] = words_column("task", [line.task for line in lines], ALWAYS)
            columns = fitted(whole, width, dots)
    return Section("sweeps", [column.column for column in columns], [line.mark for line in lines])


@dataclass(frozen=True)
class Flexible:
    """A column, and how far its words may be cut.

    Attributes:
        least: Down to so many letters where there is no other way; None where not at all.
        readable: Below so many letters a column that is not needed is rather left out.
    """

    column: Column
    least: int | None = None
    readable: int = 16


COMMAND = 1
"""The place of the column of commands."""


def _columns(lines: Sequence[SweepLine]) -> list[Flexible]:
    """What there is to say of sweeps, what is left out first with the highest rank; columns without a word are none."""
    commands = [f"{line.command} {line.task}" for line in lines]
    found = [
        words_column("id", [line.id for line in lines], ALWAYS, least=None),
        words_column("command", commands, ALWAYS),
        Flexible(Column(("age",), [line.age for line in lines], rank=2)),
        Flexible(Column(("runs",), [line.runs for line in lines], rank=3)),
        Flexible(Column(("feasible",), [line.feasible for line in lines], rank=1)),
        Flexible(Column(("best",), [line.best for line in lines], rank=1)),
        words_column("", [line.state for line in lines], 2),
        words_column("tags", [line.tags for line in lines], EXTRA, readable=8),
        words_column("best setting", [line.setting for line in lines], EXTRA + 1, readable=28),
        words_column("note", [line.note for line in lines], EXTRA + 2),
        Flexible(Column(("models",), [line.models for line in lines], rank=EXTRA + 3)),
    ]
    return [own for own in found if any(own.column.cells)]


def _wide(lines: Sequence[SweepLine]) -> list[Flexible]:
    """Everything, with full times."""
    short = {own.column.name: own for own in _columns(lines)}
    names = ("id", "started", "ended", "took", "command", "task", "runs", "feasible", "objective", "best")
    times = {name: [getattr(line, name) for line in lines] for name in names}
    right = ("took", "runs", "feasible", "best")
    first = [Flexible(Column((name,), times[name], right=name in right)) for name in names]
    rest = [own for name, own in short.items() if name not in (*names, "age")]
    return [*first, *rest]


def words_column(name: str, cells: Sequence[str], rank: int, least: int | None = LEAST, readable: int = 16) -> Flexible:
    """A column of words.

    Args:
        name: Its header.
        cells: One text per row.
        rank: As of a :class:`~cpd.views.tables.section.Column`.
        least: See :class:`Flexible`.
        readable: Likewise.
    """
    return Flexible(Column((name,), cells, right=False, rank=rank), least, readable)


def fitted(columns: Sequence[Flexible], width: int, dots: str) -> list[Flexible]:
    """Columns that are as wide as a terminal at the most.

    Words are cut first, down to a few letters; then columns are left out, highest rank first; then words are given what
    room is left, those that matter most first.

    Args:
        columns: In order of reading.
        width: Letters of a line.
        dots: What stands for letters that are cut.
    """
    kept = list(columns)
    while _least(kept, readable=True) > width and any(own.column.rank >= EXTRA for own in kept):
        kept.remove(max(kept, key=lambda own: own.column.rank))
    while _least(kept) > width and any(own.column.rank > ALWAYS for own in kept):
        kept.remove(max(kept, key=lambda own: own.column.rank))
    widths = [_smallest(own) for own in kept]
    order = sorted(range(len(kept)), key=lambda k: kept[k].column.rank)
    for wanted in ([_smallest(own, readable=True) for own in kept], [min(own.column.width, MOST) for own in kept]):
        for k in order:
            widths[k] = max(widths[k], min(wanted[k], width - _total(widths) + widths[k]))
    widths[-1] = max(widths[-1], min(kept[-1].column.width, width - _total(widths) + widths[-1]))
    kept = [replace(own, column=_cut(own.column, room, dots)) for own, room in zip(kept, widths, strict=True)]
    if _total([own.column.width for own in kept]) <= width:
        return kept
    return [replace(kept[0], column=_cut(kept[0].column, width, dots))]


def _smallest(own: Flexible, readable: bool = False) -> int:
    """How narrow a column may become."""
    if own.least is None:
        return own.column.width
    return min(own.column.width, max(own.least, own.readable if readable else 0))


def _least(columns: Sequence[Flexible], readable: bool = False) -> int:
    return _total([_smallest(own, readable) for own in columns])


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _cut(column: Column, width: int, dots: str) -> Column:
    cells = [clipped(text, width, dots) for text in column.cells]
    return replace(column, header=tuple(clipped(text, width, dots) for text in column.header), cells=cells)


def clipped(text: str, width: int, dots: str = "…") -> str:
    """A text in so many letters of a terminal, dots in the place of what is cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - cell_len(dots)).rstrip() + dots if width > cell_len(dots) else text[:width]
