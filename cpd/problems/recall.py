"""Tumours that must not be missed: a classifier of breast cancer with a recall to reach."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

import cpd

COLUMNS = 30
"""Measurements in scikit-learn's table."""
KEPT = 0.4
"""Share of the tumours that no run trains on."""

Batch = tuple[Tensor, Tensor]


class Recall(cpd.Problem):
    r"""Logistic regression that must find a given share of the malignant tumours.

    .. math:: \min_x \text{cross-entropy} \quad \text{subject to} \quad P(z > 0 \mid \text{malignant}) \geq \text{level}

    z is the logit. 569 tumours, 212 of them malignant; 341 are trained on and 228 held out, always the same. A recall
    is piecewise constant in the weights; its surrogate, the mean of ``sigmoid(z)`` over the malignant, drives
    the model.

    Constraints: ``recall``, a share of the malignant. Metrics: ``false_alarms``, the share of the benign that are
    called malignant; ``precision``; ``accuracy``.

    Args:
        columns: How many of the 30 measurements are used, from the first on. With all of them the two kinds can
            nearly be told apart on the training data, and the constraint costs little there.

    Source: the data are Wolberg, Street and Mangasarian's (1995), which come with scikit-learn; rates as constraints
    are Cotter et al. (2019).
    """

    def __init__(self, columns: int = 8) -> None:
        if type(columns) is not int or not 1 <= columns <= COLUMNS:
            hint = f"give a whole number from 1 to {COLUMNS}"
            raise cpd.CpdError(f"{columns!r} is no number of columns", place="arguments.columns", hint=hint)
        self.columns = columns

    @cached_property
    def parts(self) -> tuple[Batch, Batch]:
        """Training and held-out tumours, standardised by the mean and deviation of the training ones."""
        from sklearn.datasets import load_breast_cancer
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        points, kinds = load_breast_cancer(return_X_y=True)
        malignant = kinds == 0
        split = train_test_split(
            points[:, : self.columns], malignant, test_size=KEPT, random_state=0, stratify=malignant
        )
        scaler = StandardScaler().fit(split[0])
        inputs = [torch.tensor(scaler.transform(part), dtype=torch.float32) for part in split[:2]]
        labels = [torch.tensor(part, dtype=torch.float32) for part in split[2:]]
        return (inputs[0], labels[0]), (inputs[1], labels[1])

    def data(self) -> Batch:
        """Return the training tumours: measurements ``[n, columns]``, and 1 where one is malignant ``[n]``."""
        return self.parts[0]

    def held_out(self) -> Batch:
        """Return the tumours that are kept for judging."""
        return self.parts[1]

    def model(self) -> torch.nn.Linear:
        """Return a linear model."""
        return torch.nn.Linear(self.columns, 1)

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the cross-entropy and both forms of the recall."""
        points, malignant = batch
        logits = model(points).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, malignant),
            constraints={"recall": cpd.share(torch.sigmoid(logits), of=malignant)},
            strict={"recall": cpd.share(logits > 0, of=malignant)},
        )

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add what the recall is paid with."""
        points, malignant = batch
        called = model(points).squeeze(-1) > 0
        metrics = {
            "false_alarms": cpd.share(called, of=1 - malignant),
            "precision": cpd.share(malignant, of=called),
            "accuracy": cpd.share(called == malignant.bool()),
        }
        return dataclasses.replace(self.evaluate(model, batch), metrics=metrics)
