"""Gradients that look at what the step before found, for methods that move the model so."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.method_groups import MethodGroups
from cpd.engine.stacked import Gradients
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey


def first_optimistic(keys: Sequence[RunKey]) -> str | None:
    """The first such method among some runs; None where there is none."""
    return next((key.method for key in keys if REGISTRY[key.method].optimistic), None)


def earlier_of(groups: MethodGroups, parameters: Tensors) -> Tensors:
    """What is remembered before the first step: gradients of 0; nothing where no method asks."""
    asked = any(part.method.optimistic for part in groups.parts)
    return {name: torch.zeros_like(p) for name, p in parameters.items()} if asked else {}


def corrected(
    groups: MethodGroups, gradients: Gradients, earlier: Tensors, step: Tensor, active: Tensor
) -> tuple[Gradients, Tensors]:
    r"""The gradients along which the models move, and those that the next step is told.

    .. math:: d_t = 2 \nabla_t - \nabla_{t-1}, \qquad d_0 = \nabla_0

    Of runs whose method does not ask, the gradients as they are. No gradient is one of 0.

    Args:
        groups: The methods.
        gradients: Of all runs, by parameter.
        earlier: Of the step before; empty where no method asks.
        step: Steps done, a scalar.
        active: ``[R]``, whose steps count.
    """
    if not earlier:
        return gradients, earlier
    moved, kept = dict(gradients), dict(earlier)
    for name, gradient in gradients.items():
        last = earlier[name]
        if gradient is not None:
            moved[name] = _rows(groups, gradient, torch.where(step == 0, gradient, 2 * gradient - last))
        now = torch.zeros_like(last) if gradient is None else gradient.to(last.dtype)
        going = active.view(-1, *[1] * (last.dim() - 1))
        kept[name] = _rows(groups, last, torch.where(going, now, last))
    return moved, kept


def _rows(groups: MethodGroups, plain: Tensor, asked: Tensor) -> Tensor:
    """The rows of runs whose method asks from the one, the others from the other."""
    rows = [(asked if part.method.optimistic else plain)[part.rows] for part in groups.parts]
    return rows[0] if len(rows) == 1 else torch.cat(rows)
