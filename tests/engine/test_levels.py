"""Levels that move while runs are trained: the level of every step, in every engine, and what is judged in the end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_batches import assert_close, begun, constraint, key, numbers, one_by_one, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.holding import holding
from cpd.engine.pruning import Prune
from cpd.engine.train import Hooks, Interrupted, train
from cpd.spec.models import MovingConstraint

CONSTRAINTS = {
    "each": MovingConstraint(level=0.5, sense=">=", tolerance=1e-3, start=-1.0, over=0.55),
    "total": constraint(2.0, "=="),
}
LEVELS = {"each": 0.5, "total": 2.0}
HIGHER = {"each": 1.5, "total": 2.0}
KEYS = (
    key("quadratic_penalty", LEVELS, coefficient=2.0),
    key("lagrangian", LEVELS, dual_lr=0.2),
    key("lagrangian", HIGHER, dual_lr=0.2),
    key("nupi", HIGHER, dual_lr=0.2, kp=3.0, every=3),
    key("augmented_lagrangian", LEVELS, dual_lr=0.1, penalty=1.0),
)
BATCH = Batch(source("Quadratic"), CONSTRAINTS, recipe(60), KEYS)


def test_the_level_of_every_step() -> None:
    step = begun(BATCH).going.step
    assert step.moving is not None
    zero = torch.zeros_like(step.levels)
    for t in (0, 1, 20, 32, 33, 34, 59):
        violation = step.violation(zero, torch.tensor(t))
        for row, one in enumerate(begun(BATCH).going.keys):
            to = one.levels["each"]
            level = -1.0 + (to + 1.0) * min(1, t / (0.55 * 60))
            assert violation[row].tolist() == pytest.approx([level] * 3 + [-2.0], rel=1e-12)
    arrived = step.violation(zero, torch.tensor(33))
    assert torch.equal(arrived, step.violation(zero)), "once there, it is that level to the digit"


def test_a_training_is_the_plain_loop_that_one_would_write() -> None:
    one = key("lagrangian", HIGHER, dual_lr=0.2)
    batch = replace(BATCH, keys=(one,))
    x = next(iter(begun(batch).state.parameters.values()))[0, 0].clone().requires_grad_()
    multiplier, free, held = torch.zeros(4, dtype=torch.float64), torch.tensor([False] * 3 + [True]), 0
    for t in range(60):
        level = -1.0 + 2.5 * min(1, t / 33)
        surrogate = torch.cat([level - x, (x.sum() - 2.0).reshape(1)])
        strict = torch.cat([level - x, (x.sum().round(decimals=2) - 2.0).reshape(1)]).detach()
        multiplier = torch.where(free, multiplier + 0.2 * strict, (multiplier + 0.2 * strict).clamp_min(0))
        held += int(t >= 54 and bool((1.5 - x <= 1e-3).all()))
        loss = ((x - 1.0) ** 2).sum() + (multiplier * surrogate).sum()
        (slope,) = torch.autograd.grad(loss, x)
        x = (x - 0.05 * slope).detach().requires_grad_()
    (run,) = train(batch).runs
    each = run.constraints["each"]
    assert each.value == pytest.approx(x.tolist(), rel=1e-9)
    assert each.multiplier == pytest.approx(multiplier[:3].tolist(), rel=1e-9)
    assert each.held == held / 6


@pytest.mark.parametrize("stepper", ["captured", pytest.param("compiled", marks=pytest.mark.slow)])
def test_every_engine_gives_the_same_numbers(stepper: str) -> None:
    eager = train(replace(BATCH, stepper="eager")).runs
    for other in (train(replace(BATCH, stepper=stepper)).runs, one_by_one(BATCH)):
        for one, same in zip(other, eager, strict=True):
            assert_close(one, same)
    fixed = {**CONSTRAINTS, "each": constraint(0.5, ">=")}
    still = train(replace(BATCH, constraints=fixed)).runs
    assert all(numbers(one) != numbers(other) for one, other in zip(still, eager, strict=True))


def test_a_killed_training_goes_on_bit_by_bit(tmp_path: Path) -> None:
    batch = replace(BATCH, stepper="captured", checkpoint=str(tmp_path), checkpoint_every=0.0)
    whole = train(replace(batch, checkpoint=None)).runs
    steps = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(steps) == 23))
    assert [numbers(run) for run in train(batch).runs] == [numbers(run) for run in whole]


def test_runs_are_judged_at_the_last_level() -> None:
    step = begun(BATCH).going.step
    fixed = {**CONSTRAINTS, "each": constraint(0.5, ">=")}
    expected = holding(begun(BATCH).going.keys, fixed, {"each": 3, "total": 1}, step.levels)
    assert step.holding.low is not None
    assert expected.low is not None
    assert torch.equal(step.holding.low, expected.low)


def test_nobody_is_given_up_for_a_level_that_moves() -> None:
    far = replace(BATCH, keys=KEYS[:1], constraints={**CONSTRAINTS, "total": constraint(50.0, "==")})
    far = replace(far, keys=(replace(KEYS[0], levels={"each": 0.5, "total": 50.0}),), prune=Prune())
    assert [run.status.value for run in train(far).runs] == ["completed"]
    still = replace(far, constraints={"each": constraint(0.5, ">="), "total": constraint(50.0, "==")})
    assert [run.status.value for run in train(still).runs] == ["pruned"]
