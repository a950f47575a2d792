"""Appendix B.2 of the paper: a network that classifies digits with a given share of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

import cpd
from cpd.problems.hard_concrete import TEMPERATURE, HardConcreteLinear, density, median_gates, open_probability
from cpd.problems.images import CLASSES, Images, load_images

CHUNK = 4096
"""Examples judged at a time, so that a finished sweep on MNIST fits into memory."""

Batch = tuple[Tensor, Tensor]


class Sparsity(cpd.Problem):
    """Digit classification with at most a given density: the share of weights whose gate is open.

    ``min E[cross-entropy]  subject to  density <= level``, where the expectation is over hard-concrete gates, one for
    each input unit of each layer of a multilayer perceptron.

    Constraints: ``density``, the *expected* share of weights with an open gate, trained and judged.
    Metrics, all of the finished model with its gates at their medians: ``accuracy`` on images kept for testing,
    ``train_accuracy``, ``median_density`` (the mean of those gates over the weights, which the paper's Table 2 prints)
    and ``nonzero_density`` (the share of weights whose gate is not 0).

    Args:
        data: ``digits`` (8x8, comes with scikit-learn) or ``mnist``.
        folder: Of MNIST's IDX files; None for the folder in CPD_DATA, or OpenML if that is not set.
        hidden: Widths of the hidden layers; empty for logistic regression.
        input_drop_rate: Initial drop rate, in (0, 1), of the gates on the pixels.
        hidden_drop_rate: The same of the gates on hidden units.
        temperature: Of the gates, in (0, 1).

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), Appendix B.2; the network and its gates are Louizos et al.
    (2018); the constrained form is Gallego-Posada et al., "Controlled Sparsity via Constrained Optimization" (2022).
    """

    def __init__(
        self,
        data: str = "digits",
        folder: str | None = None,
        hidden: Sequence[int] = (300, 100),
        input_drop_rate: float = 0.2,
        hidden_drop_rate: float = 0.5,
        temperature: float = TEMPERATURE,
    ) -> None:
        if not isinstance(hidden, list | tuple) or not all(type(width) is int and width > 0 for width in hidden):
            raise cpd.CpdError(f"{hidden!r} is no list of widths", place="arguments.hidden", hint="e.g. [300, 100]")
        self.source = (data, folder)
        self.hidden = tuple(hidden)
        rates = {"input_drop_rate": input_drop_rate, "hidden_drop_rate": hidden_drop_rate, "temperature": temperature}
        for name, rate in rates.items():
            if not 0 < rate < 1:
                raise cpd.CpdError(f"{rate} is out of range", place=f"arguments.{name}", hint="give a number in (0, 1)")
        self.drop_rates = (input_drop_rate, *(hidden_drop_rate for _ in hidden))
        self.temperature = temperature

    @cached_property
    def images(self) -> Images:
        """Training and test images, read once."""
        return load_images(*self.source)

    def data(self) -> Batch:
        """Return the training images ``[n, pixels]`` and their labels ``[n]``."""
        return self.images.inputs, self.images.labels

    def model(self) -> torch.nn.Sequential:
        """Return a network with random weights, from pixels ``[..., pixels]`` to logits ``[..., classes]``."""
        widths = (self.images.inputs.shape[1], *self.hidden, CLASSES)
        layers: list[torch.nn.Module] = []
        for inputs, outputs, drop_rate in zip(widths, widths[1:], self.drop_rates, strict=False):
            layers += [HardConcreteLinear(inputs, outputs, drop_rate, self.temperature), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate cross-entropy with sampled gates, and expected density."""
        images, labels = batch
        return cpd.Evaluation(
            objective=functional.cross_entropy(model(images), labels),
            constraints={"density": density(model, open_probability)},
        )

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Judge the network with its gates at their medians, on all training images and the test images."""
        loss, train_accuracy = _judged(model, *batch)
        _, accuracy = _judged(model, self.images.test_inputs.to(batch[0]), self.images.test_labels.to(batch[1]))
        return cpd.Evaluation(
            objective=loss,
            constraints={"density": density(model, open_probability)},
            metrics={
                "accuracy": accuracy,
                "train_accuracy": train_accuracy,
                "median_density": density(model, median_gates),
                "nonzero_density": density(model, _nonzero),
            },
        )


def _nonzero(log_alpha: Tensor, temperature: float) -> Tensor:
    return (median_gates(log_alpha, temperature) > 0).to(log_alpha.dtype)


def _judged(model: torch.nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and accuracy."""
    loss = correct = images.new_zeros(())
    for some, targets in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
        logits = model(some)
        loss = loss + functional.cross_entropy(logits, targets, reduction="sum")
        correct = correct + (logits.argmax(-1) == targets).sum()
    return loss / len(labels), correct / len(labels)
