"""What is kept of a training: irregular steps, and a count of every step of the last tenth."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_batches import begun, constraint, key, mixed_keys, numbers, quadratic, recipe, source

from cpd.engine import recorder
from cpd.engine.batch import Batch
from cpd.engine.holding import holding, interval
from cpd.engine.recorder import Recorder, in_groups, irregular
from cpd.engine.steppers.stepper import Eager
from cpd.engine.train import Hooks, Interrupted, train
from cpd.outcome import Diagnosis, Run, Status
from cpd.spec.models import Constraint, Optimizer
from cpd.verdict.diagnosis import diagnose
from cpd.verdict.feasibility import feasible_share, holds

LEVELS = {"each": 0.5, "total": 2.0}
WILD = [key("quadratic_penalty", LEVELS, coefficient=c) for c in (1e9, 2e9, 3e9, 4e9)]
TAME = [key("penalized", LEVELS, coefficient=0.3), key("lagrangian", LEVELS, dual_lr=0.2, update="simultaneous")]
MIXED = [WILD[0], TAME[0], *WILD[1:], TAME[1]]
STEPS = [1, 2, 9, 10, 499, 500, 501, 999, 1000, 1001, 5000, 12_345, 20_000, 20_001, 1_000_003]
STEPPERS = ["eager", "captured", pytest.param("compiled", marks=pytest.mark.slow)]


def alias(steps: int, size: int = 1, stepper: str = "captured", **options: Any) -> Batch:
    """Level 1: x holds at every other step; of the vector every component does at none but x's own."""
    bounds = {"x": constraint(1.0, "<="), "all": constraint(0.5, "<=")}
    keys = tuple(key("lagrangian", {"x": 1.0, "all": level}, dual_lr=6.0) for level in (0.5, 100.0))
    optimizer = Optimizer(name="SGD", options={"lr": 0.5})
    return Batch(
        source("Alias", size=size), bounds, recipe(steps, optimizer=optimizer), keys, stepper=stepper, **options
    )


# Which steps are kept


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("components", [1, 100])
def test_the_first_and_the_last_step_are_kept_and_the_others_near_their_regular_places(
    steps: int, components: int
) -> None:
    kept = Recorder(steps, components)
    assert len(kept.marks) <= recorder.POINTS
    assert kept.tail_start == steps - max(1, steps // 10)
    for marks, first in ((kept.marks, 0), (kept.tail, kept.tail_start)):
        assert (marks[0], marks[-1]) == (first, steps - 1)
        assert all(a < b for a, b in pairwise(marks))
    assert all(abs(mark - k * kept.stride) < kept.stride for k, mark in enumerate(kept.marks))
    assert len(kept.tail) <= 1.1 * recorder.TAIL_POINTS
    assert all(kept.wants(step) == (step in {*kept.marks, *kept.tail}) for step in range(steps - 200, steps))


def test_the_same_number_of_steps_keeps_the_same_steps() -> None:
    assert irregular(30, 3) == [0, 4, 6, 10, 13, 16, 19, 22, 25, 29]
    assert in_groups(100, 140, 2) == [
        *range(100, 104),
        *range(111, 115),
        *range(119, 123),
        *range(129, 133),
        *range(136, 140),
    ]


@pytest.mark.parametrize("period", [2, 3, 4, 5, 7, 8, 10, 20, 40, 41, 64])
@pytest.mark.parametrize("steps", [20_000, 20_001, 50_000, 200_000])
def test_no_cycle_falls_in_with_the_steps_that_are_kept(period: int, steps: int) -> None:
    kept = Recorder(steps, 1)
    for marks in (kept.marks, kept.tail):
        phases = np.bincount([mark % period for mark in marks], minlength=period) / len(marks)
        assert abs(phases[: period // 2].sum() - (period // 2) / period) < 0.1


def test_what_swings_from_step_to_step_is_told_from_noise() -> None:
    tail = Recorder(20_000, 1).tail
    assert sum(b - a == 1 for a, b in pairwise(tail)) > 0.7 * len(tail)


# How many of all steps hold


@pytest.mark.parametrize("stepper", STEPPERS[1:])
@pytest.mark.parametrize("steps", [2000, 2001])
def test_a_cycle_of_two_steps_holds_half_of_the_time(steps: int, stepper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "TAIL_POINTS", 50)
    tight, loose = train(alias(steps, size=2, stepper=stepper)).runs
    bounds = alias(steps).constraints
    for run in (tight, loose):
        x = run.constraints["x"]
        assert len(x.tail) < 80
        assert x.held == 0.5
        assert x.tolerance == 1e-3
        assert feasible_share(x.tail, 1.0, bounds["x"], "float64") == pytest.approx(0.5, abs=0.1)
        assert diagnose(run, bounds, dtype="float64") is Diagnosis.OSCILLATING
        assert run.curves is not None
        assert run.curves.steps == Recorder(steps, 3).marks
    assert [run.constraints["all"].held for run in (tight, loose)] == [0.5, 1.0]


@pytest.mark.parametrize("stepper", STEPPERS)
def test_the_count_is_that_of_the_recorded_steps_where_all_are_recorded(stepper: str) -> None:
    batch = quadratic(mixed_keys(), steps=430, stepper=stepper)
    seen = set()
    for run in train(batch).runs:
        for name, outcome in run.constraints.items():
            assert len(outcome.tail) == min(43, run.steps - 387)
            assert outcome.held == share(run, name, batch)
            seen.add(outcome.held)
    assert len(seen) > 2


def share(run: Run, name: str, batch: Batch) -> float | None:
    bound = batch.constraints[name]
    return feasible_share(run.constraints[name].tail, run.key.levels[name], bound, batch.train.dtype)


def test_of_a_run_that_diverged_the_steps_that_it_did_count() -> None:
    batch = quadratic(MIXED, steps=300)
    early = [run for run in train(batch).runs if run.status is Status.DIVERGED]
    assert early
    for run in early:
        assert run.steps < 270
        assert {c.held for c in run.constraints.values()} == {None}
        assert {len(c.tail) for c in run.constraints.values()} == {0}


@pytest.mark.parametrize("stepper", STEPPERS[:2])
def test_a_run_that_diverges_in_the_last_tenth_stops_counting(stepper: str) -> None:
    growing = key("quadratic_penalty", {"each": -5.0, "total": 2.0}, coefficient=2.0, growth=1.3)
    (first,) = train(quadratic([growing], steps=100)).runs
    assert first.status is Status.DIVERGED
    whole = math.ceil(first.steps / 0.95)
    (run, other) = train(quadratic([growing, TAME[0]], steps=whole, stepper=stepper)).runs
    assert run.status is Status.DIVERGED
    begin = whole - max(1, whole // 10)
    assert begin < run.steps < whole
    each = run.constraints["each"]
    assert len(each.tail) == run.steps - begin
    assert each.held == sum(all(x > -5.001 for x in point) for point in each.tail) / len(each.tail)
    assert other.constraints["each"].held is not None


@pytest.mark.parametrize("stop", [95])
def test_a_resumed_training_counts_and_keeps_the_same(tmp_path: Path, stop: int) -> None:
    batch = quadratic(MIXED, steps=700)
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path))
    calls = iter(range(100_000))
    ends = int(stop / 100 * len(Recorder(700, 4).marks))
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(calls) >= ends))
    assert [numbers(run) for run in train(kept).runs] == [numbers(run) for run in whole]


def test_counts_start_anew_where_the_last_tenth_begins() -> None:
    training = begun(quadratic([key("penalized", {"each": -9.0, "total": 0.0}, coefficient=0.0)], steps=100))
    seen = {}
    for _ in training.spans(Eager(training.going.step)):
        seen[training.done] = training.state.held[0].tolist()
    assert seen[90] == [90, 0]
    assert seen[100] == [10, 0]


# The same condition as the verdict's


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sense", ["<=", ">=", "=="])
@pytest.mark.parametrize("tolerance", [0.0, 1e-12, 1e-3, 0.1, 3.0, 1e30])
@pytest.mark.parametrize("level", [0.0, 0.7, -0.7, 1e-9, 1 / 3, -123.456, 1e6, 1e20, -1e35])
def test_the_ends_are_where_the_verdict_changes(level: float, tolerance: float, sense: Any, dtype: str) -> None:
    bound = Constraint(level=level, sense=sense, tolerance=tolerance)
    low, high = interval(level, bound, dtype)
    kind = getattr(np, dtype)
    for end, side in ((low, -np.inf), (high, np.inf)):
        if math.isfinite(end):
            beyond = float(np.nextafter(kind(end), kind(side)))
            assert holds(end, level, bound, dtype)
            assert not holds(beyond, level, bound, dtype)
    assert math.isinf(low) or sense != "<="
    assert math.isinf(high) or sense != ">="


def test_a_level_that_the_dtype_does_not_reach_is_beyond_all_numbers() -> None:
    assert interval(1e300, Constraint(level=0, sense="<="), "float32") == (-math.inf, math.inf)
    assert interval(1e300, Constraint(level=0, sense=">="), "float32") == (math.inf, math.inf)
    assert interval(0.0, Constraint(level=0, sense="<=", tolerance=1e308), "float32") == (-math.inf, math.inf)


@pytest.mark.parametrize("senses", [("<=", "<="), (">=", ">="), ("==", "<="), ("==", "==")])
@pytest.mark.parametrize("size", [1, 2])
def test_a_constraint_holds_where_every_component_does(senses: tuple[Any, Any], size: int) -> None:
    bounds = {n: Constraint(level=0, sense=s, tolerance=0.5) for n, s in zip(("g", "v"), senses, strict=True)}
    keys = [key("penalized", {"g": level, "v": level}, coefficient=1.0) for level in (0.0, 1.0, 2.0)]
    values = torch.tensor([[0.0, 0.5, -9.0], [9.0, 1.4, 0.6], [0.0, 9.0, 2.5]], dtype=torch.float64)[:, : 1 + size]
    found = holding(keys, bounds, {"g": 1, "v": size}, values)

    def by_hand(r: int, name: str) -> bool:
        numbers = values[r].tolist()
        return holds(numbers[:1] if name == "g" else numbers[1:], keys[r].levels[name], bounds[name], "float64")

    assert found.held(values).tolist() == [[by_hand(r, n) for n in ("g", "v")] for r in range(3)]
