"""Columns of a table by the names that a reader knows them by."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from cpd.errors import CpdError, closest
from cpd.views.tables.section import Column

BETWEEN = re.compile(r"[\s_.,\-%]+")
"""What stands between the words of a name, however it is written."""


MOST_LISTED = 30
"""Names that an error lists one by one."""


def called(column: Column) -> str:
    """What a column is called: its header without the unit."""
    return _bare(column.name)


def named(shown: Sequence[Column], further: Sequence[Column], name: str, option: str) -> Column:
    """The column of that name: as it is written, with other signs between its words, or the first line of its header.

    Args:
        shown: Columns that are found first.
        further: The others.
        name: As it was typed.
        option: Where.

    Raises:
        CpdError: None is called so, or several are.
    """
    for names_of, read in _WAYS:
        found = next(
            filter(None, ([c for c in own if read(name) in map(read, names_of(c))] for own in (shown, further))), []
        )
        if len(found) == 1:
            return found[0]
        if found:
            hint = f"choose one of: {', '.join(map(called, found))}"
            raise CpdError(f"several columns are called '{name}'", place=option, hint=hint)
    every = list(dict.fromkeys(map(called, [*shown, *further])))
    raise CpdError(f"no column '{name}'", place=option, hint=_valid(name, every))


def _valid(name: str, every: Sequence[str]) -> str:
    """The valid names, the closest first; of very many, what each constraint has is said once."""
    hint = closest(name, every)
    if len(every) <= MOST_LISTED:
        return hint
    of = {one: next((other for other in every if one.startswith(f"{other} ")), None) for one in every}
    beside = dict.fromkeys(one.removeprefix(f"{other} ") for one, other in of.items() if other is not None)
    each = [f"NAME {word}" for word in beside]
    start, valid, _ = hint.partition("alid: ")
    return f"{start}{valid}{', '.join([*(one for one, other in of.items() if other is None), *each])}"


def _bare(text: str) -> str:
    return " ".join(text.replace(" %", "").split())


def _as_typed(name: str) -> str:
    return " ".join(name.split())


def _loosely(name: str) -> str:
    return BETWEEN.sub("_", name.lower()).strip("_")


def _also(column: Column) -> tuple[str, ...]:
    return (called(column), *column.names)


_WAYS: Sequence[tuple[Callable[[Column], Iterable[str]], Callable[[str], str]]] = (
    (lambda column: [called(column)], _as_typed),
    (lambda column: column.names, _as_typed),
    (_also, _loosely),
    (lambda column: [_bare(column.header[0])], _loosely),
)
"""In this order: which names of a column count, and how they are compared."""
