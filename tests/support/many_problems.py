"""Problems with many constraints under one name, whose optimum is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import cpd


def prices(n: int) -> Tensor:
    """Multipliers at the optimum, which change slowly from place to place: a constant and one cosine in theta."""
    place = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.nn.functional.softplus(0.3 + 1.5 * (torch.pi * place).cos())


class Bounds(cpd.Problem):
    """``min |x - a|^2 / 2`` where each x_j <= 1, and a is 1 and the multiplier beyond; minibatches show some places."""

    def __init__(self, n: int = 40, features: str = "none", partial: bool = False) -> None:
        self.n = n
        self.features = features
        self.partial = partial

    def data(self) -> Any:
        """Return the places, where minibatches of them are shown."""
        return (torch.arange(self.n),) if self.partial else None

    def constraint_features(self) -> Any:
        """Return what the argument says."""
        place = (torch.arange(self.n, dtype=torch.float64) + 0.5) / self.n
        made = {
            "none": {},
            "cosine": {"each": (torch.pi * place).cos()},
            "redundant": {"each": torch.stack([(torch.pi * place).cos() * 1e6, place * 0, place * 0 + 7], 1)},
            "list": {"each": (torch.pi * place).cos().tolist()},
            "drawn": {"each": torch.randn(self.n, 2)},
            "unknown": {"other": place},
            "short": {"each": place[1:]},
            "infinite": {"each": place.log() * torch.inf},
            "words": {"each": ["a"] * self.n},
            "tensor": place,
        }
        return made[self.features]

    def model(self) -> torch.nn.Module:
        """Return a random point."""
        return torch.nn.Linear(self.n, 1, bias=False)

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate all, and the constraints of the places that are shown."""
        x = next(iter(model.parameters()))[0]
        a = 1 + prices(self.n).to(x.dtype)
        each: Any = x if batch is None else cpd.observed(x[batch[0]], batch[0], size=self.n)
        return cpd.Evaluation((x - a).square().sum() / 2, {"each": each})
