"""A convolutional network on scikit-learn's digits as a problem: what ``bench_convolutions.py`` trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import cpd


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 1,797 images of 8 x 8 and what they show."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(labels)


def network(norm: bool) -> nn.Module:
    """Return two convolutions of 16 and 32 channels and a layer, with or without BatchNorm."""
    layers: list[nn.Module] = []
    for given, made in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(given, made, 3, padding=1), *([nn.BatchNorm2d(made)] if norm else [])]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))


def eights(logits: torch.Tensor) -> torch.Tensor:
    """How much of the images is called an eight."""
    return logits.softmax(1)[:, 8].mean()


class Digits(cpd.Problem):
    """Tell digits while at most a share of them is called an eight.

    Args:
        norm: Whether the network has BatchNorm.
    """

    def __init__(self, norm: bool = True) -> None:
        self.norm = norm

    def data(self) -> Any:
        """Return the images and their labels."""
        return digits()

    def model(self) -> nn.Module:
        """Return the network."""
        return network(self.norm)

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the rate of eights."""
        logits = model(batch[0])
        return cpd.Evaluation(cross_entropy(logits, batch[1]), {"eights": eights(logits)})
