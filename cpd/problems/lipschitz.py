"""A classifier whose output can only change so fast: a bound on its Lipschitz constant."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

import cpd
from cpd.problems.images import CLASSES, Images, load_images

PIXELS = 64

Batch = tuple[Tensor, Tensor]


class Lipschitz(cpd.Problem):
    r"""Digit classification with a network that no small change of an image can move far.

    .. math:: \min_x E[\text{cross-entropy}] \quad \text{subject to} \quad \prod_l \|W_l\|_2 \leq \text{level}

    The product of the layers' spectral norms bounds the Lipschitz constant of a network with ReLUs. An image is
    *certified* where its margin, the right logit less the largest other, is above ``sqrt(2) * product * radius``:
    nothing within the radius, in the norm of L2, changes what it is read as.

    Constraints: ``lipschitz``, the product, exact in training too, so that it is its own strict value. Metrics:
    ``accuracy``; ``certified``, the share of images that are read right and certified at the radius; ``steepest``, the
    largest slope at any image, which no Lipschitz constant is below.

    Args:
        hidden: Units of the hidden layer.
        radius: In standard deviations of a pixel.

    Source: the bound is Szegedy et al., "Intriguing properties of neural networks" (2014); the certificate is Tsuzuku,
    Sato and Sugiyama, "Lipschitz-margin training" (2018), Proposition 1.
    """

    def __init__(self, hidden: int = 32, radius: float = 0.5) -> None:
        if type(hidden) is not int or hidden < 1:
            raise cpd.CpdError(f"{hidden!r} is no number of units", place="arguments.hidden", hint="e.g. 32")
        if not 0 <= radius < math.inf:
            raise cpd.CpdError(f"{radius!r} is no radius", place="arguments.radius", hint="e.g. 0.5")
        self.hidden, self.radius = hidden, radius

    @cached_property
    def images(self) -> Images:
        """Training and test images, read once."""
        return load_images("digits")

    def data(self) -> Batch:
        """Return the training images ``[n, 64]`` and their labels ``[n]``."""
        return self.images.inputs, self.images.labels

    def held_out(self) -> Batch:
        """Return the images that are kept for judging."""
        return self.images.test_inputs, self.images.test_labels

    def model(self) -> torch.nn.Sequential:
        """Return a network with one hidden layer."""
        first, last = torch.nn.Linear(PIXELS, self.hidden), torch.nn.Linear(self.hidden, CLASSES)
        return torch.nn.Sequential(first, torch.nn.ReLU(), last)

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the cross-entropy and the product of the spectral norms."""
        images, labels = batch
        objective = functional.cross_entropy(model(images), labels)
        return cpd.Evaluation(objective, constraints={"lipschitz": spectral_product(model)})

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add how many images are read right, and for how many that is certain."""
        at = self.evaluate(model, batch)
        images, labels = batch
        margins = margin(model(images), labels)
        metrics = {
            "accuracy": cpd.share(margins > 0),
            "certified": cpd.share(margins > math.sqrt(2) * self.radius * at.constraints["lipschitz"]),
            "steepest": slopes(model, images).amax(),
        }
        return cpd.Evaluation(at.objective, at.constraints, metrics=metrics)


def spectral_product(model: torch.nn.Module) -> Tensor:
    """Return the product of the largest singular values of a network's layers, a scalar."""
    return torch.stack([largest(layer.weight) for layer in layers(model)]).prod()


def layers(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """Return the layers of a network, first to last."""
    return [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]


def slopes(model: torch.nn.Module, images: Tensor) -> Tensor:
    """Return the largest singular value of the network's Jacobian at each image, ``[n]``.

    With ReLUs it is that of ``W_2 diag(s) W_1``, where s tells which hidden units are above 0.

    Args:
        model: Of the problem.
        images: ``[n, 64]``.
    """
    first, last = layers(model)
    active = (first(images) > 0).to(images.dtype)
    return largest((last.weight * active[:, None, :]) @ first.weight)


def largest(matrices: Tensor) -> Tensor:
    """Return the largest singular value of matrices ``[..., rows, columns]``.

    It is the root of the largest eigenvalue of ``W W^T`` or ``W^T W``, whichever is smaller, after a division by the
    largest number: squares of small ones would be 0. Of matrices that are not finite it is NaN, where the arithmetic of
    eigenvalues would refuse all of them.
    """
    tiny = torch.finfo(matrices.dtype).tiny
    finite = matrices.isfinite().all(-1).all(-1)
    matrices = torch.where(finite[..., None, None], matrices, torch.zeros_like(matrices))
    scale = matrices.detach().abs().amax((-2, -1), keepdim=True).clamp_min(tiny)
    wide = (matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT) / scale
    squared: Tensor = torch.linalg.eigvalsh(wide @ wide.mT)[..., -1]
    found = scale[..., 0, 0] * squared.clamp_min(tiny).sqrt()
    return torch.where(finite, found, torch.full_like(found, math.nan))


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the right logit less the largest other one, ``[n]``: above 0 where an image is read right."""
    right = functional.one_hot(labels, logits.shape[-1]).bool()
    others = logits.masked_fill(right, -math.inf).amax(-1)
    return logits.gather(-1, labels[:, None]).squeeze(-1) - others
