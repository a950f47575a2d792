"""Methods at equal budgets, by hand: what is first useful in each seed, and medians of what some did not reach."""

import math
from typing import Any

import pytest

from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.spec.models import Constraint
from cpd.verdict.budgets import Spent, equal_budgets, quartiles
from cpd.verdict.judgement import judge

G = {"g": Constraint(level=0.0, sense="<=", tolerance=0.0)}


class Task:
    name, objective, constraints = "made", "f", G

    class train:  # noqa: N801
        dtype = "float64"


def run(method: str, seed: int, value: float, objective: float | None, g: float, steps: int = 10) -> Run:
    status = Status.DIVERGED if objective is None else Status.COMPLETED
    key = RunKey(method, {"coefficient": value}, {"g": 0.0}, seed)
    return Run(key, status, objective, {"g": ConstraintOutcome(value=g, surrogate=g)}, steps=steps)


def rows(runs: list[Run], gap: float | str = 0.5) -> list[Any]:
    document = judge(Task(), runs, gap=gap)
    return list(equal_budgets(document["runs"], Spent(4, "random"), gap, G, "float64")["methods"])


RUNS = [
    # Seed 0: the best of all is b's 1.0; a is useful at its third training, of 1.4.
    run("a", 0, 1, 0.2, +1),
    run("a", 0, 2, 2.0, -1),
    run("a", 0, 3, 1.4, -1, steps=7),
    run("a", 0, 4, 1.3, -1),
    run("b", 0, 1, 1.0, -1),
    # Seed 1: the best of all is a's 11; b is never useful: infeasible, diverged, and too far from it.
    run("a", 1, 1, 11.0, -1),
    run("b", 1, 1, 3.0, +1),
    run("b", 1, 2, None, -1),
    run("b", 1, 3, 12.0, -1),
]


def test_each_seed_is_held_against_its_own_best() -> None:
    a, b = rows(RUNS)
    assert (a["method"], a["seeds"], a["trainings"], a["useful_seeds"], a["useful_share"]) == ("a", 2, 4, 2, 1.0)
    assert a["trainings_to_first_useful"] == {"median": 2, "low": 1.5, "high": 2.5, "each": [3, 1]}
    assert a["steps_to_first_useful"]["each"] == [27, 10]
    assert a["distance"]["each"] == pytest.approx([0.3, 0])
    assert a["best_objective"]["each"] == [1.3, 11.0]
    assert (b["trainings"], b["useful_seeds"], b["useful_share"]) == (3, 1, 0.5)
    assert b["trainings_to_first_useful"] == {"median": None, "low": None, "high": None, "each": [1, None]}
    assert b["distance"]["each"] == [0, 1]


def test_a_share_of_the_spread_is_one_width_for_all_seeds() -> None:
    """The feasible objectives go from 1 to 12: 10 % of it, 1.1, is more than the distances of both seeds."""
    a, b = rows(RUNS, "10%")
    assert a["trainings_to_first_useful"]["each"] == [2, 1]
    assert b["trainings_to_first_useful"]["each"] == [1, 3]


def test_nothing_feasible_is_no_number() -> None:
    (a,) = rows([run("a", 0, 1, 1.0, +1), run("a", 1, 1, None, -1)])
    nothing = {"median": None, "low": None, "high": None, "each": [None, None]}
    assert [a[key] for key in ("trainings_to_first_useful", "steps_to_first_useful", "distance")] == [nothing] * 3
    assert a["useful_seeds"] == 0


def test_seeds_that_train_alike_count_each() -> None:
    """A method whose seeds change nothing had its budget with each of them."""
    (a,) = rows([run("a", seed, 1, 1.0, -1) for seed in range(3)])
    assert (a["seeds"], a["useful_seeds"]) == (3, 3)
    assert a["distance"]["each"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5], (5, 5, 5)),
        ([1, 2, 3, 4, 5], (2, 3, 4)),
        ([4, 1, math.inf, 2], (1.75, 3, None)),
        ([1, math.inf], (None, None, None)),
        ([1, 2, math.inf, math.inf, 3], (2, 3, None)),
    ],
)
def test_quartiles_of_what_may_be_beyond_the_budget(values: list[float], expected: tuple[float | None, ...]) -> None:
    found = quartiles(values)
    assert (found["low"], found["median"], found["high"]) == expected
