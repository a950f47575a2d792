"""A classifier that learns something new and stays near what it was: a KL ball around a reference model."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

import cpd
from cpd.problems.images import CLASSES, load_images

PIXELS = 64
SIDE = 8
REFERENCE_STEPS = 300
REFERENCE_SEED = 0

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class KlFinetune(cpd.Problem):
    r"""Fine-tuning on digits that lie on their side, within a KL ball of a reference model on upright ones.

    .. math:: \min_x E[\text{cross-entropy of } p_x(\text{turned image})] \quad \text{subject to} \quad
        E[\mathrm{KL}(p_x(\text{image}) \,\|\, p_0(\text{image}))] \leq \text{level}

    p_0 is a network that is trained on upright digits before, always the same; every run starts there.

    Constraints: ``kl``, in nats, on the upright images. Metrics: ``new_accuracy`` on turned images and ``old_accuracy``
    on upright ones.

    Args:
        hidden: Units of the hidden layer; with 0 there is none, and the model is linear.

    Source: the ball around a reference is that of trust regions (Schulman et al., 2015) and of fine-tuning language
    models (Ziegler et al., 2019), which use it as a penalty with a coefficient.
    """

    def __init__(self, hidden: int = 0) -> None:
        if type(hidden) is not int or hidden < 0:
            hint = "give a whole number, 0 for a linear model"
            raise cpd.CpdError(f"{hidden!r} is no number of units", place="arguments.hidden", hint=hint)
        self.hidden = hidden

    @cached_property
    def reference(self) -> torch.nn.Sequential:
        """The network that was trained on upright digits, in float32."""
        images = load_images("digits")
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(REFERENCE_SEED)
            model = self._network()
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)
            for _ in range(REFERENCE_STEPS):
                optimizer.zero_grad()
                functional.cross_entropy(model(images.inputs), images.labels).backward()
                optimizer.step()
        return model

    def _network(self) -> torch.nn.Sequential:
        if not self.hidden:
            return torch.nn.Sequential(torch.nn.Linear(PIXELS, CLASSES))
        first, last = torch.nn.Linear(PIXELS, self.hidden), torch.nn.Linear(self.hidden, CLASSES)
        return torch.nn.Sequential(first, torch.nn.ReLU(), last)

    def data(self) -> Batch:
        """Return images ``[n, 64]``, the same turned, labels ``[n]``, the reference's log-probabilities ``[n, 10]``."""
        images = load_images("digits")
        return self._with_reference(images.inputs, images.labels)

    def held_out(self) -> Batch:
        """Return the images that neither the reference nor a run has seen."""
        images = load_images("digits")
        return self._with_reference(images.test_inputs, images.test_labels)

    def _with_reference(self, inputs: Tensor, labels: Tensor) -> Batch:
        with torch.no_grad():
            known = self.reference(inputs).log_softmax(-1)
        return inputs, turned(inputs), labels, known

    def model(self) -> torch.nn.Sequential:
        """Return a copy of the reference: every seed starts there."""
        return copy.deepcopy(self.reference).to(torch.get_default_dtype())

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the cross-entropy of turned images and the divergence on upright ones."""
        upright, on_their_side, labels, known = batch
        return cpd.Evaluation(
            objective=functional.cross_entropy(model(on_their_side), labels),
            constraints={"kl": cpd.share(divergence(model(upright).log_softmax(-1), known))},
        )

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add how many digits are read right, of both kinds."""
        at = self.evaluate(model, batch)
        upright, on_their_side, labels, _ = batch
        right = {"new_accuracy": model(on_their_side), "old_accuracy": model(upright)}
        metrics = {name: cpd.share(logits.argmax(-1) == labels) for name, logits in right.items()}
        return cpd.Evaluation(at.objective, at.constraints, metrics=metrics)


def turned(images: Tensor) -> Tensor:
    """Return images ``[n, 64]`` of 8 by 8 pixels, turned by a quarter."""
    return images.reshape(-1, SIDE, SIDE).rot90(dims=(1, 2)).reshape(-1, PIXELS)


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    r"""Return KL(p || q) of each row, ``[n]``: :math:`\sum_k p_k (\log p_k - \log q_k)`."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)
