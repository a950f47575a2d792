"""What a search reports, and the constraints that it does not search."""

from types import SimpleNamespace
from typing import Any

import pytest

from cpd.outcome import ConstraintOutcome, Number, Run, RunKey, Status
from cpd.verdict.document import Iteration, SearchBlock
from cpd.verdict.judgement import judge
from cpd.verdict.searching import is_whole, reported, violated, worst_value

BOUNDS: dict[str, Any] = {
    "g": SimpleNamespace(level=1.0, sense="<=", tolerance=0.0),
    "low": SimpleNamespace(level=0.4, sense="<=", tolerance=1e-3),
    "high": SimpleNamespace(level=-2.0, sense=">=", tolerance=0.1),
    "same": SimpleNamespace(level=0.0, sense="==", tolerance=0.5),
}


def run(low: Number, high: float = 0.0, same: float = 0.0, seed: int = 0, status: Status = Status.COMPLETED) -> Run:
    values: dict[str, Number] = {"g": 99.0, "low": low, "high": high, "same": same}
    outcomes = {name: ConstraintOutcome(value, value) for name, value in values.items()}
    levels = {name: bound.level for name, bound in BOUNDS.items()}
    return Run(RunKey("penalized", {"coefficient": 1.0}, levels, seed), status, 1.0, outcomes)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ([run(0.4)], []),
        ([run([0.4, 0.401])], []),
        ([run([0.4, 0.402])], ["low"]),
        ([run([0.4, None])], ["low"]),
        ([run(0.3, -2.2)], ["high"]),
        ([run(0.3, 0.0, -0.6)], ["same"]),
        ([run(0.3, 0.0, 0.4), run(0.5, -3.0, seed=1)], ["low", "high"]),
        ([run(0.3), run(0.5, seed=1, status=Status.DIVERGED)], []),
    ],
)
def test_every_other_constraint_holds_in_every_component_for_every_completed_run(
    found: list[Run], names: list[str]
) -> None:
    assert violated(found, BOUNDS, "g", "float32") == names


def test_the_worst_value_is_that_of_the_worst_component_and_seed() -> None:
    task = SimpleNamespace(name="t", objective="f", constraints=BOUNDS, train=SimpleNamespace(dtype="float32"))
    found = [run([0.1, 0.5], -1.0, 0.3), run([0.2, 0.3], -5.0, -0.4, seed=1), run(9.0, status=Status.DIVERGED)]
    document = judge(task, found)
    worst = {n: worst_value(document["runs"], n, document["constraints"][n]) for n in ("low", "high", "same")}
    assert worst == {"low": 0.5, "high": -5.0, "same": -0.4}
    assert worst_value([], "low", document["constraints"]["low"]) is None


def search(*values: float | None, **more: Any) -> SearchBlock:
    iterations: list[Iteration] = [
        {"iteration": k, "coefficient": float(k), "value": v, "objective": 1.0, "metrics": {}}
        for k, v in enumerate(values, start=1)
    ]
    for k, changes in more.items():
        iterations[int(k[1:]) - 1].update(changes)
    return {
        "constraint": "g",
        "target": 1.0,
        "tolerance": 0.1,
        "outcome": "solved",
        "trainings": len(values),
        "iterations": iterations,
    }


@pytest.mark.parametrize(
    ("block", "number"),
    [
        (search(3.0, None, 1.5), 3),
        (search(3.0, 1.5, 0.5), 2),
        (search(None, None), None),
        (search(1.05, 1.01), 2),
        (search(1.05, 1.01, _2={"violated": ["low"]}), 1),
        (search(1.05, 1.01, _2={"seeds": 1}), 1),
        (search(1.05, 1.01, _1={"violated": ["low"]}, _2={"violated": ["low"]}), 2),
        (search(1.3, 1.2, _2={"violated": ["low"]}), 2),  # neither meets the target
    ],
)
def test_the_nearest_is_reported_a_feasible_one_first_where_several_meet_the_target(
    block: SearchBlock, number: int | None
) -> None:
    found = reported(block, seeds=2)
    assert (found and found["iteration"]) == number


def test_a_search_of_an_earlier_version_is_whole() -> None:
    assert is_whole(search(1.0)["iterations"][0], seeds=3)
