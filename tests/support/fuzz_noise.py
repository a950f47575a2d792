"""A block of the fuzzer's that draws random numbers, of every origin."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

WIDTH = 8
"""Numbers that a block takes and gives."""

NOISE = (
    *("randn", "randn_like", "rand_like", "bernoulli", "bernoulli_p", "normal", "normal_tensor", "normal_", "uniform_"),
    *("randint", "permutation", "shift", "depth", "multinomial", "gumbel", "exponential_", "python", "numpy"),
)


class Noisy(nn.Module):
    """Noise of one of torch's functions, in training mode."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.inner = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        if not self.training:
            return x
        match self.way:
            case "randn":
                return x + 0.3 * torch.randn(x.shape)
            case "randn_like":
                return x + 0.3 * torch.randn_like(x)
            case "rand_like":
                return x * (0.5 + torch.rand_like(x))
            case "bernoulli":
                return x * torch.bernoulli(torch.sigmoid(x.detach()))
            case "bernoulli_p":
                return x * torch.bernoulli(torch.full_like(x, 0.7))
            case "normal":
                return x + torch.normal(0.0, 0.2, x.shape)
            case "normal_tensor":
                return x + torch.normal(torch.zeros_like(x), 0.1 + x.detach().abs() * 0.1)
            case "normal_":
                return x + torch.empty_like(x).normal_(0, 0.2)
            case "uniform_":
                return x + torch.empty_like(x).uniform_(-0.2, 0.2)
            case "randint":
                return x * torch.randint(0, 2, x.shape)
            case "permutation":
                return x[:, torch.randperm(WIDTH)]
            case "shift":
                return torch.roll(x, int(torch.randint(0, 3, ())), -1)
            case "depth":
                return x if float(torch.rand(())) < 0.5 else torch.tanh(x)
            case "multinomial":
                return x * F.one_hot(torch.multinomial(x.detach().softmax(-1), 2), WIDTH).sum(1) * 4
            case "gumbel":
                return x * F.gumbel_softmax(x, tau=0.7) * WIDTH
            case "exponential_":
                return x + 0.1 * torch.empty_like(x).exponential_()
            case "python":
                return x * (1 + 0.2 * random.gauss(0, 1))
            case "numpy":
                return x + torch.as_tensor(np.random.randn(WIDTH) * 0.2, dtype=x.dtype)
        raise ValueError(self.way)
