"""A problem whose surrogates and strict values show other entries of a vector in each minibatch."""

from dataclasses import replace

import torch
from torch import Tensor, nn

import cpd
from cpd.problem import Observed


class Apart(cpd.Problem):
    """The first two examples of a minibatch drive the model, the last two move the multipliers."""

    def data(self) -> tuple[Tensor, Tensor]:
        return torch.linspace(-1, 1, 12), torch.arange(12)

    def model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        x, place = batch
        out = model(x.unsqueeze(1)).squeeze(1)
        first, last = (slice(2), slice(-2, None)) if len(x) < 12 else (slice(None), slice(None))
        surrogate: Observed = cpd.observed(out[first] - 0.2, place[first], size=12)
        strict: Observed = cpd.observed((out[last] * 4).round() / 4, place[last], size=12)
        values = {"each": replace(surrogate, apart=True)}
        return cpd.Evaluation((out - 1).square().mean(), values, {"each": replace(strict, apart=True)})
