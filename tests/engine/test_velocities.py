"""Directions that do to each constraint what a method asks: programs, steps by hand, a loop of its own, refusals."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import many_problems
import numpy as np
import pytest
import torch
from engine_batches import SGD, assert_close, bundled, constraint, key, one_by_one, quadratic, recipe, source
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.quadratic import pivoted
from cpd.engine.train import train
from cpd.errors import CpdError, SpecError
from cpd.outcome import Status
from cpd.spec.models import Optimizer, ProblemSource

LEVELS = {"each": 0.5, "total": 2.0}


def every_choice(own: Any, rows: Any, fall: Any, free: Any, held: Any) -> Any:
    """The nearest v to -own with rows v <= -fall, by trying every set of constraints that act; no code of cpd."""
    signed = [k for k in range(len(rows)) if held[k] and not free[k]]
    best, nearest = None, np.inf
    for chosen in product([False, True], repeat=len(signed)):
        acting = [k for k in range(len(rows)) if held[k] and (free[k] or (k in signed and chosen[signed.index(k)]))]
        a = rows[acting]
        multiplier = np.zeros(len(rows))
        if acting:
            multiplier[acting] = np.linalg.lstsq(a @ a.T, fall[acting] - a @ own, rcond=None)[0]
        v = -own - rows.T @ multiplier
        slack = 1e-8 * (np.abs(fall) + np.linalg.norm(rows, axis=1) * np.linalg.norm(v))
        met = all(rows[k] @ v <= -fall[k] + slack[k] for k in signed)
        met = met and all(abs(rows[k] @ v + fall[k]) <= slack[k] for k in acting)
        if met and (multiplier[signed] >= -1e-9 * np.abs(multiplier).max()).all() and ((v + own) ** 2).sum() < nearest:
            best, nearest = v, ((v + own) ** 2).sum()
    return best


@pytest.mark.parametrize("components", [1, 2, 3, 5])
def test_the_program_is_that_of_every_choice(components: int) -> None:
    draw = torch.Generator().manual_seed(components)
    own = torch.randn(40, 7, dtype=torch.float64, generator=draw)
    rows = torch.randn(40, components, 7, dtype=torch.float64, generator=draw)
    rows[:20] *= torch.logspace(-3, 3, components, dtype=torch.float64).unsqueeze(-1)  # of very different sizes
    rows[20:30, -1] = rows[20:30, 0] + 1e-3 * rows[20:30, -1]  # all but parallel
    fall = torch.randn(40, components, dtype=torch.float64, generator=draw)
    held = torch.rand(40, components, generator=draw) < 0.8
    free = torch.arange(components) == 1
    right = fall - (rows * own.unsqueeze(1)).sum(-1)
    found = pivoted(rows @ rows.mT, right, free, held, torch.zeros_like(fall))
    again = pivoted(rows @ rows.mT, right, free, held, found)
    torch.testing.assert_close(again, found, rtol=1e-6, atol=1e-9)
    assert (found[held & ~free] >= 0).all()
    assert (found[~held] == 0).all()
    v = -own - (rows.mT @ found.unsqueeze(-1)).squeeze(-1)
    for k in range(40):
        # Of gradients that are all but parallel, squares of 1e-6 beside the ridge of 1e-8, a hundredth is missed.
        args = (own[k], rows[k], fall[k], free, held[k])
        expected = every_choice(*(each.numpy() for each in args))
        scale = max(1.0, float(np.abs(expected).max()))
        assert v[k].numpy() == pytest.approx(expected, abs=0.05 * scale if 20 <= k < 30 else 1e-5 * scale), k


def test_many_components_and_gradients_that_contradict_or_are_0() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 64, 80, dtype=torch.float64, generator=draw)
    right = torch.randn(5, 64, dtype=torch.float64, generator=draw)
    gram, every = rows @ rows.mT, torch.ones(5, 64, dtype=torch.bool)
    found = pivoted(gram, right, torch.zeros(64, dtype=torch.bool), every, torch.zeros_like(right))
    slack = (gram @ found.unsqueeze(-1)).squeeze(-1) - right
    assert (slack > -1e-5).all()
    assert (found * slack).abs().max() < 1e-5
    # v <= -1 and v >= 1: halfway, whatever the multipliers; a gradient of 0 asks for nothing.
    row = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    fall, all_of_them = torch.ones(1, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool)
    none = torch.zeros(3, dtype=torch.bool)
    found = pivoted((row[:, None] * row)[None], fall, none, all_of_them, torch.zeros_like(fall))[0]
    assert found.isfinite().all()
    assert found[2] == 0
    assert float(found @ row) == pytest.approx(0, abs=1e-6)


def violations(x: Tensor) -> Tensor:
    return torch.cat([0.5 - x, (x.sum() - 2.0).reshape(1)])


def looped(steps: int, alpha: float, hold: str) -> tuple[float, Tensor]:
    """``min |x - 1|^2`` where each x_i >= 0.5 and their sum is 2, with no code of cpd."""
    torch.manual_seed(1)
    x = torch.nn.Linear(3, 1, bias=False).weight.detach().double()[0]
    free = np.array([False, False, False, True])
    for _ in range(steps):
        rows = torch.autograd.functional.jacobian(violations, x)
        g = torch.cat([0.5 - x, x.sum().round(decimals=2).reshape(1) - 2.0])  # strict: the problem rounds the sum
        held = free | (g.numpy() >= 0) if hold == "violated" else np.ones(4, dtype=bool)
        v = every_choice((2 * (x - 1)).numpy(), rows.numpy(), (alpha * g).numpy(), free, held)
        x = x + 0.05 * torch.from_numpy(v)
    return float((x - 1).square().sum()), violations(x)


@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize("hold", ["all", "violated"])
def test_its_steps_are_those_of_a_loop_of_its_own(hold: str, stepper: str) -> None:
    for steps in (1, 2, 3, 25):
        (run,) = train(quadratic([key("projected", LEVELS, alpha=2.0, hold=hold)], steps=steps, stepper=stepper)).runs
        objective, g = looped(steps, 2.0, hold)
        assert run.objective == pytest.approx(objective, rel=1e-5, abs=1e-9)
        assert run.constraints["total"].surrogate == pytest.approx(float(g[3]) + 2, rel=1e-6)


def test_three_steps_by_hand() -> None:
    """x falls from 1 where f = x and x == 0: v = -alpha x, and lambda = alpha x - 1 gives it."""
    keys = [key("projected", {"x": 0.0}, alpha=alpha) for alpha in (1.0, 3.0)]
    train_ = recipe(3, optimizer=Optimizer(name="SGD", options={"lr": 0.2}))
    runs = train(Batch(source("Game"), {"x": constraint(0.0, "==")}, train_, tuple(keys), stepper="eager")).runs
    assert [run.constraints["x"].value for run in runs] == pytest.approx([0.8**3, 0.4**3], rel=1e-6)
    assert [run.constraints["x"].multiplier for run in runs] == pytest.approx([0.8**2 - 1, 3 * 0.4**2 - 1], rel=1e-6)


@pytest.mark.parametrize("optimizer", [SGD, Optimizer(name="Adam", options={"lr": 0.02})])
def test_minibatches_beside_other_methods_fused_and_one_by_one(optimizer: Optimizer) -> None:
    settings: list[tuple[str, dict[str, Any]]] = [
        ("projected", {"alpha": 0.5}),
        ("lagrangian", {"dual_lr": 0.1}),
        ("projected", {"alpha": 2.0}),
        ("projected", {"alpha": 2.0, "hold": "violated"}),
    ]
    keys = tuple(key(method, {"rate": 0.7}, seed, **given) for seed in (1, 2) for method, given in settings)
    batch = Batch(source("Classifier"), {"rate": constraint(0.7, ">=")}, recipe(20, 16, optimizer), keys)
    for fused, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert fused.status is Status.COMPLETED
        assert_close(fused, alone)


def test_in_single_precision_it_comes_to_the_shortest_solution() -> None:
    bounds, levels = {"row1": constraint(1.0, ">="), "row2": constraint(2.0, ">=")}, {"row1": 1.0, "row2": 2.0}
    keys = tuple(key("projected", levels, alpha=alpha) for alpha in (0.5, 5.0))
    train_ = recipe(500, optimizer=SGD, dtype="float32")
    for run in train(Batch(bundled("cpd.problems.min_norm:MinNorm"), bounds, train_, keys)).runs:
        assert [run.constraints[row].value for row in bounds] == pytest.approx([1, 2], abs=1e-3)
        assert [run.constraints[row].multiplier for row in bounds] == pytest.approx([1 / 17, 11 / 17], abs=1e-3)


def test_it_is_refused_where_a_step_has_no_gradient_of_each() -> None:
    keys = [key("projected", LEVELS, alpha=1.0)]
    with pytest.raises(SpecError, match=r"^methods\.projected: it projects one gradient a step, and LBFGS"):
        train(quadratic(keys, optimizer=Optimizer(name="LBFGS")))
    train_ = recipe(5, 16).model_copy(update={"accumulate": 2})
    batch = Batch(
        source("Classifier"), {"rate": constraint(0.7, ">=")}, train_, (key("projected", {"rate": 0.7}, alpha=1.0),)
    )
    with pytest.raises(SpecError, match=r"^methods\.projected: it takes the gradient of each constraint"):
        train(batch)


def test_too_many_components_are_refused() -> None:
    file = Path(many_problems.__file__)
    problem = ProblemSource(target=f"{file.name}:Bounds", path=str(file), source=file.read_text(), arguments={"n": 65})
    keys = (key("projected", {"each": 1.0}, alpha=1.0),)
    with pytest.raises(CpdError, match=r"^methods\.projected: .* of each of 65 components"):
        train(Batch(problem, {"each": constraint(1.0, "<=")}, recipe(3), keys, stepper="eager"))
