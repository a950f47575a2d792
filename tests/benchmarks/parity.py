"""A classifier whose share of positives may hardly differ between two groups, of points that nobody trains on too."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

import cpd

DATA_SEED = 0


class Parity(cpd.Problem):
    """Binary labels that a group makes more likely, and a classifier that is to call as many of both positive.

    ``min cross-entropy  subject to  |P(positive | group 1) - P(positive | group 0)| <= level``, as two inequalities.

    Args:
        points: How many.
        hidden: Width of the classifier's hidden layer.
    """

    def __init__(self, points: int = 600, hidden: int = 16) -> None:
        self.points, self.hidden = points, hidden

    def data(self) -> tuple[torch.Tensor, ...]:
        """Draw points ``[n, 4]``, labels and groups ``[n]``."""
        g = torch.Generator().manual_seed(DATA_SEED)
        group = (torch.rand(self.points, generator=g) < 0.4).float()
        hidden = torch.randn(self.points, generator=g) + 1.2 * group
        label = (hidden + 0.5 * torch.randn(self.points, generator=g) > 0.5).float()
        noise = torch.randn(self.points, 3, generator=g)
        features = torch.stack([hidden, hidden * noise[:, 0], noise[:, 1], group + noise[:, 2]], 1)
        return features, label, group

    def model(self) -> nn.Module:
        """Return a network with one hidden layer."""
        return nn.Sequential(nn.Linear(4, self.hidden), nn.Tanh(), nn.Linear(self.hidden, 1))

    def evaluate(self, model: nn.Module, batch: tuple[torch.Tensor, ...]) -> cpd.Evaluation:
        """Evaluate the cross-entropy, and the difference of both groups on either side."""
        x, y, group = batch
        logits = model(x).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, y),
            constraints={"parity": both_sides(torch.sigmoid(logits), group)},
            strict={"parity": both_sides((logits > 0).to(x.dtype), group)},
        )


def both_sides(p: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """The difference of two means, and its negative."""
    difference = (p * group).sum() / group.sum() - (p * (1 - group)).sum() / (1 - group).sum()
    return torch.stack([difference, -difference])
