"""Appendix B.3 of the paper: a linear classifier that must predict class 0 for a given share of the points."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional

import cpd

CENTRES = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0))
LABELS = (1.0, 1.0, 0.0, 0.0)
VARIANCE = 0.05
DATA_SEED = 0


class Rate(cpd.Problem):
    """Binary classification of four Gaussian clouds under a constraint on the rate of predicted class 0.

    ``min cross-entropy  subject to  P(logit < 0) >= level``. The rate is piecewise constant in the weights, so its
    surrogate, the mean of ``1 - sigmoid(logit)``, drives the model while the rate itself drives the multiplier.

    Constraints: ``class0_rate``, a fraction. Metrics: ``accuracy``, a fraction.

    Args:
        points_per_class: Points in each of the four clouds (two per label).

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), Appendix B.3; the surrogate ("proxy constraint") is
    Cotter et al. (2019).
    """

    def __init__(self, points_per_class: int = 100) -> None:
        if type(points_per_class) is not int or points_per_class < 1:
            place, hint = "arguments.points_per_class", "give a whole number from 1 on"
            raise cpd.CpdError(f"{points_per_class!r} is no number of points", place=place, hint=hint)
        self.points_per_class = points_per_class

    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the points ``[n, 2]`` and labels ``[n]``: always the same, whatever the run's seed."""
        generator = torch.Generator().manual_seed(DATA_SEED)
        shape = (self.points_per_class, 2)
        clouds = [
            torch.tensor(centre) + torch.randn(shape, generator=generator) * math.sqrt(VARIANCE) for centre in CENTRES
        ]
        return torch.cat(clouds), torch.tensor(LABELS).repeat_interleave(self.points_per_class)

    def model(self) -> torch.nn.Linear:
        """Return a linear model with weights [[1, -1]] and bias 0: every seed starts there."""
        model = torch.nn.Linear(2, 1)
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[1.0, -1.0]]))
            model.bias.zero_()
        return model

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Evaluate the cross-entropy and both forms of the rate on points ``[n, 2]`` with labels ``[n]``."""
        points, labels = batch
        logits = model(points).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, labels),
            constraints={"class0_rate": (1 - torch.sigmoid(logits)).mean()},
            strict={"class0_rate": (logits < 0).to(logits.dtype).mean()},
        )

    def measure(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Add the accuracy, which training steps need not pay for."""
        points, labels = batch
        predicted = model(points).squeeze(-1) >= 0
        accuracy = (predicted == labels.bool()).to(points.dtype).mean()
        return dataclasses.replace(self.evaluate(model, batch), metrics={"accuracy": accuracy})
