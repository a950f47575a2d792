"""How large a gradient may be: each run's by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from cpd.engine.stacked import Gradients

ROUNDING = 1e-6
"""What ``torch.nn.utils.clip_grad_norm_`` adds to a norm that it divides by."""


def clipped(gradients: Gradients, norm: Tensor | None, value: Tensor | None, kind: float = 2.0) -> Gradients:
    r"""Gradients that are no larger than they may be.

    .. math:: g \min(1, \frac{c}{\|g\| + 10^{-6}}) \quad\text{or}\quad \min(\max(g, -c), c)

    Args:
        gradients: ``[R, ...]`` by parameter; None where there is none.
        norm: Largest norm of a run's whole gradient, ``[R]`` or one for all; None where values are clipped.
        value: Largest size of each number, likewise.
        kind: Which norm.

    Source: ``torch.nn.utils.clip_grad_norm_`` and ``clip_grad_value_``.
    """
    there = {name: g for name, g in gradients.items() if g is not None}
    if not there:
        return gradients
    if value is not None:
        cut = {name: torch.clamp(g, -_rows(value, g), _rows(value, g)) for name, g in there.items()}
        return {**gradients, **cut}
    assert norm is not None
    each = [torch.linalg.vector_norm(g.flatten(1), kind, dim=1) for g in there.values()]
    whole = torch.linalg.vector_norm(torch.stack([n.to(each[0].dtype) for n in each], 1), kind, dim=1)
    factor = (norm.to(whole.dtype) / (whole + ROUNDING)).clamp(max=1.0)
    return {**gradients, **{name: g * _rows(factor, g) for name, g in there.items()}}


def _rows(numbers: Tensor, like: Tensor) -> Tensor:
    low = numbers.to(like.dtype)
    return low.view(-1, *[1] * (like.dim() - 1)) if low.dim() else low
