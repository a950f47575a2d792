"""Feasible learning: every training example is a constraint of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

import cpd
from cpd.problems.images import CLASSES

BRIGHTEST = 16.0
"""The largest value of a pixel."""
IMAGES = 1797
"""How many images scikit-learn's digits are."""

Batch = tuple[Tensor, Tensor, Tensor]


class FeasibleLearning(cpd.Problem):
    r"""Digit classification that asks for a small loss on each image, instead of on their mean.

    .. math:: \min_x \frac{w}{2} \|x\|^2 \quad \text{subject to} \quad \ell_i(x) \leq \text{level for every } i

    Constraints: ``loss``, the cross-entropy of each image: a minibatch shows those of its own images, and only their
    multipliers move. Metrics of the finished model, on all images: ``mean_loss``, ``largest_loss`` and ``accuracy``.

    Args:
        hidden: Units of the hidden layer; with 0 there is none, and the problem is convex.
        weight_decay: w; with 0 nothing but the constraints is asked for.
        images: How many of the images there are, the first.

    Source: Ramirez, Hounie, Elenter, Gallego-Posada, Hashemizadeh, Ribeiro and Lacoste-Julien, "Feasible Learning"
    (2025), equation (FL).
    """

    def __init__(self, hidden: int = 64, weight_decay: float = 1e-3, images: int = IMAGES) -> None:
        if type(hidden) is not int or hidden < 0:
            hint = "e.g. 64, or 0 for a linear model"
            raise cpd.CpdError(f"{hidden!r} is no number of units", place="arguments.hidden", hint=hint)
        if type(images) is not int or not 0 < images <= IMAGES:
            hint = f"give a whole number from 1 to {IMAGES}"
            raise cpd.CpdError(f"{images!r} is no number of images", place="arguments.images", hint=hint)
        if type(weight_decay) not in (int, float) or not 0 <= weight_decay < math.inf:
            hint = "give a number from 0 on"
            raise cpd.CpdError(f"{weight_decay!r} is no weight decay", place="arguments.weight_decay", hint=hint)
        self.hidden = hidden
        self.weight_decay = weight_decay
        self.images = images

    def data(self) -> Batch:
        """Return scikit-learn's digits: pixels ``[n, 64]`` from 0 to 1, labels ``[n]``, and the place of each image."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        inputs = torch.tensor(pixels[: self.images] / BRIGHTEST, dtype=torch.float32)
        return inputs, torch.tensor(labels[: self.images], dtype=torch.int64), torch.arange(self.images)

    def model(self) -> torch.nn.Sequential:
        """Return a network with one hidden layer, or none."""
        if not self.hidden:
            return torch.nn.Sequential(torch.nn.Linear(64, CLASSES))
        first = torch.nn.Linear(64, self.hidden)
        return torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Linear(self.hidden, CLASSES))

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the weight decay, and the loss of each image of the batch."""
        inputs, labels, places = batch
        losses = functional.cross_entropy(model(inputs), labels, reduction="none")
        return cpd.Evaluation(
            objective=self.weight_decay / 2 * torch.stack([p.square().sum() for p in model.parameters()]).sum(),
            constraints={"loss": cpd.observed(losses, places, size=self.images)},
        )

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add what is said of all images together."""
        inputs, labels, _ = batch
        at = self.evaluate(model, batch)
        losses = at.constraints["loss"].values
        right = (model(inputs).argmax(-1) == labels).to(losses.dtype).mean()
        metrics = {"mean_loss": losses.mean(), "largest_loss": losses.max(), "accuracy": right}
        return cpd.Evaluation(at.objective, at.constraints, metrics=metrics)
