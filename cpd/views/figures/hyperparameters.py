"""The hyperparameters that a method's settings differ in, as axes whose values stand evenly apart."""

from __future__ import annotations

import json
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
        name: As the settings have it.
        places: Of each value, by its JSON: 0, 1, 2 and so on.
        texts: How the values are written, in that order.
    """

    name: str
    places: Mapping[str, int]
    texts: list[str]

    def place(self, row: Line) -> int | None:
        """Where a setting stands; None where it has no such hyperparameter."""
        return self.places.get(json.dumps(row.setting[self.name])) if self.name in row.setting else None


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
    return [Family(label, own, _axes(own)) for label, own in found.items()]


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


def _axes(rows: Sequence[Line]) -> list[Hyperparameter]:
    names = dict.fromkeys(name for row in rows for name in row.setting)
    found = [axis for name in names if len((axis := _axis(rows, name)).texts) > 1]
    return sorted(found, key=lambda axis: (axis.name not in SWEPT, -len(axis.texts)))


def _axis(rows: Sequence[Line], name: str) -> Hyperparameter:
    values: dict[str, Plain] = {json.dumps(row.setting[name]): row.setting[name] for row in rows if name in row.setting}
    ordered = sorted(values.items(), key=lambda item: _order(item[1]))
    texts = [one_line(text) for text in distinct([value for _, value in ordered])]
    return Hyperparameter(name, {key: place for place, (key, _) in enumerate(ordered)}, texts)


def _order(value: Plain) -> tuple[bool, float, str]:
    return (False, float(value), "") if is_number(value) else (True, 0.0, str(value))


def kind_of_settings(document: Document) -> str:
    """The kind that shows settings best, by in how many hyperparameters a method's differ."""
    counts = [len(family.axes) for family in families(document) if len(family.rows) > 1]
    if max(counts, default=0) > 2:
        return "parallel"
    return "heatmap" if counts and set(counts) == {2} else "tuning"
