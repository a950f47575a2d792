"""Of many constraints the one that is furthest from holding: a column where there is no room for all of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cpd.verdict.document import Document, RunRow
from cpd.verdict.feasibility import excess, slack
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.satisfied import MANY, counts_satisfied, fewest_satisfied
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, share_decimals, worst_component
from cpd.views.tables.numbers import signed
from cpd.views.tables.section import Column


class Worst(NamedTuple):
    """The constraint of a setting that is furthest from holding, over its seeds and its components.

    Attributes:
        name: Of the constraint.
        violation: The largest one; None where there is no number.
        size: What it is compared by: in tolerances, where all constraints have one.
        violated: All constraints that do not hold.
    """

    name: str
    violation: float | None
    size: float
    violated: tuple[str, ...]


def has_many(document: Document) -> bool:
    """Whether there are too many constraints to show each of them."""
    return len(document["constraints"]) > MANY


def worst_of(document: Document, row: Line) -> Worst | None:
    """The worst constraint of a row; None where no run of it came to its end."""
    runs = judged_rows(row.finished, judges(document))
    if not runs or not document["constraints"]:
        return None
    found = {name: _largest(document, runs, name) for name in document["constraints"]}
    in_tolerances = all(bound["tolerance"] > 0 for bound in document["constraints"].values())
    sizes = {name: _size(document, name, violation, in_tolerances) for name, violation in found.items()}
    violated = {name for name, violation in found.items() if _is_violated(document, row, name, violation)}
    worst = max(found, key=lambda name: (name in violated, sizes[name]))
    if not all(run["feasible"] for run in runs):
        violated.add(worst)  # by less than rounding in single precision may add
    return Worst(worst, found[worst], sizes[worst], tuple(n for n in found if n in violated))


def worst_column(document: Document, worst: Sequence[Worst | None], header: tuple[str, ...]) -> Column:
    """``requirement_01 +0.94``: which constraint, and by how much it does not hold.

    Args:
        document: Says how the violations are written.
        worst: Of each row.
        header: The column's.
    """
    percents = {name: share_decimals(document, name) for name in document["constraints"]}
    cells = ["-" if one is None else _cell(one, percents[one.name]) for one in worst]
    values = [None if one is None else one.size for one in worst]
    return Column(header, cells, right=False, names=("worst", "worst violation"), values=values)


def satisfied_column(document: Document, rows: Sequence[Line], rank: int) -> list[Column]:
    """``48 of 50``: how many constraints hold, in the seed in which the fewest do; none where these are few."""
    if not counts_satisfied(document):
        return []
    found = [fewest_satisfied(row.finished) for row in rows]
    cells = ["-" if one is None else f"{one[0]} of {one[1]}" for one in found]
    values = [None if one is None else one[0] / one[1] for one in found]
    several = ("worst seed",) if any(len(row.counted) > 1 for row in rows) else ()
    return [Column(("satisfied", *several), cells, rank=rank, names=("satisfied",), values=values)]


def most_satisfied(rows: Sequence[Line]) -> str:
    """``at most 48 of 50 constraints satisfied``, of settings none of which is feasible; empty where these are few."""
    found = [one for row in rows if (one := fewest_satisfied(row.finished)) is not None]
    most = max(found, default=None)
    return f", at most {most[0]} of {most[1]} constraints satisfied" if most is not None else ""


def worst_sentence(document: Document, rows: Sequence[Line]) -> str | None:
    """Which of many constraints is violated by most settings; None where there are few, or all hold everywhere."""
    if not has_many(document):
        return None
    found = [one for row in rows if (one := worst_of(document, row)) is not None]
    counts = Counter(name for one in found for name in one.violated)
    if not counts:
        return f"all {len(document['constraints'])} constraints hold in every finished setting" if found else None
    most, worst = max(counts.values()), Counter(one.name for one in found if one.violated)
    alike = [name for name in document["constraints"] if counts[name] == most]
    name = one_line(max(alike, key=lambda name: worst[name]))
    more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
    of = f"{most:,} of {len(found):,} finished settings"
    return f"worst of {len(document['constraints'])} constraints: {name}{more}, violated in {of}"


def _largest(document: Document, runs: Sequence[RunRow], name: str) -> float | None:
    """The violation furthest on the wrong side; None where some run has no number."""
    sense = document["constraints"][name]["sense"]
    found = [worst_component(run["constraints"][name], sense).violation for run in runs]
    known = [violation for violation in found if violation is not None]
    return max(known, key=lambda v: excess(v, sense)) if len(known) == len(found) else None


def _size(document: Document, name: str, violation: float | None, in_tolerances: bool) -> float:
    bound = document["constraints"][name]
    if violation is None:
        return math.inf
    return excess(violation, bound["sense"]) / (bound["tolerance"] if in_tolerances else 1.0)


def _is_violated(document: Document, row: Line, name: str, violation: float | None) -> bool:
    """Whether a violation is beyond the tolerance by more than rounding."""
    if violation is None:
        return True
    bound, level = document["constraints"][name], row.levels[name]
    allowed = bound["tolerance"] + slack(level + violation, level, bound["tolerance"], "float32")
    return not row.all_feasible and excess(violation, bound["sense"]) > allowed


def _cell(worst: Worst, percent: int | None) -> str:
    unit = " %" if percent is not None and worst.violation is not None else ""
    return f"{one_line(worst.name)} {signed(worst.violation, percent)}{unit}"
