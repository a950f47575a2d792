"""Runs whose recipes differ in numbers are one program, and each has the numbers of a task with its own recipe."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_batches import QUADRATIC, assert_close, constraint, numbers, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder
from cpd.engine.steppers import captured
from cpd.engine.steppers.packaging import missing_compiler
from cpd.engine.train import Hooks, Interrupted, train
from cpd.outcome import Run, RunKey
from cpd.spec.models import Optimizer
from cpd.spec.recipes import train_of

LR = "train.optimizer.lr"
LEVELS = {"each": 0.5, "total": 2.0}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *(("penalized", {"coefficient": c}) for c in (0.0, 0.1, 0.3, 1.0, 4.0)),
    ("lagrangian", {"dual_lr": 0.1}),
]
compiled = pytest.param(
    "compiled",
    marks=[pytest.mark.slow, pytest.mark.skipif(missing_compiler() is not None, reason=str(missing_compiler()))],
)


def rows(optimizer: Optimizer, rates: tuple[float, ...], stepper: str = "eager") -> Batch:
    """Every setting with every step-size."""
    keys = [RunKey(m, {**s, LR: lr}, LEVELS, 1) for lr, (m, s) in itertools.product(rates, SETTINGS)]
    return Batch(source("Quadratic"), QUADRATIC, recipe(60, optimizer=optimizer), tuple(keys), stepper=stepper)


def alone(batch: Batch) -> list[Run]:
    """Each run trained by itself, by a recipe that has its numbers in place."""
    found = []
    for key in batch.keys:
        own = replace(batch, train=train_of(batch.train, key.setting), stepper="eager", fuse=False)
        found += train(replace(own, keys=(replace(key, setting=key.hyperparameters),))).runs
    return found


def assert_alike(batch: Batch) -> None:
    for one, other in zip(train(batch).runs, alone(batch), strict=True):
        assert_close(one, replace(other, key=one.key))


@pytest.mark.parametrize("stepper", ["eager", "captured", compiled])
def test_four_learning_rates_and_five_coefficients_are_one_program(
    stepper: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    monkeypatch.setattr(captured, "_traces", {})
    batch = rows(Optimizer(name="SGD", options={"lr": 7.0, "momentum": 0.9}), (0.1, 0.05, 0.01, 1e-3), stepper)
    (group,) = Builder(batch).groups()
    assert isinstance(group, Prepared)
    assert group.models.runs == 4 * len(SETTINGS)
    assert_alike(batch)
    assert len(captured._traces) == (stepper != "eager")
    assert len(list(tmp_path.glob("*.pt2"))) == (stepper == "compiled")


@pytest.mark.parametrize(
    "optimizer",
    [
        Optimizer(name="Adam", options={"lr": 0.3}),
        Optimizer(name="Rprop"),  # it starts from its step-size, and names none
        Optimizer(name="ASGD", options={"lr": 0.3, "lambd": 0.1}),
    ],
    ids=lambda one: one.name,
)
def test_each_optimizer_starts_every_run_from_its_own_rate(optimizer: Optimizer) -> None:
    options = {"lr": 0.3, **optimizer.options}
    assert_alike(rows(Optimizer(name=optimizer.name, options=options), (0.2, 0.02)))


def test_a_minibatch_training_with_dropout_has_rows_too() -> None:
    keys = tuple(RunKey("nupi", {"dual_lr": 0.5, "kp": 1.0, LR: lr}, {"rate": 0.7}, 1) for lr in (0.1, 0.03))
    bounds = {"rate": constraint(0.7, ">=")}
    momentum = Optimizer(name="SGD", options={"lr": 1.0, "momentum": 0.9})
    assert_alike(Batch(source("Classifier"), bounds, recipe(40, 16, momentum), keys))


def test_a_run_that_diverges_by_its_rate_leaves_the_others_alone() -> None:
    whole = rows(Optimizer(name="SGD", options={"lr": 1.0}), (0.05, 1e6))
    calm = replace(whole, keys=whole.keys[: len(SETTINGS)])
    found = train(whole).runs
    assert {run.status.value for run in found[len(SETTINGS) :]} == {"diverged"}
    assert list(map(numbers, found[: len(SETTINGS)])) == list(map(numbers, train(calm).runs))


@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_a_resumed_training_keeps_the_rates(stepper: str, tmp_path: Path) -> None:
    batch = rows(Optimizer(name="Adam", options={"lr": 1.0}), (0.1, 0.01), stepper)
    whole = train(batch)
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    spans = itertools.count()
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(spans) == 4))
    assert list(map(numbers, train(kept).runs)) == list(map(numbers, whole.runs))
