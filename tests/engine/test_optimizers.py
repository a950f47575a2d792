"""The optimizers on rows against ``torch.optim``, which is an implementation of its own."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from cpd.engine.optimizers import RULES, Moment
from cpd.engine.recipe import Recipe
from cpd.spec.models import OPTIMIZERS, Optimizer, Train

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in OPTIMIZERS),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.01, "betas": [0.8, 0.95], "eps": 1e-4}),
    ("AdamW", {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"weight_decay": 0.01}),
    ("NAdam", {"weight_decay": 0.01, "momentum_decay": 0.01}),
    ("NAdam", {"weight_decay": 0.01, "decoupled_weight_decay": True}),
    ("RAdam", {"weight_decay": 0.01}),
    ("RAdam", {"weight_decay": 0.01, "decoupled_weight_decay": True, "betas": [0.9, 0.9]}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.01}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.01}),
    ("Adadelta", {"rho": 0.8, "weight_decay": 0.01}),
    ("ASGD", {"lambd": 0.01, "alpha": 0.6, "t0": 3, "weight_decay": 0.01}),
    ("Rprop", {"etas": [0.4, 1.3], "step_sizes": [1e-3, 0.2]}),
]
RATES = (0.1, 0.03, 0.2)


def slope(x: Tensor, t: int) -> Tensor:
    """A gradient that changes its sign, is 0 now and then, and differs from step to step."""
    return torch.where(x.abs() < 0.05, 0.0, x * (1 + 0.1 * t) - 0.3 * math.cos(t))


def starts(dtype: torch.dtype) -> Tensor:
    return torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1), dtype=dtype)


def by_torch(name: str, options: dict[str, Any], steps: int, dtype: torch.dtype) -> Tensor:
    """Each run by itself with its own step-size."""
    found = []
    for start, lr in zip(starts(dtype), RATES, strict=True):
        p = torch.nn.Parameter(start.clone())
        optimizer = getattr(torch.optim, name)([p], **{"lr": lr, **options})
        for t in range(steps):
            p.grad = slope(p.detach(), t)
            optimizer.step()
        found.append(p.detach())
    return torch.stack(found)


def by_rows(name: str, options: dict[str, Any], steps: int, dtype: torch.dtype) -> Tensor:
    """All runs at once, a row each."""
    p = starts(dtype)
    recipe = recipe_of(name, options, p)
    kept = recipe.initial({"p": p})["p"]
    for t in range(steps):
        (now,) = recipe.options(recipe.start, torch.tensor(t))
        at = Moment(p, slope(p, t), torch.tensor(t + 1.0, dtype=torch.float64), now)
        p, kept = recipe.moved(at, kept)
        assert p.dtype == dtype
    return p


def recipe_of(name: str, options: dict[str, Any], p: Tensor) -> Recipe:
    """Of three runs, each with its own step-size, unless the options have one."""
    own = [Optimizer(name=name, options={"lr": lr, **options}) for lr in RATES]
    return Recipe([Train(steps=30, optimizer=one) for one in own], {"p": p}, 30, 1)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_rows_move_as_torch_moves_each_alone(name: str, options: dict[str, Any]) -> None:
    torch.set_default_dtype(torch.float64)  # torch.optim keeps some counters in the default precision
    try:
        expected = by_torch(name, options, 25, torch.float64)
    finally:
        torch.set_default_dtype(torch.float32)
    assert not torch.allclose(expected, starts(torch.float64))
    torch.testing.assert_close(by_rows(name, options, 25, torch.float64), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_rows_keep_their_precision(name: str, options: dict[str, Any]) -> None:
    expected = by_torch(name, options, 10, torch.float32)
    torch.testing.assert_close(by_rows(name, options, 10, torch.float32), expected, rtol=2e-5, atol=2e-6)


def test_every_optimizer_of_a_recipe_has_a_rule() -> None:
    assert set(RULES) == set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_what_is_kept_stands_in_the_order_of_the_start(name: str, options: dict[str, Any]) -> None:
    """A program takes and gives what is kept by its place."""
    p = starts(torch.float64)
    recipe = recipe_of(name, options, p)
    kept = recipe.initial({"p": p})["p"]
    (now,) = recipe.options(recipe.start, torch.tensor(0))
    _, after = recipe.moved(Moment(p, slope(p, 0), torch.tensor(1.0, dtype=torch.float64), now), kept)
    assert [(n, t.dtype) for n, t in after.items()] == [(n, t.dtype) for n, t in kept.items()]
    assert all(t.dtype == torch.float64 for t in after.values())
