"""Example 1 of the paper: no penalty coefficient reaches a constrained optimum in the interior."""

from __future__ import annotations

import math

import torch

import cpd

MARGIN = 1e-3
"""How far x stays from 0 and pi/2 inside f and g."""


class Point(torch.nn.Module):
    """A point (x, y) of the plane as a model: its two coordinates are the parameters."""

    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor(float(x)))
        self.y = torch.nn.Parameter(torch.tensor(float(y)))

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the coordinates."""
        return self.x, self.y


class Concave(cpd.Problem):
    """Two parameters and a concave Pareto front, so that penalised training ends at a corner.

    ``min cos(x)(1 + y^2)  subject to  sin(x)(1 + y^2) = level``, with x clamped to [1e-3, pi/2 - 1e-3].
    The solution is x = arcsin(level), y = 0, with multiplier level / sqrt(1 - level^2).

    Constraints: ``g`` = sin(x)(1 + y^2). Metrics: ``x`` and ``y``, as they are (not clamped).

    Args:
        start: Where training starts, (x, y).

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), Example 1 and Proposition 3.
    """

    def __init__(self, start: tuple[float, float] = (0.5, 0.5)) -> None:
        self.start = start

    def model(self) -> Point:
        """Return a point at ``start``: every seed starts there."""
        return Point(*self.start)

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate f and g at the model's point; there is no data."""
        x, y = model()
        angle = x.clamp(MARGIN, math.pi / 2 - MARGIN)
        radius = 1 + y**2
        return cpd.Evaluation(
            objective=torch.cos(angle) * radius,
            constraints={"g": torch.sin(angle) * radius},
            metrics={"x": x, "y": y},
        )
