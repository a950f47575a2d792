"""The iterations of a search of several coefficients: how far the worst constraint is from met, and each one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cpd.verdict.document import Document, Iteration
from cpd.verdict.satisfied import MANY
from cpd.verdict.searching import searched_name
from cpd.views.printable import one_line
from cpd.views.tables.lines import share_decimals
from cpd.views.tables.numbers import is_share, measured, number
from cpd.views.tables.section import Column

OBJECTIVE, METRIC, OWN, WORST = 2, 5, 3, 1
"""Ranks of columns: what is left out first has the highest."""

AWAY = "away: how far the worst constraint is from its target, in tolerances; below 1 all are met."


def is_several(document: Document) -> bool:
    """Whether a search is of one coefficient of each constraint."""
    return "targets" in document["search"]


def several_columns(document: Document, digits: Callable[[Sequence[float]], list[str]], seeds: int) -> list[Column]:
    """The columns of a search's iterations; of many constraints only the worst one's.

    Args:
        document: Of a search, which may still go on.
        digits: Writes the coefficients.
        seeds: How many were trained of each.
    """
    rows = document["search"]["iterations"]
    counts, objectives = [i["iteration"] for i in rows], [i["objective"] for i in rows]
    away = [i.get("distance") for i in rows]
    met = [_met(document, i) for i in rows]
    of = len(document["search"]["targets"])
    metrics = dict.fromkeys(name for i in rows for name in i["metrics"])
    own = [] if of > MANY else own_columns(document, digits)
    return [
        Column(("iteration",), list(map(str, counts)), values=counts),
        *([Column(("seeds",), [f"{i.get('seeds', '-')}/{seeds}" for i in rows])] if seeds > 1 else []),
        *own,
        Column(("worst",), [one_line(i.get("worst", "-")) for i in rows], right=False, rank=WORST),
        Column(("away",), [number(x, 3) for x in away], values=away, names=("distance",)),
        Column(("met",), [f"{k} of {of}" for k in met], values=met),
        Column(
            (one_line(document["objective"]),),
            list(map(measured, objectives)),
            rank=OBJECTIVE,
            names=("objective",),
            values=objectives,
        ),
        *(_metric(name, [i["metrics"].get(name) for i in rows]) for name in metrics),
    ]


def own_columns(document: Document, digits: Callable[[Sequence[float]], list[str]]) -> list[Column]:
    """Of each constraint that is searched its coefficients and its values."""
    found, rows = [], document["search"]["iterations"]
    searched = one_line(searched_name(document["search"]))
    for name in document["search"]["targets"]:
        percent = share_decimals(document, name)
        coefficients = [i["coefficients"][name] for i in rows]
        values = [i["values"][name] for i in rows]
        cells = [measured(v) if percent is None or v is None else f"{100 * v:.{percent}f}" for v in values]
        header, unit = one_line(name), "" if percent is None else " %"
        names = (f"{searched} {name}", f"{searched}.{name}")
        found.append(Column((searched, header), digits(coefficients), rank=OWN, names=names, values=coefficients))
        named = (name, f"constraints.{name}", f"constraints.{name}.value")
        found.append(Column((header + unit,), cells, rank=OWN, names=named, values=values))
    return found


def several_verdict(document: Document, best: Iteration | None, trained: str, spoilt: str) -> str:
    """How a search of several coefficients ended, in a sentence.

    Args:
        document: Of the search.
        best: The iteration that it reports; None where none gave values.
        trained: After how many trainings.
        spoilt: Why coefficients that meet all targets are not feasible.
    """
    search = document["search"]
    of = len(search["targets"])
    all_of = f"{of} constraint{'s' if of > 1 else ''}"
    if best is None or best.get("distance") is None:
        return f"{search['outcome']}: no training gave values of all {all_of}, {trained}."
    met, name = _met(document, best), one_line(searched_name(search))
    at = f"{name} {_coefficients(best)}" if of <= MANY else f"iteration {best['iteration']}"
    if search["outcome"] in ("solved", "infeasible"):
        return f"{search['outcome']}: {at} brings {all_of} to {_theirs(of)}{spoilt}, {trained}."
    worst = best["worst"]
    value, target = best["values"][worst], search["targets"][worst]
    sense = document["constraints"][worst]["sense"]
    away = (
        f"{one_line(worst)} is {number(value)} there ({'' if sense == '==' else sense + ' '}{number(target)} is sought)"
    )
    return f"{search['outcome']}: {met} of {all_of} met at {at}, the nearest {trained}; {away}."


def _theirs(of: int) -> str:
    return "their targets" if of > 1 else "its target"


def _coefficients(best: Iteration) -> str:
    """As it is typed in to name the same run: ``{recall: 0.7, parity: 1.3}``."""
    return "{" + ", ".join(f"{one_line(name)}: {_exact(c)}" for name, c in best["coefficients"].items()) + "}"


def _exact(coefficient: float) -> str:
    texts = (number(coefficient, digits) for digits in range(6, 17))
    return next((text for text in texts if float(text) == coefficient), repr(coefficient))


def _met(document: Document, iteration: Iteration) -> int:
    distances = iteration.get("distances", {})
    return sum(far is not None and far < 1 for far in distances.values())


def _metric(name: str, values: Sequence[float | None]) -> Column:
    percent = 2 if is_share(name, values) else None
    cells = [measured(v) if percent is None or v is None else f"{100 * v:.{percent}f}" for v in values]
    names = (name, f"metrics.{name}")
    return Column((one_line(name) + ("" if percent is None else " %"),), cells, rank=METRIC, names=names, values=values)
