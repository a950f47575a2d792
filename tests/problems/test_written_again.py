"""Bundled tasks written again with PyTorch alone, in other words than the problems': the engine's numbers come out."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import cpd
from cpd.problems.dag import Dag
from cpd.problems.lipschitz import Lipschitz
from cpd.problems.pinn import Pinn

STEPS = 40
METHODS = {"penalized": "coefficient", "lagrangian": "dual_lr"}


class Again(NamedTuple):
    """A task in other words.

    Attributes:
        problem: Its data and its network's first weights are taken.
        arguments: What the problem is made with, as ``--set`` has it.
        values: ``(model, data) -> (objective, value)``.
        level: Of its only constraint.
        equality: Whether the value is to be the level.
        lr: Adam's.
        cosine: Whether it falls to 0.
        hyperparameter: Of both methods.
    """

    problem: cpd.Problem
    arguments: tuple[str, ...]
    values: Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
    level: float
    equality: bool
    lr: float
    cosine: bool
    hyperparameter: float


def dag(model: nn.Module, data: Any) -> tuple[Tensor, Tensor]:
    (x,), (w,) = data, model.parameters()
    off = w - w.diag().diag()
    fit = ((x - x @ off) ** 2).sum() / (2 * len(x)) + 0.1 * off.abs().sum()
    return fit, sum(  # type: ignore[return-value]
        torch.trace(torch.linalg.matrix_power(off**2, k)) / math.factorial(k) for k in range(1, len(w) + 1)
    )


def pinn(model: nn.Module, data: Any) -> tuple[Tensor, Tensor]:
    x = data[0][:, None].requires_grad_()
    (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    size = (2 * math.pi) ** 2
    ends = model(torch.tensor([[0.0], [1.0]], dtype=x.dtype))
    return ((bend / size + torch.sin(2 * math.pi * x)) ** 2).mean(), (ends[0, 0] ** 2 + (ends[1, 0] - 1) ** 2) / 2


def lipschitz(model: nn.Module, data: Any) -> tuple[Tensor, Tensor]:
    images, labels = data
    loss = -model(images).log_softmax(1)[torch.arange(len(labels)), labels].mean()
    first, last = (p for p in model.parameters() if p.dim() == 2)
    return loss, torch.linalg.matrix_norm(first, 2) * torch.linalg.matrix_norm(last, 2)


TASKS = {
    "dag": Again(Dag(5, 6), ("arguments.nodes=5", "arguments.edges=6"), dag, 0.0, True, 0.01, True, 2.0),
    "pinn": Again(Pinn(2, 7), ("arguments.waves=2", "arguments.hidden=7"), pinn, 1e-4, False, 0.005, True, 0.3),
    "lipschitz": Again(Lipschitz(9), ("arguments.hidden=9",), lipschitz, 4.0, False, 0.01, False, 0.02),
}


def by_hand(task: Again, method: str, seed: int) -> tuple[float, float, float]:
    """Objective, value and multiplier of a loop of one's own."""
    torch.manual_seed(seed)
    model = task.problem.model().double()
    data: Any = [t.double() if t.is_floating_point() else t for t in task.problem.data()]
    optimizer = torch.optim.Adam(model.parameters(), lr=task.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS) if task.cosine else None
    multiplier = task.hyperparameter if method == "penalized" else 0.0
    for _ in range(STEPS):
        objective, value = task.values(model, data)
        if method == "lagrangian":
            multiplier += task.hyperparameter * (value.item() - task.level)
            multiplier = multiplier if task.equality else max(multiplier, 0.0)
        optimizer.zero_grad()
        (objective + multiplier * (value - task.level)).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
    objective, value = task.values(model, data)
    return objective.item(), value.item(), multiplier


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_what_a_plain_loop_makes_of_its_equations(name: str) -> None:
    task = TASKS[name]
    settings = (f"{method}.{known}={task.hyperparameter}" for method, known in METHODS.items())
    assign = (f"train.steps={STEPS}", "train.dtype=float64", *task.arguments, *settings)
    overrides = cpd.Overrides(set=assign, methods=tuple(METHODS), seeds="1,2")
    runs = cpd.sweep(name, overrides, cpd.Options(keep=False, engine="eager")).document["runs"]
    assert [(run["method"], run["seed"]) for run in runs] == [(method, seed) for method in METHODS for seed in (1, 2)]
    for run in runs:
        (at,) = run["constraints"].values()
        objective, value, multiplier = by_hand(task, run["method"], run["seed"])
        assert run["objective"] == pytest.approx(objective, rel=1e-7)
        assert at["value"] == pytest.approx(value, rel=1e-6, abs=1e-12)
        if run["method"] == "lagrangian":
            assert at["multiplier"] == pytest.approx(multiplier, rel=1e-7)
