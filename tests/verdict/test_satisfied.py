"""How many of many constraints hold in a run: by hand, each component of a vector counted."""

from typing import Any

import pytest
from sample_documents import task

from cpd.outcome import ConstraintOutcome, HeldOut, Run, RunKey, Status
from cpd.verdict.document import Document
from cpd.verdict.judgement import judge
from cpd.views.tables.records import records


def judged(
    values: dict[str, Any], *, sense: str = "<=", tolerance: float = 0.1, status: Status = Status.COMPLETED, **more: Any
) -> Document:
    bounds = dict.fromkeys(values, (1.0, sense, tolerance))
    outcomes = {name: ConstraintOutcome(value, value) for name, value in values.items()}
    key = RunKey("penalized", {"coefficient": 1.0}, dict.fromkeys(values, 1.0), 1)
    return judge(task("t", "f", **bounds), [Run(key, status, 1.0, outcomes, **more)])


def counted(document: Document) -> tuple[Any, Any]:
    (run,) = document["runs"]
    return run.get("satisfied", "none"), run.get("satisfied_of", "none")


@pytest.mark.parametrize(
    ("values", "sense", "expected"),
    [
        ({"a": 1.1, "b": 1.2, "c": 0, "d": 0, "e": 5}, "<=", (3, 5)),  # 1.1 is within the tolerance
        ({"a": 1.1, "b": 0.9, "c": 0, "d": 0, "e": 5}, "==", (2, 5)),
        ({"a": [0, 1.5, 2], "b": [0.5, None]}, "<=", (2, 5)),  # what has no value does not hold
        ({"v": [0.5] * 998 + [2.0] * 2}, "<=", (998, 1000)),
        ({"v": [2.0] * 4}, "<=", ("none", "none")),  # few are shown themselves
        ({"v": [2.0] * 4, "w": 0.0}, ">=", (4, 5)),
    ],
)
def test_constraints_that_hold_are_counted(values: dict[str, Any], sense: str, expected: tuple[Any, Any]) -> None:
    assert counted(judged(values, sense=sense)) == expected


def test_a_run_that_came_to_no_result_has_no_number() -> None:
    values = dict.fromkeys("abcde", 0.0)
    assert counted(judged(values, status=Status.DIVERGED)) == (None, 5)


def test_they_hold_on_the_data_that_decide_and_another_tolerance_counts_anew() -> None:
    values = dict.fromkeys("abcde", 1.2)
    found = {name: ConstraintOutcome(0.0 if name < "d" else 2.0) for name in values}
    held = HeldOut(objective=1.0, constraints=found, examples=10)
    assert counted(judged(values, held_out=held)) == (3, 5)
    assert counted(judged(values)) == (0, 5)
    assert counted(judged(values, tolerance=0.2)) == (5, 5)


def test_a_table_of_runs_has_both_numbers() -> None:
    (row,) = records(judged({"v": [0.5, 0.5, 2.0, 0.5, 0.5]}))
    assert (row["satisfied"], row["satisfied_of"]) == (4, 5)
