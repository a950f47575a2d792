"""Contract 1: what a user writes in Python, for ONE model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Values = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Evaluation:
    """Objective and constraint values of one model on one batch.

    Args:
        objective: Scalar f to minimise, differentiable.
        constraints: Measured values by name, each a scalar or ``[k]`` (k constraints under one name).
            Values, not violations: level, sense and tolerance live in the YAML. Differentiable (the surrogate).
        strict: True values by name where they differ from the surrogate; same shapes. They drive the multipliers and
            the verdict and need no gradient.
        metrics: Scalars to report, by name.
    """

    objective: torch.Tensor
    constraints: Values
    strict: Values | None = None
    metrics: Values = field(default_factory=dict)


class Problem:
    """A training problem with constraints, written for one model; cpd trains many copies of it at once.

    Arguments of ``__init__`` come from ``arguments`` in the YAML.
    """

    def data(self) -> Any:
        """Return all training data: a tuple of tensors (first dimension = examples), a torch Dataset, or None."""
        return None

    def model(self) -> torch.nn.Module:
        """Return a fresh model; torch's generator is seeded with the run's seed before the call."""
        raise NotImplementedError(f"{type(self).__name__}.model() is not written")

    def evaluate(self, model: torch.nn.Module, batch: Any) -> Evaluation:
        """Evaluate objective and constraints of ``model`` on ``batch``: differentiable, no side effects.

        Args:
            model: What :meth:`model` returned, with one run's parameters.
            batch: A tuple shaped like :meth:`data`'s, or None when it is None.
        """
        raise NotImplementedError(f"{type(self).__name__}.evaluate() is not written")

    def measure(self, model: torch.nn.Module, batch: Any) -> Evaluation:
        """Judge a finished model (in ``eval()`` mode, on all data). Default: :meth:`evaluate`."""
        return self.evaluate(model, batch)

    def project(self, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the parameters projected on the feasible set, ``[x]_X``, after each step. Default: as they are."""
        return parameters
