"""A differential equation that a network solves, with its boundary values as a constraint."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.func import grad, vmap

import cpd

POINTS = 64
"""Where the equation is asked for, in the middle of as many equal parts of [0, 1]."""
GRID = 201
"""Where the finished network is compared with the solution."""

Batch = tuple[Tensor]


class Pinn(cpd.Problem):
    r"""The network u that solves Poisson's equation on [0, 1] best, with given values at both ends.

    .. math:: \min_u \frac{1}{n} \sum_i (u''(x_i) - f(x_i))^2 \quad \text{subject to} \quad
        \tfrac{1}{2} \left((u(0) - a)^2 + (u(1) - b)^2\right) \leq \text{level}

    with f the second derivative of ``sin(k pi x) + x``, which is the solution: a = 0, b = 1. This plus any straight
    line has a residual of 0 too; the boundary says which. The residual is divided by ``(k pi)^2``, the size of f.

    Constraints: ``boundary``, the mean squared error at both ends. Metrics: ``error``, the relative error
    of u in the norm of L2.

    Args:
        waves: k.
        hidden: Units of both hidden layers.

    Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (2019); boundary values as
    constraints are Basir and Senocak (2022); the penalty's imbalance is Wang, Teng and Perdikaris (2021).
    """

    def __init__(self, waves: int = 4, hidden: int = 24) -> None:
        for name, value in (("waves", waves), ("hidden", hidden)):
            if type(value) is not int or value < 1:
                hint = "give a whole number from 1 on"
                raise cpd.CpdError(f"{value!r} is no number of {name}", place=f"arguments.{name}", hint=hint)
        self.waves, self.hidden = waves, hidden

    def data(self) -> Batch:
        """Return the points ``[n]`` at which the equation is asked for."""
        return ((torch.arange(POINTS) + 0.5) / POINTS,)

    def solution(self, x: Tensor) -> Tensor:
        """Return the solution at ``x``."""
        return torch.sin(self.waves * math.pi * x) + x

    def model(self) -> torch.nn.Sequential:
        """Return a network with two hidden layers, from ``[..., 1]`` to ``[..., 1]``."""
        width = self.hidden
        first, second, last = torch.nn.Linear(1, width), torch.nn.Linear(width, width), torch.nn.Linear(width, 1)
        return torch.nn.Sequential(first, torch.nn.Tanh(), second, torch.nn.Tanh(), last)

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the mean squared residual, and the error at the ends."""
        (x,) = batch

        def u(point: Tensor) -> Tensor:
            value: Tensor = model(point[None])[0]
            return value

        speed = (self.waves * math.pi) ** 2
        residual = (vmap(grad(grad(u)))(x) + speed * torch.sin(self.waves * math.pi * x)) / speed
        ends = torch.stack([x.new_zeros(()), x.new_ones(())])
        off = model(ends[:, None]).squeeze(-1) - self.solution(ends)
        return cpd.Evaluation(residual.square().mean(), constraints={"boundary": off.square().mean()})

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Compare the network with the solution."""
        at = self.evaluate(model, batch)
        x = torch.linspace(0, 1, GRID, dtype=batch[0].dtype, device=batch[0].device)
        solution = self.solution(x)
        error = (model(x[:, None]).squeeze(-1) - solution).norm() / solution.norm()
        return cpd.Evaluation(at.objective, at.constraints, metrics={"error": error})
