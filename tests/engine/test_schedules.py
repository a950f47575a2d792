"""Step-sizes by step against a loop of torch's own scheduler; refusals."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim import lr_scheduler as own

from cpd.engine.schedules import scheduled, tables
from cpd.errors import SpecError
from cpd.spec.models import Train
from cpd.spec.training import Schedule

STEPS, EPOCH = 200, 7
ALL: list[tuple[Any, Callable[[Any, int], Any]]] = [
    ({"name": "ConstantLR", "factor": 0.5, "total_iters": 20}, lambda o, n: own.ConstantLR(o, 0.5, 20)),
    ({"name": "CosineAnnealingLR", "T_max": "all"}, lambda o, n: own.CosineAnnealingLR(o, n)),
    (
        {"name": "CosineAnnealingWarmRestarts", "T_0": 1e1, "T_mult": 2, "eta_min": 1e-3},
        lambda o, n: own.CosineAnnealingWarmRestarts(o, 10, 2, 1e-3),
    ),
    (
        {"name": "CyclicLR", "base_lr": 0.01, "max_lr": 0.1, "step_size_up": 20, "mode": "triangular2"},
        lambda o, n: own.CyclicLR(o, 0.01, 0.1, 20, mode="triangular2"),
    ),
    ({"name": "ExponentialLR", "gamma": 0.97}, lambda o, n: own.ExponentialLR(o, 0.97)),
    ({"name": "LinearLR", "start_factor": 0.1, "total_iters": 50}, lambda o, n: own.LinearLR(o, 0.1, total_iters=50)),
    ({"name": "MultiStepLR", "milestones": [5, 20]}, lambda o, n: own.MultiStepLR(o, [5, 20])),
    ({"name": "OneCycleLR", "max_lr": 0.3, "total_steps": "all"}, lambda o, n: own.OneCycleLR(o, 0.3, n)),
    ({"name": "PolynomialLR", "total_iters": "all", "power": 0.9}, lambda o, n: own.PolynomialLR(o, n, 0.9)),
    ({"name": "StepLR", "step_size": 8, "gamma": 0.5}, lambda o, n: own.StepLR(o, 8, 0.5)),
    (
        [{"name": "LinearLR", "start_factor": 0.01, "total_iters": 12}, {"name": "CosineAnnealingLR", "T_max": "all"}],
        lambda o, n: own.SequentialLR(
            o, [own.LinearLR(o, 0.01, total_iters=12), own.CosineAnnealingLR(o, n - 12)], [12]
        ),
    ),
    (
        [
            {"name": "LinearLR", "start_factor": 0.1, "total_iters": "all", "for": 0.1},
            {"name": "StepLR", "step_size": 5, "for": 10},
            {"name": "OneCycleLR", "max_lr": 0.2, "total_steps": "all"},
        ],
        lambda o, n: own.SequentialLR(
            o,
            [
                own.LinearLR(o, 0.1, total_iters=round(0.1 * n)),
                own.StepLR(o, 5),
                own.OneCycleLR(o, 0.2, n - 10 - round(0.1 * n)),
            ],
            [round(0.1 * n), 10 + round(0.1 * n)],
        ),
    ),
]


def schedule(written: Any, every: str = "step") -> tuple[Schedule, ...]:
    each = [{**one, "every": every} for one in (written if isinstance(written, list) else [written])]
    found = Train.model_validate({"steps": 1, "schedule": each}).schedule
    assert found is not None
    return found


@pytest.mark.parametrize("every", ["step", "epoch"])
@pytest.mark.parametrize(("written", "make"), ALL, ids=lambda one: "" if callable(one) else str(one)[:60])
def test_every_step_size_is_pytorchs_own(written: Any, make: Callable[[Any, int], Any], every: str) -> None:
    """Of two groups, and what else a scheduler changes, to the last bit."""
    groups = [{"lr": 0.1, "betas": (0.8, 0.99)}, {"lr": 0.02, "betas": (0.7, 0.9)}]
    optimizer = AdamW([{"params": [torch.nn.Parameter(torch.zeros(1))], **group} for group in groups])
    ticks = STEPS if every == "step" else -(-STEPS // EPOCH)
    scheduler = make(optimizer, ticks)
    rates: list[list[float]] = []
    betas: list[list[float]] = []
    for step in range(STEPS):
        rates.append([group["lr"] for group in optimizer.param_groups])
        betas.append([group["betas"][0] for group in optimizer.param_groups])
        optimizer.step()
        if every == "step" or (step + 1) % EPOCH == 0:
            scheduler.step()
    found = scheduled(schedule(written, every), "AdamW", groups, STEPS, EPOCH)
    assert found["lr"].dtype == torch.float64
    assert found["lr"].tolist() == rates
    assert found["betas.0"].tolist() == betas
    assert len({rate for rate, _ in rates}) > 1


def test_a_table_of_step_sizes_alone() -> None:
    """As a dual step-size is scheduled: plain SGD, whose momentum a cycle needs."""
    cycle = schedule({"name": "OneCycleLR", "max_lr": 0.3, "total_steps": "all"})
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = own.OneCycleLR(optimizer, 0.3, 20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert tables(cycle, [0.5, 0.1], 20, 1)[:, 0].tolist() == rates
    step = schedule({"name": "StepLR", "step_size": 1, "gamma": 0.5})
    assert tables(step, [8.0, 4.0], 3, 1, {"name": "Adam"}).tolist() == [[8, 4], [4, 2], [2, 1]]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            {"name": "CosineAnnealingLR", "Tmax": 3},
            "train.schedule.Tmax: CosineAnnealingLR takes no option 'Tmax'; did",
        ),
        ({"name": "CosineAnnealingLR"}, "train.schedule: CosineAnnealingLR refuses {}: "),
        ({"name": "LinearLR", "start_factor": 3}, "train.schedule: LinearLR refuses {start_factor: 3}: "),
        ({"name": "CosineAnnealingLR", "T_max": 0}, "train.schedule: CosineAnnealingLR refuses {T_max: 0}: "),
        (
            {"name": "ExponentialLR", "gamma": 1e200},
            "train.schedule: the step-size is not a finite number after 2 steps",
        ),
        (
            {"name": "OneCycleLR", "max_lr": [0.1, 0.2], "total_steps": 9},
            "train.schedule.max_lr: max_lr is a list, where",
        ),
        (
            {"name": "OneCycleLR", "max_lr": 0.1, "total_steps": 9},
            "train.schedule: OneCycleLR refuses {max_lr: 0.1, total_",
        ),
        (
            [{"name": "LinearLR", "for": 300}, {"name": "CosineAnnealingLR", "T_max": "all"}],
            "train.schedule: nothing of the training's 200 steps is left for CosineAnnealingLR; let",
        ),
    ],
)
def test_a_schedule_is_refused_in_a_line(written: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        scheduled(schedule(written), "SGD", [{"lr": 0.1}], STEPS, EPOCH)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
