"""A document's settings as lines of a picture: swept value and label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from cpd.verdict.document import Document, is_number
from cpd.verdict.summary import swept
from cpd.views.figures.quantities import level_label
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, lines, setting_text, swept_levels


@dataclass(frozen=True)
class Group:
    """The settings of one method that differ in the swept hyperparameter alone.

    Attributes:
        label: Tells it from the others: the method, what else varies, and the level where levels are swept.
        swept: The hyperparameter that varies.
        points: Its value and the row of each setting, ascending.
    """

    method: str
    label: str
    swept: str
    points: list[tuple[float, Line]]


def groups(document: Document) -> tuple[list[Group], int]:
    """Cut a document into groups.

    Returns:
        The groups, and how many settings have no place on an axis, as lists of coefficients have none.
    """
    found: list[Group] = []
    all_rows = lines(document)
    for method in dict.fromkeys(row.method for row in all_rows):
        rows = [row for row in all_rows if row.method == method]
        settings = [row.setting for row in rows]
        name = swept(settings) or swept(settings, least=1)
        if name is not None:
            found += _groups_of(document, method, name, rows)
    return found, len(all_rows) - sum(len(group.points) for group in found)


def _groups_of(document: Document, method: str, name: str, rows: Sequence[Line]) -> list[Group]:
    kept = [(value, row) for row in rows if is_number(value := row.setting.get(name))]
    others = list(dict.fromkeys(n for _, row in kept for n in row.setting if n != name))
    telling = [n for n in others if len({json.dumps(row.setting.get(n)) for _, row in kept}) > 1]
    levels = swept_levels(rows)
    together: dict[str, list[tuple[float, Line]]] = {}
    for value, row in kept:
        setting = {n: row.setting[n] for n in telling if n in row.setting}
        at = [level_label(document, n, row.levels[n]) for n in levels]
        label = ", ".join([one_line(method), *([setting_text(setting)] if setting else []), *at])
        together.setdefault(label, []).append((value, row))
    return [Group(method, label, name, sorted(own, key=itemgetter(0))) for label, own in together.items()]
