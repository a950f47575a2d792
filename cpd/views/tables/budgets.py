"""The table of methods at equal budgets, and the same in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cpd.verdict.document import BudgetBlock, Document, MethodBudgetRow
from cpd.verdict.gap import GAP, share_of
from cpd.views.printable import one_line
from cpd.views.tables.numbers import distinct, number
from cpd.views.tables.section import Column, Section

BEST, STEPS, DISTANCE = 3, 2, 1
"""Ranks of columns: what is left out first has the highest."""

SPREAD = "Medians over the seeds (and quartiles); a seed without a useful setting counts as more than any number."

Key = Literal["trainings_to_first_useful", "steps_to_first_useful", "distance", "best_objective"]


def budget_section(document: Document) -> Section | None:
    """Lay out methods at equal budgets; None where nothing was trained."""
    block = document["budget"]
    rows = block["methods"]
    if not rows:
        return None
    columns = [
        Column(("method",), [one_line(row["method"]) for row in rows], right=False),
        *_levels(rows),
        Column(("trainings", "a seed"), [str(row["trainings"]) for row in rows]),
        Column(("seeds with", "a useful one"), [f"{row['useful_seeds']} of {row['seeds']}" for row in rows]),
        _column(("trainings to", "first useful"), rows, "trainings_to_first_useful"),
        _column(("steps to", "first useful"), rows, "steps_to_first_useful", STEPS),
        _column(("above the", "best known"), rows, "distance", DISTANCE),
        _column(("best", one_line(document["objective"])), rows, "best_objective", BEST),
    ]
    notes = [SPREAD] if any(row["seeds"] > 1 for row in rows) else []
    return Section("summary", columns, ["feasible" if row["useful_seeds"] else "" for row in rows], notes=notes)


def budget_words(document: Document) -> str:
    """``20 trainings a method, chosen by tpe; useful: up to the best of all methods + 5 % of the feasible spread``."""
    block, gap = document["budget"], document.get("gap", GAP)
    share, several = share_of(gap), len({run["seed"] for run in document["runs"]}) > 1
    width = number(float(gap)) if share is None else f"{number(100 * share)} % of the feasible spread"
    each, of_seed = (" for each seed", " with the same seed") if several else ("", "")
    aim = f"useful: {one_line(document['objective'])} up to the best of all methods{of_seed} + {width}"
    return f"{_trainings(block)} a method{each}, chosen by {block['sampler']}; {aim}"


def budget_sentences(document: Document) -> list[str]:
    """A sentence for each method, without its full stop."""
    return [_sentence(row, document["budget"]) for row in document["budget"]["methods"]]


def _sentence(row: MethodBudgetRow, block: BudgetBlock) -> str:
    name = one_line(row["method"])
    if "levels" in row:
        name += f" at {', '.join(f'{one_line(key)} {number(level)}' for key, level in row['levels'].items())}"
    within = f"within {row['trainings']} {'training' if row['trainings'] == 1 else 'trainings'}"
    if not row["useful_seeds"]:
        return f"{name}: no useful setting {within}"
    text = _cell(row, "trainings_to_first_useful")
    is_known = row["trainings_to_first_useful"]["median"] is not None
    after = f", the first after {text} {'training' if text == '1' else 'trainings'}" if is_known else ""
    of_seeds = f" in {row['useful_seeds']} of {row['seeds']} seeds" if row["seeds"] > 1 else ""
    return f"{name}: a useful setting {within}{of_seeds}{after}"


def _trainings(block: BudgetBlock) -> str:
    return f"{block['trainings']} {'training' if block['trainings'] == 1 else 'trainings'}"


def _levels(rows: Sequence[MethodBudgetRow]) -> list[Column]:
    levels = [row.get("levels", {}) for row in rows]
    names = [name for name in levels[0] if len({own[name] for own in levels}) > 1]
    return [Column((one_line(name), "level"), distinct([own[name] for own in levels])) for name in names]


def _column(header: tuple[str, ...], rows: Sequence[MethodBudgetRow], key: Key, rank: int = 0) -> Column:
    return Column(header, [_cell(row, key) for row in rows], rank=rank)


def _cell(row: MethodBudgetRow, key: Key) -> str:
    """``6 (4 to > 20)``, the median and the quartiles; what lies beyond the budget is more than it."""
    found = row[key]
    beyond = f"> {row['trainings']}" if key == "trainings_to_first_useful" else "-"
    median, low, high = (beyond if x is None else number(x) for x in (found["median"], found["low"], found["high"]))
    return median if median == low == high else f"{median} ({low} to {high})"
