"""Dual step-sizes that change from step to step: those of torch's own schedulers, in every engine, cut or resumed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import ADAM, assert_close, constraint, key, numbers, one_by_one, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.dual import Clock
from cpd.engine.method_groups import MethodGroups, group_name
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import SpecError
from cpd.outcome import RunKey

CLOCK = Clock(40, 4)
COSINE = {"name": "CosineAnnealingLR", "T_max": "all", "eta_min": 0.01}
WARM_UP = [{"name": "LinearLR", "start_factor": 0.1, "total_iters": 10}, {"name": "ExponentialLR", "gamma": 0.9}]
EACH_EPOCH = {"name": "StepLR", "step_size": 2, "gamma": 0.5, "every": "epoch"}


def by_torch(schedule: Any, lr: float) -> list[float]:
    """The step-sizes of a plain loop with torch's own scheduler."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedulers = torch.optim.lr_scheduler
    scheduler: Any
    if schedule is COSINE:
        scheduler = schedulers.CosineAnnealingLR(optimizer, T_max=CLOCK.steps, eta_min=0.01)
    elif schedule is EACH_EPOCH:
        scheduler = schedulers.StepLR(optimizer, step_size=2, gamma=0.5)
    else:
        linear = schedulers.LinearLR(optimizer, start_factor=0.1, total_iters=10)
        scheduler = schedulers.SequentialLR(optimizer, [linear, schedulers.ExponentialLR(optimizer, gamma=0.9)], [10])
    found = []
    for t in range(CLOCK.steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not EACH_EPOCH or (t + 1) % CLOCK.epoch == 0:
            scheduler.step()
    return found


@pytest.mark.parametrize("method", ["lagrangian", "nupi", "augmented_lagrangian"])
def test_every_move_has_the_step_size_of_torchs_own_scheduler(method: str) -> None:
    fixed: dict[str, Any] = {"penalty": 1.0} if method == "augmented_lagrangian" else {}
    settings: list[dict[str, Any]] = [
        {"dual_lr": lr, "dual_schedule": s} for s in (COSINE, WARM_UP, EACH_EPOCH) for lr in (0.1, [0.3, 0.05])
    ]
    groups = MethodGroups(
        [RunKey(method, setting | fixed, {}, 1) for setting in settings],
        {"a": 1, "b": 1},
        torch.tensor([False, True]),
        like := torch.zeros(len(settings), 2, dtype=torch.float64),
        CLOCK,
    )
    assert len(groups.parts) == 1, "schedules are numbers of one program"
    states, on, before = groups.init(like), torch.ones(len(settings), dtype=torch.bool), like
    expected = [
        [
            by_torch(one["dual_schedule"], lr)
            for lr in (one["dual_lr"] if isinstance(one["dual_lr"], list) else [0.1] * 2)
        ]
        for one in settings
    ]
    for t in range(CLOCK.steps):
        states = groups.update(torch.ones_like(like), states, on, torch.tensor(t))
        moved = groups.multipliers(states, like) - before
        before = groups.multipliers(states, like)
        sizes = torch.tensor([[column[t] for column in row] for row in expected], dtype=torch.float64)
        torch.testing.assert_close(moved, sizes, rtol=1e-9, atol=1e-12)


def test_a_schedule_goes_by_the_steps_of_the_training_whenever_multipliers_move() -> None:
    like, sizes = torch.zeros(1, 2, dtype=torch.float64), by_torch(COSINE, 0.1)
    options = {"name": "SGD", "weight_decay": 1e-9}
    for given in ({}, {"dual_optimizer": options}):
        setting = {"dual_lr": 0.1, "dual_schedule": COSINE, "every": 5, "start": 0.25, **given}
        groups = MethodGroups([RunKey("lagrangian", setting, {}, 1)], {"a": 2}, torch.tensor([False] * 2), like, CLOCK)
        states = groups.init(like)
        for t in range(CLOCK.steps):
            states = groups.update(torch.ones_like(like), states, torch.tensor([True]), torch.tensor(t))
        found = groups.multipliers(states, like)[0, 0].item()
        assert found == pytest.approx(sum(sizes[t] for t in range(10, 40) if (t + 1) % 5 == 0), rel=1e-7)


BATCH = Batch(
    source("Classifier"),
    {"rate": constraint(0.7, ">=")},
    recipe(40, 16, ADAM),
    tuple(
        sorted(
            (
                key("lagrangian", {"rate": 0.7}, dual_lr=e, dual_schedule=s, dual_optimizer=o)
                for e in (0.5, 2.0)
                for s in (COSINE, WARM_UP, EACH_EPOCH)
                for o in ("SGD", {"name": "Rprop"})
            ),
            key=lambda one: str(group_name(one)),
        )
    ),
)


@pytest.mark.parametrize("stepper", ["captured", pytest.param("compiled", marks=pytest.mark.slow)])
def test_every_engine_gives_the_same_numbers(stepper: str) -> None:
    eager = train(replace(BATCH, stepper="eager")).runs
    for other in (train(replace(BATCH, stepper=stepper)).runs, one_by_one(BATCH)):
        for one, same in zip(other, eager, strict=True):
            assert_close(one, same)


def test_a_killed_training_goes_on_bit_by_bit(tmp_path: Path) -> None:
    batch = replace(BATCH, stepper="captured", checkpoint=str(tmp_path), checkpoint_every=0.0)
    whole = train(replace(batch, checkpoint=None)).runs
    steps = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(steps) == 17))
    assert [numbers(run) for run in train(batch).runs] == [numbers(run) for run in whole]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "StepLR", "step": 2}, "methods.lagrangian.dual_schedule.step: StepLR takes no option 'step'"),
        ({"name": "StepLR"}, "methods.lagrangian.dual_schedule: StepLR refuses"),
        (
            {"name": "OneCycleLR", "max_lr": 1.0, "total_steps": "all"},
            "methods.lagrangian.dual_schedule: it changes momentum as well, which stays as it is here; "
            "write cycle_momentum: false",
        ),
    ],
)
def test_what_a_scheduler_refuses(schedule: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        train(replace(BATCH, keys=(key("lagrangian", {"rate": 0.7}, dual_lr=0.1, dual_schedule=schedule),)))
    assert str(caught.value).startswith(message)
