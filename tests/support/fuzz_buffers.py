"""Blocks of the fuzzer's whose buffers change: in place, by assignment, at some places."""

from __future__ import annotations

import torch
from fuzz_noise import WIDTH
from torch import Tensor, nn


class Counting(nn.Module):
    """A warm-up by a buffer that counts the steps."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
        return x + self.inner(x) * (self.steps / 20).clamp(max=1)  # type: ignore[no-any-return]


class Averaging(nn.Module):
    """Takes off a running mean: kept in place, or assigned anew; the buffer may be one that is not saved."""

    mean: Tensor

    def __init__(self, assign: bool, persistent: bool = True) -> None:
        super().__init__()
        self.assign = assign
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mean", torch.zeros(WIDTH), persistent=persistent)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            new = x.detach().mean(0)
            if self.assign:
                self.mean = 0.8 * self.mean + 0.2 * new
            else:
                self.mean.mul_(0.8).add_(new, alpha=0.2)
        return self.inner(x - self.mean)  # type: ignore[no-any-return]


class Codebook(nn.Module):
    """Adds the nearest of some codes, which move towards what they are nearest to: an in-place ``index_add_``."""

    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("codes", torch.randn(4, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x, self.codes).argmin(1)
        if self.training:
            with torch.no_grad():
                self.codes.index_add_(0, nearest, 0.05 * (x - self.codes[nearest]))
        return self.inner(x) + 0.3 * self.codes[nearest]  # type: ignore[no-any-return]
