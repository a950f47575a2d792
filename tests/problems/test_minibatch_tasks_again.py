"""The digit tasks written again with PyTorch alone, minibatches and noise too: the engine's numbers come out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import cpd
from cpd.problems.feasible_learning import FeasibleLearning
from cpd.problems.geco import Geco
from cpd.problems.kl_finetune import KlFinetune

STEPS, SEED, LEVEL = 25, 2, {"kl-finetune": 0.1, "geco": 1.4, "feasible_learning": 0.3}
SETTINGS = {"penalized": ("coefficient", 0.02), "lagrangian": ("dual_lr", 0.05), "geco": ("dual_lr", 0.1)}


class Again(NamedTuple):
    """A task in other words.

    Attributes:
        problem: Its data and its network's first weights are taken.
        assign: What else the task gets, as ``--set`` has it.
        values: ``(model, batch) -> (objective, values, their places)``.
        size: Examples in a minibatch; None is all.
        lr: Adam's.
        constraints: How many there are.
    """

    problem: cpd.Problem
    assign: tuple[str, ...]
    values: Callable[[Any, Any], tuple[Tensor, Tensor, Tensor]]
    size: int | None
    lr: float
    constraints: int = 1


def kl_finetune(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
    upright, _, labels, known = batch
    quarter = upright.reshape(-1, 8, 8).transpose(1, 2).flip(1).reshape(-1, 64)
    loss = -model(quarter).log_softmax(1)[torch.arange(len(labels)), labels].mean()
    p = model(upright).softmax(1)
    return loss, (p * (p.log() - known)).sum(1).mean()[None], torch.tensor([0])


def geco(model: Any, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
    images, noise = batch
    found = model.encoder(images)
    mean, deviation = found[:, :3], (found[:, 3:] / 2).exp()
    noise = torch.randn(noise.shape, dtype=noise.dtype) if model.training else noise
    rebuilt = model.decoder(mean + deviation * noise)
    kl = 0.5 * (mean**2 + deviation**2 - 1).sum(1) - deviation.log().sum(1)
    return kl.mean(), ((rebuilt - images) ** 2).sum(1).mean()[None], torch.tensor([0])


def feasible_learning(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
    images, labels, places = batch
    losses = -model(images).log_softmax(1)[torch.arange(len(labels)), labels]
    return 0.5e-3 * sum((p**2).sum() for p in model.parameters()), losses, places  # type: ignore[return-value]


TASKS = {
    "kl-finetune": Again(KlFinetune(5), ("arguments.hidden=5",), kl_finetune, None, 0.01),
    "geco": Again(Geco(3, 6), ("arguments.latent=3", "arguments.hidden=6"), geco, 256, 0.005),
    "feasible_learning": Again(FeasibleLearning(7), ("arguments.hidden=7",), feasible_learning, 128, 0.01, 1797),
}


def minibatches(data: list[Tensor], size: int | None) -> Any:
    generator = torch.Generator().manual_seed(SEED)
    while True:
        if size is None:
            yield data
            continue
        for some in torch.randperm(len(data[0]), generator=generator).split(size):
            yield [t[some] for t in data]


def by_hand(name: str, method: str) -> tuple[float, Tensor, Tensor]:
    """Objective and values on the training data, and multipliers, of a loop of one's own."""
    task, step_size = TASKS[name], SETTINGS[method][1]
    data = [t.double() if t.is_floating_point() else t for t in task.problem.data()]
    torch.manual_seed(SEED)
    model = task.problem.model().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=task.lr)
    multiplier = torch.full((task.constraints,), {"penalized": step_size, "geco": 1.0}.get(method, 0.0)).double()
    average, order = None, minibatches(data, task.size)
    for _ in range(STEPS):
        objective, values, places = task.values(model, next(order))
        g = values - LEVEL[name]
        if method == "lagrangian":
            multiplier[places] = (multiplier[places] + step_size * g.detach()).clamp(min=0)
        if method == "geco":
            average = g.detach() if average is None else 0.99 * average + 0.01 * g.detach()
            multiplier = multiplier * (step_size * average).exp()
        optimizer.zero_grad()
        (objective + (multiplier[places] * g).sum()).backward()
        optimizer.step()
    objective, values, places = task.values(model.eval(), data)
    return objective.item(), values[places.argsort()].detach(), multiplier


@pytest.mark.parametrize(("name", "method"), [*((n, m) for n in TASKS for m in list(SETTINGS)[:2]), ("geco", "geco")])
def test_a_task_is_what_a_plain_loop_makes_of_its_equations(name: str, method: str) -> None:
    hyperparameter, value = SETTINGS[method]
    recipe = (f"train.steps={STEPS}", "train.dtype=float64", f"{method}.{hyperparameter}={value}")
    overrides = cpd.Overrides(set=(*recipe, *TASKS[name].assign), methods=(method,), seeds=str(SEED))
    (run,) = cpd.sweep(name, overrides, cpd.Options(keep=False, engine="eager")).document["runs"]
    (at,) = run["constraints"].values()
    objective, values, multipliers = by_hand(name, method)
    assert run["objective"] == pytest.approx(objective, rel=1e-7)
    assert np.atleast_1d(np.array(at["value"])) == pytest.approx(values.numpy(), rel=1e-7)
    if method != "penalized":
        assert np.atleast_1d(np.array(at["multiplier"])) == pytest.approx(multipliers.numpy(), rel=1e-7, abs=1e-12)


def test_images_are_scikit_learn_s() -> None:
    pixels = load_digits().data
    assert FeasibleLearning().data()[0].numpy() * 16 == pytest.approx(pixels)
    both = torch.cat([Geco().data()[0], Geco().held_out()[0]]).numpy() * 16
    assert sorted(map(tuple, both.round())) == sorted(map(tuple, pixels))
