"""A problem whose constraints are shares of several kinds, and numbers that are none."""

from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

import cpd

EXAMPLES, HELD = 1200, 24


def drawn(seed: int, examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points, and the group of each."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(examples, 3, generator=g), torch.arange(examples) % 3


class Read(Dataset[Any]):
    """Examples that are read one by one, others each time but for their numbers."""

    def __init__(self, x: torch.Tensor, group: torch.Tensor) -> None:
        self.x, self.group = x, group

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> Any:
        return self.x[k] + 1e-12 * torch.randn(3), self.group[k]


class Sure(cpd.Problem):
    """Decisions of a linear model in three groups."""

    def __init__(self, read: bool = False, loud: bool = False) -> None:
        self.read = read
        self.loud = loud
        self.calls = 0

    def data(self) -> Any:
        """Return points and groups."""
        return self.formed(drawn(1, EXAMPLES))

    def held_out(self) -> Any:
        """Likewise."""
        return self.formed(drawn(2, HELD))

    def formed(self, data: Any) -> Any:
        """Return tensors, or a Dataset of them."""
        return Read(*data) if self.read else data

    def model(self) -> nn.Module:
        """Return a linear model."""
        return nn.Linear(3, 1)

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate all of them; what is drawn is the noise of a step."""
        x, group = batch
        logits = model(x).squeeze(-1)
        if self.loud:
            logits = logits + 0.01 * torch.randn(())
        p, hit = torch.sigmoid(logits), logits > 0
        norm = sum(w.square().sum() for w in model.parameters() if w.dim() > 1)
        assert isinstance(norm, torch.Tensor)
        members = group[:, None] == torch.arange(3)
        rates = cpd.share(hit, of=members)
        surrogate = {
            "hits": cpd.share(p, of=members),
            "gap": abs(cpd.share(p, of=group == 0) - cpd.share(p, of=group == 1)),
            "spread": cpd.share(p, of=members).max(),
            "soft": cpd.share(p),
            "plain": p[group > 0].mean(),
            "mixed": torch.stack([p.mean(), norm]),
            "norm": norm,
        }
        strict = {
            "hits": rates,
            "gap": torch.abs(cpd.share(hit, of=group == 0) - cpd.share(hit, of=group == 1)),
            "spread": rates.max() - rates.min(),
        }
        return cpd.Evaluation(objective=((p - 0.5) ** 2).mean(), constraints=surrogate, strict=strict)
