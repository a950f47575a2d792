"""The hyperparameters that a method's settings differ in, as axes whose values stand evenly apart."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cpd.errors import CpdError
from cpd.verdict.document import Document, Plain, is_number
from cpd.verdict.summary import SWEPT
from cpd.views.figures.quantities import level_label
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, lines, swept_levels
from cpd.views.tables.numbers import distinct


@dataclass(frozen=True)
class Hyperparameter:
    """One axis: the values in their order, numbers ascending before words.

    Attributes:
        key: As the settings have it.
        places: Of each value, by its JSON: 0, 1, 2 and so on.
        texts: How the values are written, in that order.
        constraint: Whose entry it is, its name and its place, where the constraints have one each.
    """

    key: str
    places: Mapping[str, int]
    texts: list[str]
    constraint: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """What the axis is called: ``coefficient``, or ``coefficient recall``."""
        return self.key if self.constraint is None else f"{self.key} {self.constraint[0]}"

    def place(self, row: Line) -> int | None:
        """Where a setting stands; None where it has no such hyperparameter."""
        return self.places.get(json.dumps(_entry(row, self.key, self.constraint))) if self.key in row.setting else None


@dataclass(frozen=True)
class Family:
    """The settings of a method at given levels, and what they differ in: the widest swept one first."""

    label: str
    rows: list[Line]
    axes: list[Hyperparameter]


def families(document: Document) -> list[Family]:
    """The settings of each method, at each choice of levels where these are swept."""
    rows = lines(document)
    names = swept_levels(rows)
    found: dict[str, list[Line]] = {}
    for row in rows:
        at = [level_label(document, name, row.levels[name]) for name in names]
        found.setdefault(", ".join([one_line(row.method), *at]), []).append(row)
    return [Family(label, own, _axes(own, list(document["constraints"]))) for label, own in found.items()]


def in_several(document: Document, kind: str, many: str) -> tuple[list[Family], list[str]]:
    """Those of them whose settings differ in several hyperparameters, and the labels of the others.

    Args:
        document: Contract 3's object.
        kind: Of the picture that shows them.
        many: How many hyperparameters it needs, in a word.

    Raises:
        CpdError: There are none.
    """
    every = families(document)
    if found := [family for family in every if len(family.axes) > 1]:
        return found, [family.label for family in every if len(family.axes) < 2]
    message = f"no method's settings differ in {many} hyperparameters"
    raise CpdError(message, place=f"--kind {kind}", hint="try --kind tuning")


def _axes(rows: Sequence[Line], constraints: Sequence[str]) -> list[Hyperparameter]:
    names = dict.fromkeys(name for row in rows for name in row.setting)
    each = (axis for name in names for axis in _opened(rows, name, constraints))
    found = [axis for axis in each if len(axis.texts) > 1]
    return sorted(found, key=lambda axis: (axis.key not in SWEPT, -len(axis.texts)))


def _opened(rows: Sequence[Line], name: str, constraints: Sequence[str]) -> list[Hyperparameter]:
    """The axis of a hyperparameter, or one for each constraint where some setting has an entry for each."""
    values = [row.setting[name] for row in rows if name in row.setting]
    if not any(isinstance(value, list) for value in values) or not all(_is_open(v, len(constraints)) for v in values):
        return [_axis(rows, name)]
    return [_axis(rows, name, (own, k)) for k, own in enumerate(constraints)]


def _is_open(value: Plain, count: int) -> bool:
    """Whether it is a number for each constraint, or one for all of them."""
    return is_number(value) or (isinstance(value, list) and len(value) == count and all(map(is_number, value)))


def _axis(rows: Sequence[Line], name: str, constraint: tuple[str, int] | None = None) -> Hyperparameter:
    entries = [_entry(row, name, constraint) for row in rows if name in row.setting]
    values: dict[str, Plain] = {json.dumps(entry): entry for entry in entries}
    ordered = sorted(values.items(), key=lambda item: _order(item[1]))
    texts = [one_line(text) for text in distinct([value for _, value in ordered])]
    return Hyperparameter(name, {key: place for place, (key, _) in enumerate(ordered)}, texts, constraint)


def _entry(row: Line, name: str, constraint: tuple[str, int] | None) -> Plain:
    """The value of a hyperparameter, or a constraint's own; a whole number is the same value as its float."""
    value = row.setting[name]
    if constraint is None:
        return value
    own = value[constraint[1]] if isinstance(value, list) else value
    return float(own) if is_number(own) else own


def _order(value: Plain) -> tuple[bool, float, str]:
    return (False, float(value), "") if is_number(value) else (True, 0.0, str(value))


def are_grids_of_constraints(document: Document) -> bool:
    """Whether the settings of every method are all those of a grid for each constraint."""
    found = [family for family in families(document) if len(family.rows) > 1]
    return bool(found) and all(
        len([axis for axis in family.axes if axis.constraint is not None]) > 1
        and len(family.rows) == math.prod(len(axis.texts) for axis in family.axes)
        for family in found
    )


def kind_of_settings(document: Document) -> str:
    """The kind that shows settings best, by in how many hyperparameters a method's differ."""
    opened = are_grids_of_constraints(document)
    found = [family.axes for family in families(document) if len(family.rows) > 1]
    counts = [len(axes) if opened else len({axis.key for axis in axes}) for axes in found]
    if max(counts, default=0) > 2:
        return "parallel"
    return "heatmap" if counts and set(counts) == {2} else "tuning"
