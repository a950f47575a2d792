"""Feasible learning: every training example is a constraint of its own."""

from __future__ import annotations

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
    r"""Digit classification that asks for a small loss on each of the 1,797 images, instead of on their mean.

    .. math:: \min_x \frac{w}{2} \|x\|^2 \quad \text{subject to} \quad \ell_i(x) \leq \text{level for every } i

    Constraints: ``loss``, the cross-entropy of each image: a minibatch shows those of its own images, and only their
    multipliers move. Metrics of the finished model, on all images: ``mean_loss``, ``largest_loss`` and ``accuracy``.

    Args:
        hidden: Units of the hidden layer.
        weight_decay: w; with 0 nothing but the constraints is asked for.

    Source: Ramirez, Hounie, Elenter, Gallego-Posada, Hashemizadeh, Ribeiro and Lacoste-Julien, "Feasible Learning"
    (2025), equation (FL).
    """

    def __init__(self, hidden: int = 64, weight_decay: float = 1e-3) -> None:
        if type(hidden) is not int or hidden < 1:
            raise cpd.CpdError(f"{hidden!r} is no number of units", place="arguments.hidden", hint="e.g. 64")
        self.hidden = hidden
        self.weight_decay = weight_decay

    def data(self) -> Batch:
        """Return scikit-learn's digits: pixels ``[n, 64]`` from 0 to 1, labels ``[n]``, and the place of each image."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        inputs = torch.tensor(pixels / BRIGHTEST, dtype=torch.float32)
        return inputs, torch.tensor(labels, dtype=torch.int64), torch.arange(len(labels))

    def model(self) -> torch.nn.Sequential:
        """Return a network with one hidden layer."""
        first = torch.nn.Linear(64, self.hidden)
        return torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Linear(self.hidden, CLASSES))

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the weight decay, and the loss of each image of the batch."""
        inputs, labels, places = batch
        losses = functional.cross_entropy(model(inputs), labels, reduction="none")
        return cpd.Evaluation(
            objective=self.weight_decay / 2 * torch.stack([p.square().sum() for p in model.parameters()]).sum(),
            constraints={"loss": cpd.observed(losses, places, size=IMAGES)},
        )

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add what is said of all images together."""
        inputs, labels, _ = batch
        at = self.evaluate(model, batch)
        losses = at.constraints["loss"].values
        right = (model(inputs).argmax(-1) == labels).to(losses.dtype).mean()
        metrics = {"mean_loss": losses.mean(), "largest_loss": losses.max(), "accuracy": right}
        return cpd.Evaluation(at.objective, at.constraints, metrics=metrics)
