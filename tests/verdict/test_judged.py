"""Which data decide: training's or held-out examples."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cpd.outcome import ConstraintOutcome, HeldOut, Run, RunKey, Status
from cpd.verdict.judged import judged_outcome, judged_rows
from cpd.verdict.judgement import judge


def task() -> Any:
    bound = SimpleNamespace(level=0.5, sense="<=", tolerance=0.0)
    return SimpleNamespace(
        name="toy", objective="loss", constraints={"g": bound}, train=SimpleNamespace(dtype="float64")
    )


def run(setting: float, training: tuple[float, float], held: tuple[float, float] | None, **more: Any) -> Run:
    """A run by objective and value on training data, and on held-out examples."""
    key = RunKey("lagrangian", {"dual_lr": setting}, {"g": 0.5}, 1)
    on_held = None if held is None else HeldOut(20, held[0], {"g": ConstraintOutcome(held[1], held[1])}, {"x": 2.0})
    own = {"g": ConstraintOutcome(training[1], training[1], 1.5, [0.4, 0.6])}
    return Run(key, Status.COMPLETED, training[0], own, {"x": 1.0}, 10, held_out=on_held, examples=80, **more)


BOTH = [run(1, (1.0, 0.4), (3.0, 0.4)), run(2, (2.0, 0.6), (2.0, 0.5)), run(3, (0.5, 0.4), (0.5, 0.75))]


def test_held_out_examples_decide_where_there_are_any() -> None:
    judged = judge(task(), BOTH)
    assert judged["judge"] == "held_out"
    assert [row["feasible"] for row in judged["runs"]] == [True, True, False]
    assert [row["objective"] for row in judged["runs"]] == [1.0, 2.0, 0.5]  # the training's
    assert judged["runs"][2]["constraints"]["g"]["value"] == 0.4
    assert judged["runs"][2]["held_out"] == {
        "objective": 0.5,
        "constraints": {"g": {"value": 0.75, "surrogate": 0.75, "violation": 0.25, "interval": None, "verdict": None}},
        "metrics": {"x": 2.0},
        "examples": 20,
    }
    (entry,) = judged["summary"]
    assert (entry["best_setting"], entry["best_objective"], entry["feasible_settings"]) == ({"dual_lr": 2}, 2.0, 2)


def test_training_data_decide_where_they_are_asked_for_or_alone() -> None:
    for judged in (judge(task(), BOTH, on="training"), judge(task(), [replace(one, held_out=None) for one in BOTH])):
        assert judged["judge"] == "training"
        assert [row["feasible"] for row in judged["runs"]] == [True, False, True]
        assert judged["summary"][0]["best_setting"] == {"dual_lr": 3}
    assert judge(task(), BOTH, confidence=0.9)["confidence"] == 0.9


def test_a_run_without_numbers_on_the_judged_data_is_not_feasible() -> None:
    judged = judge(task(), [BOTH[0], run(2, (1.0, 0.4), None)])
    assert [row["feasible"] for row in judged["runs"]] == [True, False]
    assert judged["runs"][1]["held_out"] is None
    assert judged_outcome(run(2, (1.0, 0.4), None), "g", "held_out").value is None
    diverged = replace(BOTH[0], status=Status.DIVERGED)
    assert not judge(task(), [diverged])["runs"][0]["feasible"]


def test_a_group_without_held_out_examples_is_an_error_only_where_they_decide() -> None:
    assert BOTH[0].held_out is not None
    empty = replace(BOTH[0].held_out, constraints={"g": ConstraintOutcome()}, error="no held-out example counts for g")
    runs = [replace(BOTH[0], held_out=empty)]
    (row,) = judge(task(), runs)["runs"]
    assert (row["status"], row["feasible"], row["error"]) == ("failed", False, "no held-out example counts for g")
    (row,) = judge(task(), runs, on="training")["runs"]
    assert (row["status"], row["feasible"], row["error"]) == ("completed", True, None)


def test_judged_rows_have_the_numbers_that_decide() -> None:
    judged = judge(task(), BOTH)
    row = judged_rows(judged["runs"], judged["judge"])[2]
    assert (row["objective"], row["metrics"]) == (0.5, {"x": 2.0})
    assert row["constraints"]["g"] == {
        "value": 0.75, "surrogate": 0.75, "violation": 0.25, "multiplier": 1.5, "feasible_share": 0.5,
        "interval": None, "verdict": None,
    }  # fmt: skip
    assert judged_rows(judged["runs"], "training") == judged["runs"]
