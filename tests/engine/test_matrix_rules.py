"""Optimizers that look across elements, on rows, and LBFGS, against torch.optim on each run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import begun, key, numbers
from recipe_runs import SIZE, assert_parameters, fitting, penalized, plainly, recipe_of, trained
from torch import Tensor
from torch.optim import LBFGS, Adafactor
from torch.optim import lr_scheduler as own

from cpd.engine.minibatches import Minibatches
from cpd.engine.optimizers import Moment
from cpd.engine.recipe import Recipe
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import SpecError
from cpd.spec.models import Optimizer, Train

RATES = (0.1, 0.003, 0.5)
VARIANTS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Adafactor", {}, (4, 3)),
    ("Adafactor", {"weight_decay": 0.1, "maximize": True, "beta2_decay": -0.5, "d": 2.0}, (2, 4, 3)),
    ("Adafactor", {"eps": [1e-8, 0.1]}, (5,)),
    ("Adafactor", {}, ()),
    ("Muon", {}, (4, 3)),
    ("Muon", {"nesterov": False, "weight_decay": 0.0, "ns_steps": 3, "momentum": 0.5}, (3, 8)),
    ("Muon", {"adjust_lr_fn": "match_rms_adamw", "ns_coefficients": [3.0, -4.0, 2.0], "eps": 0.1}, (6, 6)),
]


def slope(x: Tensor, t: int) -> Tensor:
    return x * (1 + 0.1 * t) - 0.3 * torch.cos(torch.arange(x.numel()).reshape(x.shape) + t)


@pytest.mark.parametrize(("name", "options", "shape"), VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_move_as_torch_moves_each_alone(
    name: str, options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    starts = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    expected = []
    for start, lr in zip(starts, RATES, strict=True):
        own_p = torch.nn.Parameter(start.clone())
        optimizer = getattr(torch.optim, name)([own_p], **{"lr": lr, **options})
        for t in range(12):
            own_p.grad = slope(own_p.detach(), t).to(dtype)
            optimizer.step()
        expected.append(own_p.detach())
    trains = [Train(steps=12, optimizer=Optimizer(name=name, options={"lr": lr, **options})) for lr in RATES]
    p = starts
    recipe = Recipe(trains, {"p": p}, 12, 1)
    kept = recipe.initial({"p": p})["p"]
    for t in range(12):
        (now,) = recipe.options(recipe.start, torch.tensor(t))
        gradient = torch.stack([slope(row, t).to(dtype) for row in p])
        p, after = recipe.moved(Moment(p, gradient, torch.tensor(t + 1.0, dtype=torch.float64), now), kept)
        assert [(n, k.dtype, k.shape) for n, k in after.items()] == [(n, k.dtype, k.shape) for n, k in kept.items()]
        kept = after
        assert p.dtype == dtype
    near = 1e-5 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(p, torch.stack(expected), rtol=near, atol=near / 10)


@pytest.mark.parametrize("engine", ["captured", pytest.param("compiled", marks=pytest.mark.slow)])
def test_adafactor_trains_as_a_users_own_loop(engine: str) -> None:
    keys = [penalized(**{"train.optimizer.lr": lr}) for lr in (0.02, 0.1)]
    training = trained(fitting(recipe_of(optimizer={"name": "Adafactor", "lr": 0.02}), *keys, stepper=engine))
    for row, lr in enumerate((0.02, 0.1)):
        expected = plainly(fitting(recipe_of()), lambda model, lr=lr: Adafactor(model.parameters(), lr=lr))  # type: ignore[misc]
        assert_parameters(training.state.parameters, expected.iterates[-1], row)


def test_muon_takes_matrices_alone() -> None:
    with pytest.raises(SpecError, match=r"^train.optimizer: Muon takes matrices alone, and 0.bias is"):
        begun(fitting(recipe_of(optimizer={"name": "Muon", "lr": 0.02})))


# LBFGS

SEARCH = {"name": "LBFGS", "lr": 0.5, "max_iter": 4, "history_size": 6}


def searched(train: Train, options: dict[str, Any], steps: int, dual_lr: float | None = None) -> dict[str, Tensor]:
    """A user's own loop with a closure; multipliers move before the step, with what its first evaluation gives."""
    from engine_problems import Fitting

    prepared = begun(fitting(train)).prepared
    problem, model = Fitting(), Fitting().model().double()
    model.load_state_dict({n: p[0] for n, p in prepared.models.parameters.items()})
    optimizer = LBFGS(model.parameters(), **options)
    scheduler = own.CosineAnnealingLR(optimizer, steps)
    order = Minibatches(prepared.data, SIZE, 1)
    multiplier = torch.tensor(0.7 if dual_lr is None else 0.0, dtype=torch.float64)
    for _ in range(steps):
        batch = order.next()
        if dual_lr is not None:
            violation = problem.evaluate(model, batch).constraints["near"].detach() - 0.1
            multiplier = (multiplier + dual_lr * violation).relu()

        def closure(batch: Any = batch, multiplier: Tensor = multiplier) -> Tensor:
            optimizer.zero_grad()
            at = problem.evaluate(model, batch)
            total: Tensor = at.objective + multiplier * (at.constraints["near"] - 0.1)
            total.backward()
            return total

        optimizer.step(closure)
        scheduler.step()
    return {n: p.detach() for n, p in model.named_parameters()}


@pytest.mark.parametrize("line", [None, "strong_wolfe"])
@pytest.mark.parametrize("dual_lr", [None, 0.3])
def test_lbfgs_trains_as_a_users_own_loop(line: str | None, dual_lr: float | None) -> None:
    steps = 40
    options = SEARCH | ({"line_search_fn": line} if line else {})
    schedule = {"name": "CosineAnnealingLR", "T_max": "all"}
    recipe = recipe_of(steps=steps, optimizer=options, schedule=schedule)
    run = penalized() if dual_lr is None else key("lagrangian", {"near": 0.1}, dual_lr=dual_lr)
    training = trained(fitting(recipe, run))
    own_options = {name: value for name, value in options.items() if name != "name"}
    expected = searched(recipe, own_options, steps, dual_lr)
    assert_parameters(training.state.parameters, expected)


def test_lbfgs_goes_on_where_it_was_cut_and_trains_one_by_one(tmp_path: Path) -> None:
    recipe = recipe_of(steps=40, optimizer=SEARCH, average=0.2)
    batch = fitting(recipe, penalized(), replace(penalized(), setting={"coefficient": 0.1}), stepper="auto")
    cut = replace(batch, checkpoint=str(tmp_path))
    calls = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(cut, Hooks(stop=lambda: next(calls) > 30))
    whole = train(batch)
    assert [numbers(run) for run in train(cut).runs] == [numbers(run) for run in whole.runs]
    assert whole.notes == ["LBFGS evaluates several times a step: runs train one at a time"]
    alone = [train(replace(batch, keys=(one,), fuse=False)).runs[0] for one in batch.keys]
    assert [numbers(run) for run in whole.runs] == [numbers(run) for run in alone]
