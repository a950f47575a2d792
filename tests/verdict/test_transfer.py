"""What is carried over from one case to another, by hand: best settings, costs, and what is missing."""

import math
from typing import Any

import pytest

from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.spec.models import Constraint
from cpd.verdict.judgement import judge
from cpd.verdict.transfer import Cases, carried_over

G = {"g": Constraint(level=0.0, sense="<=", tolerance=0.5)}
CASES = Cases({"arguments.hidden": 8}, {"arguments.hidden": 64})


class Task:
    name, objective, constraints = "made", "f", G

    class train:  # noqa: N801
        dtype = "float64"


def run(method: str, hidden: int, value: float, objective: float | None, g: float = -1, seed: int = 0) -> Run:
    status = Status.DIVERGED if objective is None else Status.COMPLETED
    key = RunKey(method, {"coefficient": value, "arguments.hidden": hidden}, {"g": 0.0}, seed)
    return Run(key, status, objective, {"g": ConstraintOutcome(value=g, surrogate=g)}, steps=10)


def carried(runs: list[Run], gap: float | str = 0.5) -> list[Any]:
    document = judge(Task(), runs, gap=gap)
    block = carried_over(document["runs"], CASES, gap, G, "float64")
    assert (block["from"], block["to"]) == ({"arguments.hidden": 8}, {"arguments.hidden": 64})
    return list(block["methods"])


def test_the_cost_is_against_the_methods_own_best_and_the_distance_against_all() -> None:
    a, b = carried(
        [
            # Small: a's best is 10, and 1 is useful too. Large: 10 gives 5.0, its own best is 100 with 4.0.
            *(run("a", 8, 1, 1.4), run("a", 8, 10, 1.0), run("a", 8, 100, 3.0)),
            *(run("a", 64, 1, 1.0, g=2), run("a", 64, 10, 5.0), run("a", 64, 100, 4.0)),
            *(run("a", 32, 1, 0.1), run("a", 32, 10, 0.1), run("a", 32, 100, 0.1)),
            # b: the same setting is best in both.
            *(run("b", 8, 1, 1.2), run("b", 8, 10, 9.0), run("b", 64, 1, 3.8), run("b", 64, 10, 9.0)),
        ]
    )
    assert (a["setting"], a["source_objective"]) == ({"coefficient": 10}, 1.0)
    assert (a["feasible"], a["useful"], a["feasible_seeds"], a["seeds"]) == (True, False, 1, 1)
    assert (a["objective"]["median"], a["worst"], a["violation"]) == (5.0, "g", -1.0)
    assert (a["best_setting"], a["best_objective"], a["moved_decades"]) == ({"coefficient": 100}, 4.0, 1.0)
    assert a["cost"]["each"] == [1.0]
    assert a["distance"]["each"] == pytest.approx([1.2])
    assert (a["useful_at_source"], a["useful_at_both"]) == (2, 0)  # up to 1.5 there, up to 4.3 here
    assert (b["setting"], b["cost"]["median"], b["distance"]["median"]) == ({"coefficient": 1}, 0.0, 0.0)
    assert (b["useful"], b["moved_decades"], b["useful_at_both"]) == (True, 0.0, 1)


def test_a_seed_that_is_infeasible_costs_more_than_any_number() -> None:
    (a,) = carried(
        [
            *(run("a", 8, 1, 1.0, seed=seed) for seed in range(3)),
            *(run("a", 8, 10, 2.0, seed=seed) for seed in range(3)),
            *(run("a", 64, 1, 1.0, g=[0.1, -1, 0.75][seed], seed=seed) for seed in range(3)),
            *(run("a", 64, 10, 2.0 - seed, seed=seed) for seed in range(3)),
        ]
    )
    assert (a["setting"], a["feasible"], a["feasible_seeds"], a["seeds"]) == ({"coefficient": 1}, False, 2, 3)
    assert a["cost"]["each"] == [-1.0, 0.0, None]
    assert (a["cost"]["median"], a["cost"]["high"]) == (0.0, None)
    assert (a["objective"]["each"], a["violation"], a["useful"]) == ([1.0, 1.0, 1.0], 0.75, False)


def test_nothing_to_carry_over_and_nowhere_to() -> None:
    nothing, nowhere, blown = carried(
        [
            *(run("nothing", 8, 1, 1.0, g=2), run("nothing", 64, 1, 1.0)),
            *(run("nowhere", 8, 1, 1.0), run("nowhere", 64, 1, 1.0, g=2)),
            *(run("blown", 8, 1, 1.0), run("blown", 64, 1, None, g=math.nan)),
        ]
    )
    assert (nothing["setting"], nothing["feasible"], nothing["cost"]["each"]) == (None, False, [])
    assert nothing["best_objective"] == 1.0
    assert (nowhere["best_setting"], nowhere["cost"]["each"], nowhere["violation"]) == (None, [None], 2.0)
    assert (blown["setting"], blown["objective"]["each"], blown["worst"]) == ({"coefficient": 1}, [None], None)


def test_levels_have_a_row_each() -> None:
    runs = [run("a", hidden, 1, float(hidden)) for hidden in (8, 64)]
    low = [Run(RunKey("a", r.key.setting, {"g": -3.0}, 0), r.status, r.objective, r.constraints) for r in runs]
    first, second = carried([*runs, *low])
    assert (first["levels"], first["feasible"]) == ({"g": 0.0}, True)
    assert (second["levels"], second["setting"], second["best_setting"]) == ({"g": -3.0}, None, None)
