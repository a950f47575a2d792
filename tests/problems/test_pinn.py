"""A differential equation: its residual by finite differences, its solution, and a training that meets the ends."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import cpd
from cpd.problems.pinn import POINTS, Pinn


class Exact(torch.nn.Module):
    """The solution plus a straight line."""

    def __init__(self, waves: int, slope: float, start: float) -> None:
        super().__init__()
        self.waves, self.slope, self.start = waves, slope, start

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.waves * math.pi * x) + (1 + self.slope) * x + self.start


@pytest.mark.parametrize(("slope", "start"), [(0.0, 0.0), (0.5, -0.25), (-2.0, 1.0)])
def test_a_straight_line_more_leaves_no_residual_and_misses_the_ends(slope: float, start: float) -> None:
    problem = Pinn(waves=3)
    (points,) = problem.data()
    at = problem.measure(Exact(3, slope, start), (points.double(),))
    assert at.objective.item() == pytest.approx(0, abs=1e-20)
    missed = (start**2 + (slope + start) ** 2) / 2
    assert at.constraints["boundary"].item() == pytest.approx(missed)
    x = torch.linspace(0, 1, 201, dtype=torch.float64)
    line, exact = slope * x + start, torch.sin(3 * math.pi * x) + x
    assert at.metrics["error"].item() == pytest.approx((line.norm() / exact.norm()).item())


def test_the_residual_of_a_network_is_that_of_finite_differences() -> None:
    problem = Pinn(waves=2, hidden=5)
    torch.manual_seed(0)
    model = problem.model().double()
    (x,) = (t.double() for t in problem.data())
    assert (len(x), x[0].item(), x[-1].item()) == (POINTS, 0.5 / POINTS, 1 - 0.5 / POINTS)
    h, speed = 1e-4, (2 * math.pi) ** 2
    left, here, right = (model((x + shift)[:, None]).squeeze(-1) for shift in (-h, 0.0, h))
    residual = ((left - 2 * here + right) / h**2 + speed * torch.sin(2 * math.pi * x)) / speed
    assert problem.evaluate(model, (x,)).objective.item() == pytest.approx(residual.square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("arguments", [{"waves": 0}, {"hidden": 2.5}])
def test_what_makes_no_problem_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(cpd.CpdError, match=rf"^arguments.{next(iter(arguments))}: "):
        Pinn(**arguments)


@pytest.mark.slow
def test_a_bound_on_the_ends_finds_the_solution() -> None:
    assign = ("arguments.waves=1", "arguments.hidden=8", "train.steps=1000", "penalized.coefficient=0,0.1")
    overrides = cpd.Overrides(set=(*assign, "lagrangian.dual_lr=0.01"))
    runs = cpd.sweep("pinn", overrides, cpd.Options(keep=False, engine="captured")).document["runs"]
    assert [run["feasible"] for run in runs] == [False, True, True]
    errors = [run["metrics"]["error"] for run in runs]
    assert errors[0] is not None
    assert errors[0] > 0.3, "any straight line more solves the equation too"
    for run, error in zip(runs[1:], errors[1:], strict=True):
        assert run["objective"] is not None
        assert run["objective"] < 1e-3
        assert error is not None
        assert error < 0.01, run["method"]
