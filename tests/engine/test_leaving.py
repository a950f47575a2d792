"""Runs that leave their batch: diverged or given up; the others go on as if nothing had happened."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import ADAM, SGD, assert_close, constraint, key, numbers, quadratic, recipe, source

from cpd.engine import preparing
from cpd.engine.batch import Batch
from cpd.engine.pruning import Prune, given_up
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.training import Training
from cpd.outcome import RunKey, Status
from cpd.spec.models import Optimizer

LEVELS = {"each": 0.5, "total": 2.0}
WILD = [key("quadratic_penalty", LEVELS, coefficient=c) for c in (1e9, 2e9, 3e9, 4e9, 5e9)]
TAME = [
    key("penalized", LEVELS, coefficient=0.3),
    key("quadratic_penalty", LEVELS, coefficient=2.0, growth=1.01),
    key("lagrangian", LEVELS, dual_lr=0.2, update="simultaneous"),
]
MIXED: list[RunKey] = [WILD[0], TAME[0], WILD[1], TAME[1], WILD[2], WILD[3], TAME[2], WILD[4]]
OPTIMIZERS = {"SGD": SGD, "momentum": Optimizer(name="SGD", options={"lr": 0.05, "momentum": 0.9}), "Adam": ADAM}


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows stayed, each time that runs were taken out."""
    seen: list[int] = []
    split = Training.split

    def watched(self: Training, stay: list[int]) -> None:
        seen.append(len(stay))
        split(self, stay)

    monkeypatch.setattr(Training, "split", watched)
    return seen


@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize("optimizer", ["SGD", "momentum"])
def test_diverged_runs_are_taken_out_and_the_others_are_as_without_them(
    stepper: str, optimizer: str, sizes: list[int]
) -> None:
    options: dict[str, Any] = {"stepper": stepper, "optimizer": OPTIMIZERS[optimizer], "steps": 100}
    alone = train(quadratic(TAME, **options)).runs
    assert sizes == []
    runs = train(quadratic(MIXED, **options)).runs
    assert sizes == [3]
    assert [run.key for run in runs] == MIXED
    assert [run.status for run in runs if run.key in WILD] == [Status.DIVERGED] * 5
    assert [numbers(run) for run in runs if run.key in TAME] == [numbers(run) for run in alone]


def test_a_lone_survivor_stays_in_a_batch_of_two(sizes: list[int]) -> None:
    runs = train(quadratic([*WILD, TAME[0]], steps=100)).runs
    assert sizes == [2]
    (alone,) = train(quadratic([TAME[0]], steps=100)).runs
    assert numbers(runs[-1]) == numbers(alone)


def test_a_lone_survivor_whose_step_is_large_goes_on_alone(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preparing, "LARGE_STEP", 0)  # it has no products
    batch = quadratic([*WILD, TAME[0]], steps=100)
    run = train(batch).runs[-1]
    assert sizes == [1]
    (alone,) = train(quadratic([TAME[0]], steps=100)).runs
    assert_close(run, alone)
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    calls = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(calls) >= 60))
    assert numbers(train(kept).runs[-1]) == numbers(run)


def test_a_batch_of_diverged_runs_ends_early() -> None:
    done: list[int] = []

    def stop() -> bool:
        done.append(1)
        return False

    hooks = Hooks(stop=stop)
    runs = train(quadratic(WILD, steps=1000, stepper="eager"), hooks).runs
    assert {run.status for run in runs} == {Status.DIVERGED}
    assert len(done) < 120


def test_a_training_resumed_after_runs_left_equals_an_uninterrupted_one(tmp_path: Path, sizes: list[int]) -> None:
    batch = quadratic(MIXED, steps=100, optimizer=SGD, arguments={"noise": 0.05})
    whole = train(batch).runs
    sizes.clear()
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    stops = 0
    while True:
        calls = iter(range(10_000))

        def stop(calls: Iterator[int] = calls) -> bool:
            return next(calls) >= 30

        try:
            resumed = train(kept, Hooks(stop=stop)).runs
            break
        except Interrupted:
            stops += 1
    assert stops >= 2
    assert sizes.count(3) >= 2  # taken out once, and again by each later part
    assert [numbers(run) for run in resumed] == [numbers(run) for run in whole]


SIZE = {"size": constraint(1.0, "<=")}


def line(keys: tuple[RunKey, ...], prune: Prune | None, steps: int = 400, lr: float = 0.01) -> Batch:
    """``(x - 2)^2`` with ``x <= 1``: a coefficient c ends at 2 - c/2."""
    optimizer = Optimizer(name="SGD", options={"lr": lr})
    return Batch(source("Line"), SIZE, recipe(steps, optimizer=optimizer), keys, prune=prune)


COEFFICIENTS = tuple(key("penalized", {"size": 1.0}, coefficient=c) for c in (0.0, 1.99, 2.0, 3.0, 20.0))


def test_penalised_runs_far_on_the_wrong_side_are_given_up_and_others_unchanged() -> None:
    whole = train(line(COEFFICIENTS, None)).runs
    runs = train(line(COEFFICIENTS, Prune())).runs
    assert [run.status.value for run in runs] == ["pruned", "completed", "completed", "completed", "completed"]
    assert [numbers(run) for run in runs[1:]] == [numbers(run) for run in whole[1:]]
    given = runs[0]
    assert given.steps == 200
    assert (given.objective, given.constraints, given.metrics) == (None, {}, {})


def test_a_search_gives_up_both_sides() -> None:
    runs = train(line(COEFFICIENTS, Prune("size", both_sides=True))).runs
    assert [run.status.value for run in runs] == ["pruned", "completed", "completed", "pruned", "pruned"]


def test_a_method_with_multipliers_is_never_given_up() -> None:
    slow = (key("lagrangian", {"size": 1.0}, dual_lr=1e-6), key("nupi", {"size": 1.0}, dual_lr=1e-6))
    assert {run.status for run in train(line(slow, Prune())).runs} == {Status.COMPLETED}


@pytest.mark.parametrize(("growth", "given_up"), [(1.01, False), (1.0, True), (None, True)])
def test_a_coefficient_that_grows_is_never_given_up(growth: float | None, given_up: bool) -> None:
    setting: dict[str, Any] = {} if growth is None else {"growth": growth}
    small = key("quadratic_penalty", {"size": 1.0}, coefficient=1e-5, **setting)
    (run, fixed) = train(line((small, COEFFICIENTS[0]), Prune(), steps=1600)).runs
    assert (run.status is Status.PRUNED) == given_up
    assert fixed.status is Status.PRUNED
    if not given_up:  # it has come back to its level by the end
        assert run.constraints["size"].value == pytest.approx(1.0, abs=0.05)


def test_a_run_on_its_way_is_not_given_up() -> None:
    # Starts at -1: far within the level of 1 and moving towards it all the time.
    on_its_way = (key("penalized", {"size": 1.0}, coefficient=0.8), key("penalized", {"size": 1.0}, coefficient=0.9))
    runs = train(line(on_its_way, Prune("size", both_sides=True), steps=400, lr=0.002)).runs
    assert {run.status for run in runs} == {Status.COMPLETED}


@pytest.mark.parametrize(
    ("values", "left", "expected"),
    [
        ([0.5] * 20, 20, True),  # stays where it is
        ([0.05] * 20, 20, False),  # within the margin
        ([0.5 - 0.01 * k for k in range(20)], 20, False),  # comes back at half the pace that is granted
        ([0.5 - 0.001 * k for k in range(20)], 20, True),  # too slow to come back in time
        ([-0.5] * 20, 20, False),  # far within the level
        ([float("nan")] * 20, 20, False),
    ],
)
def test_the_rule_by_hand(values: list[float], left: float, expected: bool) -> None:
    violations = torch.tensor(values).view(-1, 1, 1)
    found = given_up(violations, left, torch.tensor([0.1]), torch.tensor([False]))
    assert found.tolist() == [expected]


def test_below_counts_where_it_is_asked_for() -> None:
    violations = torch.full((20, 1, 2), -0.5)
    margin = torch.tensor([0.1, float("inf")])
    assert given_up(violations, 20, margin, torch.tensor([True, True])).tolist() == [True]
    assert given_up(violations, 20, margin, torch.tensor([False, True])).tolist() == [False]
