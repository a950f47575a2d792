"""Methods in the engine against loops that a person writes for one problem: scalars and lists, no method's code."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_batches import key, quadratic
from torch import Tensor

from cpd.engine.train import train

LEVELS = {"each": 0.5, "total": 2.0}
STEPS, LR = 60, 0.05
EQUALITY = [False, False, False, True]
Force = Callable[[list[float], list[float]], list[float]]
"""From strict and surrogate violations to what each surrogate violation's gradient is multiplied by."""


def positive(value: float, equality: bool) -> float:
    return value if equality else max(0.0, value)


def pid(eta: float, kp: float, ki: float, kd: float) -> Force:
    total, last = [0.0] * 4, [math.nan] * 4

    def force(strict: list[float], surrogate: list[float]) -> list[float]:
        found = []
        for i, (g, equality) in enumerate(zip(strict, EQUALITY, strict=True)):
            total[i] = positive(total[i] + eta * ki * g, equality)
            change = 0.0 if math.isnan(last[i]) else positive(g - last[i], equality)
            found.append(positive(total[i] + eta * (kp * g + kd * change), equality))
            last[i] = g
        return found

    return force


def resilient(eta: float, costs: list[float], eta_u: float) -> Force:
    multiplier, slack = [0.0] * 4, [0.0] * 4

    def force(strict: list[float], surrogate: list[float]) -> list[float]:
        for i, (g, equality) in enumerate(zip(strict, EQUALITY, strict=True)):
            multiplier[i] = positive(multiplier[i] + eta * (g - slack[i]), equality)
            slack[i] = positive(slack[i] - eta_u * (costs[i] * slack[i] - multiplier[i]), equality)
        return list(multiplier)

    return force


def entropic(eta: float, radius: float) -> Force:
    theta = [0.0] * 4

    def force(strict: list[float], surrogate: list[float]) -> list[float]:
        for i, g in enumerate(strict):
            theta[i] += eta * g
        return [radius * math.exp(t) / (1 + sum(map(math.exp, theta))) for t in theta]

    return force


def barrier(t: float) -> Force:
    def slope(z: float) -> float:
        return -1 / (t * z) if z <= -1 / t**2 else t

    def force(strict: list[float], surrogate: list[float]) -> list[float]:
        return [slope(z) - (slope(-z) if equality else 0) for z, equality in zip(surrogate, EQUALITY, strict=True)]

    return force


def l1(c: float, growth: float) -> Force:
    coefficients = [c] * 4

    def force(strict: list[float], surrogate: list[float]) -> list[float]:
        signs = [(z > 0) - (equality and z < 0) for z, equality in zip(surrogate, EQUALITY, strict=True)]
        found = [own * sign for own, sign in zip(coefficients, signs, strict=True)]
        for i, (g, equality) in enumerate(zip(strict, EQUALITY, strict=True)):
            coefficients[i] *= growth if g > 0 or (equality and g != 0) else 1
        return found

    return force


def by_hand(force: Force) -> Tensor:
    """``min |x - 1|^2`` where x >= 0.5 and the sum of x, to two decimals, is 2."""
    torch.manual_seed(1)
    x = torch.nn.Linear(3, 1, bias=False).weight.detach()[0].double()
    for _ in range(STEPS):
        surrogate = [*(0.5 - x).tolist(), float(x.sum()) - 2.0]
        strict = [*surrogate[:3], float(x.sum().round(decimals=2)) - 2.0]
        *low, total = force(strict, surrogate)
        x = x - LR * (2 * (x - 1) - torch.tensor(low, dtype=torch.float64) + total)
    return x


@pytest.mark.parametrize(
    ("method", "setting", "force"),
    [
        ("pid_lagrangian", {"dual_lr": 0.2, "kp": 1.5, "ki": 0.5, "kd": 0.7}, pid(0.2, 1.5, 0.5, 0.7)),
        ("resilient", {"dual_lr": 0.3, "slack_cost": [2.0, 5.0]}, resilient(0.3, [2.0, 2.0, 2.0, 5.0], 0.1)),
        ("entropic", {"dual_lr": 0.5, "radius": 3.0}, entropic(0.5, 3.0)),
        ("log_barrier", {"sharpness": 2.5}, barrier(2.5)),
        ("exact_penalty", {"coefficient": 0.4, "growth": 1.02}, l1(0.4, 1.02)),
    ],
)
def test_a_run_takes_the_steps_of_a_loop_by_hand(method: str, setting: dict[str, Any], force: Force) -> None:
    (run,) = train(quadratic([key(method, LEVELS, **setting)], steps=STEPS, stepper="eager")).runs
    x = by_hand(force)
    assert run.constraints["each"].surrogate == pytest.approx(x.tolist(), rel=1e-9)
    assert run.objective == pytest.approx(float((x - 1).square().sum()), rel=1e-9)
