"""Methods against a problem whose optimum and multipliers are known: min ||x - a||^2 with linear constraints,
and the paper's Example 1, where the Lagrangian is not convex."""

import math
from typing import Any

import pytest
import torch
from method_settings import setting
from torch import Tensor

from cpd.methods.registry import REGISTRY

A = torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64)
# Rows: x1 + x2 <= 1 (binds), x3 <= 5 (does not), x1 - x3 = 1.
ROWS = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, -1.0]], dtype=torch.float64)
LIMITS = torch.tensor([1.0, 5.0, 1.0], dtype=torch.float64)
EQUALITY = torch.tensor([False, False, True])


def solution() -> tuple[Tensor, Tensor]:
    """Optimum and multipliers from the KKT system of the constraints that bind: 2 (x - a) + R^T m = 0, R x = b."""
    rows, limits = ROWS[[0, 2]], LIMITS[[0, 2]]
    kkt = torch.zeros(5, 5, dtype=torch.float64)
    kkt[:3, :3], kkt[:3, 3:], kkt[3:, :3] = 2 * torch.eye(3), rows.T, rows
    found = torch.linalg.solve(kkt, torch.cat([2 * A, limits]))
    multipliers = torch.zeros(3, dtype=torch.float64)
    multipliers[[0, 2]] = found[3:]
    assert multipliers[0] > 0, "the inequality binds, so its multiplier is positive"
    assert found[2] < 5, "the other one does not"
    return found[:3], multipliers


def descend(name: str, given: dict[str, Any], steps: int = 4000, lr: float = 0.02) -> tuple[Tensor, Tensor | None]:
    method, chosen = REGISTRY[name], setting(name, **given)
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    state = method.init(chosen, torch.zeros(3, dtype=torch.float64))
    for _ in range(steps):
        g = ROWS @ x - LIMITS
        new = method.update(g.detach(), state, chosen, EQUALITY)
        acting = state if chosen.get("update") == "simultaneous" else new
        loss = ((x - A) ** 2).sum() + method.penalty_term(g, acting, chosen, EQUALITY)
        (slope,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            x -= lr * slope
        state = new
    return x.detach(), None if method.multipliers is None else method.multipliers(state)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("lagrangian", {"dual_lr": 0.05}),
        ("nupi", {"dual_lr": 0.05, "kp": 5.0}),
        ("nupi", {"dual_lr": 0.05, "kp": 5.0, "nu": 0.5, "init": "documented"}),
        ("augmented_lagrangian", {"dual_lr": 0.5, "penalty": 2.0}),
        ("augmented_lagrangian", {"dual_lr": 0.5, "penalty": 0.5, "growth": 1.001}),
    ],
)
def test_the_optimum_and_its_multipliers(name: str, given: dict[str, Any], update: str) -> None:
    x, multipliers = descend(name, {**given, "update": update})
    best, best_multipliers = solution()
    assert multipliers is not None
    torch.testing.assert_close(x, best, atol=1e-6, rtol=0)
    torch.testing.assert_close(multipliers, best_multipliers, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_dual_adam_comes_close() -> None:
    x, multipliers = descend("lagrangian", {"dual_lr": 0.003, "dual_optimizer": "Adam"}, steps=8000)
    best, best_multipliers = solution()
    assert multipliers is not None
    torch.testing.assert_close(x, best, atol=2e-2, rtol=0)
    torch.testing.assert_close(multipliers, best_multipliers, atol=5e-2, rtol=0)


def test_a_penalty_at_the_multipliers_minimises_the_lagrangian() -> None:
    best, multipliers = solution()
    x, _ = descend("penalized", {"coefficient": multipliers.tolist()})
    torch.testing.assert_close(x, best, atol=1e-6, rtol=0)


def test_a_penalty_elsewhere_misses_by_what_the_formula_says() -> None:
    c = torch.tensor([0.3, 0.0, 0.1], dtype=torch.float64)
    x, _ = descend("penalized", {"coefficient": c.tolist()})
    torch.testing.assert_close(x, A - ROWS.T @ c / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize("c", [1.0, 10.0])
def test_the_quadratic_penalty_ends_at_its_own_minimum(c: float) -> None:
    # 2 (x - a) + c R^T (R x - b) = 0 over the constraints that are violated there: the first and the equality.
    rows, limits = ROWS[[0, 2]], LIMITS[[0, 2]]
    own = torch.linalg.solve(2 * torch.eye(3, dtype=torch.float64) + c * rows.T @ rows, 2 * A + c * rows.T @ limits)
    x, _ = descend("quadratic_penalty", {"coefficient": c})
    torch.testing.assert_close(x, own, atol=1e-6, rtol=0)
    assert (ROWS[0] @ x) > LIMITS[0], "a finite quadratic penalty leaves the constraint violated"


LEVEL = 0.5


def concave(name: str, given: dict[str, Any], steps: int) -> tuple[float, float]:
    """Example 1 of the paper at ``LEVEL``, from (0.5, 0.5) with SGD 0.01: where x and the multiplier end."""
    method, chosen = REGISTRY[name], setting(name, **given, update="simultaneous")
    point = torch.full((2,), 0.5, dtype=torch.float64, requires_grad=True)
    state = method.init(chosen, torch.zeros(1, dtype=torch.float64))
    for _ in range(steps):
        angle, radius = point[0].clamp(1e-3, math.pi / 2 - 1e-3), 1 + point[1] ** 2
        g = (torch.sin(angle) * radius - LEVEL).reshape(1)
        new = method.update(g.detach(), state, chosen, torch.tensor([True]))
        loss = torch.cos(angle) * radius + method.penalty_term(g, state, chosen, torch.tensor([True]))
        (slope,) = torch.autograd.grad(loss, point)
        with torch.no_grad():
            point -= 0.01 * slope
        state = new
    assert method.multipliers is not None
    return point[0].item(), method.multipliers(state).item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "given", "solves"),
    [
        # The Lagrangian is concave in x at the solution. A gain above (1 - level^2)^(-3/2) = 1.54 fixes that, near the
        # solution, and one above that and dual_lr, 1.84, where the updates are simultaneous.
        ("nupi", {"dual_lr": 0.3, "kp": 40.0}, True),
        ("nupi", {"dual_lr": 0.3, "kp": 40.0, "init": "documented"}, True),
        ("augmented_lagrangian", {"dual_lr": 0.3, "penalty": 3.0}, True),
        ("augmented_lagrangian", {"dual_lr": 0.3, "penalty": 1.2}, False),
        ("lagrangian", {"dual_lr": 0.3}, False),
    ],
)
def test_example_1_needs_more_than_the_lagrangian(name: str, given: dict[str, Any], solves: bool) -> None:
    x, multiplier = concave(name, given, steps=6000)
    near = abs(x - math.asin(LEVEL)) < 1e-6 and abs(multiplier - LEVEL / math.sqrt(1 - LEVEL**2)) < 1e-5
    assert near == solves, (x, multiplier)
