"""A document's settings as lines of a picture: swept value, label, feasible, best."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpd.views.plots.quantities import level_label
from cpd.views.tables.lines import Line, lines, setting_text, swept_levels
from cpd.views.tables.section import clean

Document = Mapping[str, Any]

SWEPT = ("coefficient", "dual_lr")
"""The hyperparameters that methods are swept over, see the table of methods."""


def swept(settings: Sequence[Mapping[str, Any]]) -> str | None:
    """The hyperparameter on the horizontal axis: the method's swept one if it varies, else the first that does."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    values = {name: {s[name] for s in settings if is_number(s.get(name))} for name in names}
    varying = [name for name in names if len(values[name]) > 1]
    numeric = [name for name in names if values[name]]
    for choices in (varying, numeric):
        for name in (*SWEPT, *choices):
            if name in choices:
                return name
    return None


def is_number(value: Any) -> bool:
    """Whether a hyperparameter's value has a place on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Group:
    """The settings of one method that differ in the swept hyperparameter alone.

    Attributes:
        label: Tells it from the others: the method, what else varies, and the level where levels are swept.
        swept: The hyperparameter that varies.
        rows: Ascending in it.
    """

    method: str
    label: str
    swept: str
    rows: list[Line]


def groups(document: Document) -> tuple[list[Group], int]:
    """Cut a document into groups.

    Returns:
        The groups, and how many settings have no place on an axis, as lists of coefficients have none.
    """
    found: list[Group] = []
    all_rows = lines(document)
    for method in dict.fromkeys(row.method for row in all_rows):
        rows = [row for row in all_rows if row.method == method]
        name = swept([row.setting for row in rows])
        if name is not None:
            found += _groups_of(document, method, name, rows)
    return found, len(all_rows) - sum(len(group.rows) for group in found)


def _groups_of(document: Document, method: str, name: str, rows: Sequence[Line]) -> list[Group]:
    kept = [row for row in rows if is_number(row.setting.get(name))]
    others = list(dict.fromkeys(n for row in kept for n in row.setting if n != name))
    telling = [n for n in others if len({json.dumps(row.setting.get(n)) for row in kept}) > 1]
    levels = swept_levels(rows)
    together: dict[str, list[Line]] = {}
    for row in kept:
        setting = {n: row.setting[n] for n in telling if n in row.setting}
        at = [level_label(document, n, row.levels[n]) for n in levels]
        label = ", ".join([clean(method), *([setting_text(setting)] if setting else []), *at])
        together.setdefault(label, []).append(row)
    return [
        Group(method, label, name, sorted(own, key=lambda row: row.setting[name])) for label, own in together.items()
    ]


def is_best(document: Document, row: Line) -> bool:
    """Whether a row is the best of several settings of its method at its levels."""
    return any(
        entry["settings"] > 1
        and entry["method"] == row.method
        and entry["best_setting"] == row.setting
        and entry.get("levels", row.levels) == row.levels
        for entry in document.get("summary", [])
    )


def all_feasible(row: Line) -> bool:
    """Whether the runs of every seed are feasible."""
    return row.feasible == len(row.runs)
