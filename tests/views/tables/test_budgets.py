"""Methods at equal budgets as a reader sees them: medians with quartiles, and what lies beyond the budget."""

import math

from cpd.verdict.budgets import quartiles
from cpd.verdict.document import Document, MethodBudgetRow
from cpd.views.tables.budgets import budget_section, budget_sentences, budget_words


def row(method: str, firsts: list[float], budget: int = 8) -> MethodBudgetRow:
    useful = sum(math.isfinite(first) for first in firsts)
    return {
        "method": method,
        "seeds": len(firsts),
        "trainings": budget,
        "useful_seeds": useful,
        "useful_share": useful / len(firsts),
        "trainings_to_first_useful": quartiles(firsts),
        "steps_to_first_useful": quartiles([5000 * first for first in firsts]),
        "distance": quartiles([0.01 * first for first in firsts]),
        "best_objective": quartiles([1.0] * len(firsts)),
    }


def document(*rows: MethodBudgetRow) -> Document:
    budget = {"trainings": 8, "sampler": "tpe", "methods": list(rows)}
    return {"task": "t", "objective": "f", "constraints": {}, "runs": [], "budget": budget}  # type: ignore[typeddict-item]


def cells(*rows: MethodBudgetRow) -> list[list[str]]:
    section = budget_section(document(*rows))
    assert section is not None
    return [list(found) for found in zip(*(column.cells for column in section.columns), strict=True)]


def test_numbers_are_medians_with_quartiles_where_these_differ() -> None:
    inf = math.inf
    few, none, alike = cells(row("a", [2, 4, inf, 3]), row("b", [inf] * 4), row("c", [1, 1, 1, 1], 1))
    assert few == ["a", "8", "3 of 4", "3.5 (2.75 to > 8)", "17500 (13750 to -)", "0.035 (0.0275 to -)", "1"]
    assert none == ["b", "8", "0 of 4", "> 8", "-", "-", "1"]
    assert alike == ["c", "1", "4 of 4", "1", "5000", "0.01", "1"]


def test_each_method_has_a_sentence() -> None:
    inf = math.inf
    rows = [row("a", [2, 4, 6]), row("b", [inf]), row("c", [1], 1), row("d", [3, inf, inf])]
    assert budget_sentences(document(*rows)) == [
        "a: a useful setting within 8 trainings in 3 of 3 seeds, the first after 4 (3 to 5) trainings",
        "b: no useful setting within 8 trainings",
        "c: a useful setting within 1 training, the first after 1 training",
        "d: a useful setting within 8 trainings in 1 of 3 seeds",
    ]
    assert budget_words({**document(), "gap": 0.01}) == (
        "8 trainings a method, chosen by tpe; useful: f up to the best of all methods + 0.01"
    )
