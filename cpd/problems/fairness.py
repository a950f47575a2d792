"""Two groups that are to be treated alike: a classifier with a bound on the gap between their rates."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

import cpd
from cpd.errors import closest
from cpd.problems.people import Batch, People, load_people
from cpd.shares import Combined

CRITERIA = ("parity", "opportunity", "false_positives")


class Fairness(cpd.Problem):
    r"""Classification with a bound on how differently two groups are treated.

    .. math:: \min_x \text{cross-entropy} \quad \text{subject to} \quad
        |P(z > 0 \mid \text{group } 0, c) - P(z > 0 \mid \text{group } 1, c)| \leq \text{level}

    z is the logit, and c what is compared: everybody (demographic *parity*), those whose label is 1 (equal
    *opportunity*), or those whose label is 0 (*false positives*). Gaps of decisions are piecewise constant in the
    weights; those of the mean ``sigmoid(z)`` drive the model.

    Constraints: ``gap``, that of the criterion. Metrics: the gaps of all three criteria, and ``accuracy``.

    Args:
        criterion: ``parity``, ``opportunity`` or ``false_positives``.
        data: ``made`` (people of whom one group earns less, drawn here), ``adult`` (the census of 1994, fetched from
            OpenML and kept by scikit-learn) or the path of a CSV file with a heading.
        label: The column to be predicted, and the value that is 1, as ``column=value``; ``adult`` has its own.
        group: The column whose value says who is in group 1, as ``column=value``; ``adult`` has its own.

    Source: Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning" (2016); rates as constraints with
    surrogates are Cotter et al. (2019).
    """

    def __init__(
        self, criterion: str = "parity", data: str = "made", label: str | None = None, group: str | None = None
    ) -> None:
        if criterion not in CRITERIA:
            hint = closest(str(criterion), CRITERIA)
            raise cpd.CpdError(f"unknown criterion '{criterion}'", place="arguments.criterion", hint=hint)
        self.criterion = criterion
        self.source = (data, label, group)

    @cached_property
    def people(self) -> People:
        """Training and held-out people, read or drawn once."""
        return load_people(*self.source)

    def data(self) -> Batch:
        """Return what is known of the training people ``[n, k]``, their labels ``[n]`` and groups ``[n]``, 0 or 1."""
        return self.people.training

    def held_out(self) -> Batch:
        """Return the people that are kept for judging."""
        return self.people.held_out

    def model(self) -> torch.nn.Linear:
        """Return a linear model, which sees the group too."""
        return torch.nn.Linear(self.people.training[0].shape[1], 1)

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the cross-entropy and both forms of the gap."""
        x, label, group = batch
        logits = model(x).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, label),
            constraints={"gap": gap(torch.sigmoid(logits), self.criterion, label, group)},
            strict={"gap": gap(logits > 0, self.criterion, label, group)},
        )

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add the gaps that nothing was asked of, and the accuracy."""
        x, label, group = batch
        positive = model(x).squeeze(-1) > 0
        gaps = {name: gap(positive, name, label, group) for name in CRITERIA}
        metrics = {**gaps, "accuracy": cpd.share(positive == label.bool())}
        return dataclasses.replace(self.evaluate(model, batch), metrics=metrics)


def gap(p: Tensor, criterion: str, label: Tensor, group: Tensor) -> Combined:
    """Return by how much two groups differ.

    Args:
        p: Decisions or probabilities ``[n]``.
        criterion: Of whom: ``parity`` everybody, ``opportunity`` label 1, ``false_positives`` label 0.
        label: ``[n]``, 0 or 1.
        group: ``[n]``, 0 or 1.
    """
    compared = {"parity": torch.ones_like(label), "opportunity": label, "false_positives": 1 - label}[criterion]
    members = torch.stack([1 - group, group], 1) * compared[:, None]
    rates = cpd.share(p[:, None], of=members)
    difference: Combined = abs(rates[0] - rates[1])
    return difference
