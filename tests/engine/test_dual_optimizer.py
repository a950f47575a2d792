"""Optimizers of torch that move multipliers, against torch's own with ``maximize``."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from engine_batches import assert_close, key, one_by_one, quadratic

from cpd.engine.dual import Clock
from cpd.engine.method_groups import MethodGroups, group_name
from cpd.engine.optimizers import RULES
from cpd.engine.train import train
from cpd.errors import SpecError
from cpd.methods.multipliers import OPTIMIZERS
from cpd.outcome import RunKey

LEVELS = {"each": 0.5, "total": 2.0}
EQUALITY = torch.tensor([False, True])
ERRORS = torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.3
OPTIONS: list[dict[str, Any]] = [
    *({"name": name} for name in OPTIMIZERS),
    {"name": "SGD", "momentum": 0.7},
    {"name": "SGD", "momentum": 0.5, "dampening": 0.3, "weight_decay": 0.01},
    {"name": "SGD", "momentum": 0.9, "nesterov": True},
    {"name": "Adam", "betas": [0.5, 0.9], "amsgrad": True},
    {"name": "RMSprop", "centered": True, "momentum": 0.5},
    {"name": "Adagrad", "lr_decay": 0.1},
]


def grouped(keys: list[RunKey], like: torch.Tensor) -> MethodGroups:
    keys = sorted(keys, key=lambda one: str(group_name(one)))
    return MethodGroups(keys, {"a": 1, "b": 1}, EQUALITY, like, Clock(30, 1))


def moved_by_torch(options: dict[str, Any], errors: torch.Tensor, lr: float, every: int = 1) -> torch.Tensor:
    own = {n: tuple(v) if isinstance(v, list) else v for n, v in options.items() if n != "name"}
    multiplier = torch.nn.Parameter(torch.zeros(2, dtype=errors.dtype))
    optimizer = getattr(torch.optim, options["name"])([multiplier], lr=lr, maximize=True, **own)
    found = []
    for t in range(len(errors)):
        if (t + 1) % every == 0:
            multiplier.grad = errors[t + 1 - every : t + 1].mean(0)
            optimizer.step()
            with torch.no_grad():
                multiplier[0].clamp_(min=0)
        found.append(multiplier.detach().clone())
    return torch.stack(found)


def rolled(groups: MethodGroups, errors: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    states, on, found = groups.init(like), torch.ones(len(like), dtype=torch.bool), []
    for t, g in enumerate(errors):
        states = groups.update(g.expand_as(like), states, on, torch.tensor(t))
        found.append(groups.multipliers(states, like))
    return torch.stack(found)


def test_every_optimizer_of_the_models_moves_multipliers_too() -> None:
    assert set(OPTIMIZERS) == set(RULES)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-6), (torch.float32, 1e-5)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_moves_are_those_of_torchs_own_optimizer(options: dict[str, Any], dtype: torch.dtype, bound: float) -> None:
    errors, like = ERRORS.to(dtype), torch.zeros(1, 2, dtype=dtype)
    for every in (1, 4):
        one = RunKey("lagrangian", {"dual_lr": 0.05, "dual_optimizer": options, "every": every}, {}, 1)
        found = rolled(grouped([one], like), errors, like)[:, 0]
        expected = moved_by_torch(options, errors, 0.05, every)
        # NAdam and ASGD keep some numbers in single precision, whatever the parameters' is.
        exact = dtype == torch.float64 and options["name"] not in ("NAdam", "ASGD")
        torch.testing.assert_close(found, expected, rtol=1e-12 if exact else bound, atol=1e-12 if exact else 1e-6)


def test_options_and_step_sizes_are_rows_of_one_program() -> None:
    like = torch.zeros(4, 2, dtype=torch.float64)
    keys = [
        RunKey("lagrangian", {"dual_lr": lr, "dual_optimizer": {"name": "SGD", "momentum": m}}, {}, 1)
        for lr in (0.1, [0.2, 0.05])
        for m in (0.5, 0.7)
    ]
    groups = grouped(keys, like)
    assert len(groups.parts) == 1
    found = rolled(groups, ERRORS, like)
    for row, (lr, m) in enumerate((lr, m) for lr in ([0.1, 0.1], [0.2, 0.05]) for m in (0.5, 0.7)):
        for c in (0, 1):
            expected = moved_by_torch({"name": "SGD", "momentum": m}, ERRORS, lr[c])[:, c]
            torch.testing.assert_close(found[:, row, c], expected, rtol=1e-12, atol=1e-14)


def test_momentum_that_is_zero_has_no_leaf() -> None:
    like = torch.zeros(2, 2, dtype=torch.float64)
    keys = [
        RunKey("lagrangian", {"dual_lr": 0.1, "dual_optimizer": {"name": "SGD", "momentum": m}}, {}, 1)
        for m in (0, 0.7)
    ]
    groups = grouped(keys, like)
    assert [sorted(part.init(like[:1]).kept) for part in groups.parts] == [["steps"], ["momentum_buffer", "steps"]]


def test_the_plain_step_may_be_written_as_an_optimizer() -> None:
    like = torch.zeros(1, 2, dtype=torch.float64)
    words, mapping = (
        rolled(grouped([RunKey("lagrangian", {"dual_lr": 0.1, "dual_optimizer": one}, {}, 1)], like), ERRORS, like)
        for one in ("Adam", {"name": "Adam", "betas": [0.9, 0.999]})
    )
    torch.testing.assert_close(words, mapping, rtol=1e-12, atol=0)


@pytest.mark.parametrize("stepper", ["captured", pytest.param("compiled", marks=pytest.mark.slow)])
def test_every_engine_gives_the_same_numbers(stepper: str) -> None:
    keys = [key("lagrangian", LEVELS, dual_lr=e, dual_optimizer=o) for o in OPTIONS for e in (0.03, 0.1)]
    batch = quadratic(keys, steps=30)
    eager = train(replace(batch, stepper="eager")).runs
    for one, same in zip(train(replace(batch, stepper=stepper)).runs, eager, strict=True):
        assert_close(one, same)
    for one, same in zip(one_by_one(replace(batch, keys=tuple(keys[::5]))), eager[::5], strict=True):
        assert_close(one, same)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "SGD", "momentum": -1.0}, "methods.lagrangian.dual_optimizer: SGD refuses {momentum: -1.0}"),
        ({"name": "SGD", "moment": 1.0}, "methods.lagrangian.dual_optimizer.moment: SGD takes no option 'moment'"),
    ],
)
def test_options_that_torch_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        train(quadratic([key("lagrangian", LEVELS, dual_lr=0.1, dual_optimizer=options)]))
    assert str(caught.value).startswith(message)
