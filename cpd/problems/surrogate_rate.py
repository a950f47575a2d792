"""The rate problem with its constraint on the surrogate alone: what it costs to forget the true value."""

from __future__ import annotations

import dataclasses

import torch

import cpd
from cpd.problems.rate import Rate


class SurrogateRate(Rate):
    """:class:`cpd.problems.rate.Rate`, whose multiplier moves with the surrogate too.

    The mean of ``1 - sigmoid(logit)`` drives model and multiplier, so training ends where it is at the level; finished
    models are judged by the rate itself, which is not there.

    Constraints: ``class0_rate``, a fraction. Metrics: ``accuracy``, a fraction.

    Source: Cotter et al., "Two-Player Games for Efficient Non-Convex Constrained Optimization" (2019), which lets the
    multipliers move with the true value instead.
    """

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Evaluate the cross-entropy and the surrogate."""
        return dataclasses.replace(super().evaluate(model, batch), strict=None)

    def measure(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Measure the rate itself beside them."""
        points, _ = batch
        share = (model(points).squeeze(-1) < 0).to(points.dtype).mean()
        return dataclasses.replace(super().measure(model, batch), strict={"class0_rate": share})
