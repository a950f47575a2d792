"""Runs of recipes, and the plain PyTorch loops that they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from engine_batches import begun, constraint, key, source
from engine_problems import Fitting
from torch import Tensor, nn

from cpd.engine.batch import Batch
from cpd.engine.minibatches import Minibatches
from cpd.engine.steppers.choice import choose
from cpd.engine.training import Training
from cpd.outcome import RunKey
from cpd.spec.models import Train

NEAR = {"near": constraint(0.1, "<=")}
COEFFICIENT = 0.7
STEPS, SIZE = 200, 16


def recipe_of(**train: Any) -> Train:
    """A recipe as a file has it, in double precision; ``optimizer`` with its options beside its name."""
    optimizer = dict(train.pop("optimizer", {"name": "SGD", "lr": 0.05}))
    name = optimizer.pop("name")
    given = {"steps": STEPS, "batch_size": SIZE, "dtype": "float64", **train}
    return Train.model_validate({**given, "optimizer": {"name": name, "options": optimizer}})


def fitting(train: Train, *keys: RunKey, stepper: str = "eager", **options: Any) -> Batch:
    return Batch(source("Fitting"), NEAR, train, keys or (penalized(),), stepper=stepper, **options)


def penalized(**setting: Any) -> RunKey:
    return key("penalized", {"near": 0.1}, coefficient=COEFFICIENT, **setting)


def trained(batch: Batch) -> Training:
    """A training to its end."""
    training = begun(batch)
    for _ in training.spans(choose(batch, training)):
        pass
    assert training.notes == []
    return training


class Plain(NamedTuple):
    """A user's own loop.

    Attributes:
        rates: Step-size of each group at every step.
        iterates: The parameters after every step, by name.
    """

    rates: list[list[float]]
    iterates: list[dict[str, Tensor]]


def plainly(
    batch: Batch,
    optimizer_of: Callable[[nn.Module], torch.optim.Optimizer],
    scheduler_of: Callable[[torch.optim.Optimizer], Any] | None = None,
    clip: Callable[[list[nn.Parameter]], Any] | None = None,
    epoch: int = 1,
) -> Plain:
    """The penalised method on the first run's start and minibatches, as a user would write it.

    Args:
        batch: Of the problem :class:`engine_problems.Fitting`.
        optimizer_of: Makes the optimizer of a model.
        scheduler_of: Makes its scheduler.
        clip: Cuts gradients before a step.
        epoch: Steps after which the scheduler makes one.
    """
    start = begun(batch).prepared
    problem = Fitting()
    model = problem.model().double()
    model.load_state_dict({n: p[0] for n, p in start.models.parameters.items()})
    optimizer = optimizer_of(model)
    scheduler = scheduler_of(optimizer) if scheduler_of else None
    order = Minibatches(start.data, SIZE, batch.keys[0].seed)
    found = Plain([], [])
    for step in range(batch.train.steps or 0):
        at = problem.evaluate(model, order.next())
        optimizer.zero_grad()
        (at.objective + COEFFICIENT * (at.constraints["near"] - 0.1)).backward()
        if clip is not None:
            clip(list(model.parameters()))
        found.rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        found.iterates.append({n: p.detach().clone() for n, p in model.named_parameters()})
        if scheduler is not None and (step + 1) % epoch == 0:
            scheduler.step()
    return found


def assert_parameters(found: dict[str, Tensor], expected: dict[str, Tensor], row: int = 0) -> None:
    """One run's parameters are those of a plain loop."""
    assert found.keys() == expected.keys()
    for name, p in expected.items():
        torch.testing.assert_close(found[name][row], p, rtol=1e-9, atol=1e-12)
