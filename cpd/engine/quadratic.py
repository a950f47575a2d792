"""Small quadratic programs, one for each run: what is nearest to a direction among those that constraints allow."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 1e-8
"""Of each gradient's own square: so gradients that are no basis have one solution, and contradictions a finite one."""
SPACINGS = 100
"""The ridge is no smaller than so many spacings of a run's numbers: large multipliers would cancel to noise."""
ROUNDS = 12
"""Pivots at most; up to 3 components that tries every choice of those which act."""
PATIENCE = 3
"""Pivots of whole blocks that may fail to leave fewer wrong signs, before single ones."""


def ridge_of(dtype: torch.dtype) -> float:
    """The share of each gradient's square that is added to it, for runs of a dtype."""
    return max(RIDGE, SPACINGS * torch.finfo(dtype).eps)


def pivoted(gram: Tensor, right: Tensor, free: Tensor, held: Tensor, last: Tensor) -> Tensor:
    r"""The multipliers of a strictly convex program, by block principal pivoting.

    .. math:: \min_{\lambda} \tfrac{1}{2} \lambda^\top (G + \epsilon \, \mathrm{diag}\, G) \lambda - b^\top \lambda
        \;\text{ where } \lambda_i \ge 0 \text{ or } i \text{ is free}, \qquad \lambda_i = 0 \text{ where not held}

    Guess which of them act, solve for these, and flip those whose sign is wrong: all at once while that helps, else the
    last one alone. What acted before is the first guess.

    Args:
        gram: G, ``[R, C, C]``, positive semidefinite.
        right: b, ``[R, C]``.
        free: ``[C]`` bool.
        held: ``[R, C]`` bool.
        last: ``[R, C]``, multipliers of a program like this, in the dtype of the runs, which the ridge goes by.

    Returns:
        ``[R, C]``.

    Source: Portugal, Judice and Vicente, "A Comparison of Block Pivoting and Interior-Point Algorithms for Linear Least
    Squares Problems with Nonnegative Variables" (1994); Kim and Park, "Fast Nonnegative Matrix Factorization" (2011).
    """
    square = gram.diagonal(dim1=-2, dim2=-1)
    held = held & (square > 0)
    size = torch.where(held, square, torch.ones_like(square)).sqrt()
    unit = gram / (size.unsqueeze(-1) * size.unsqueeze(-2))
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    unit, target = unit + ridge_of(last.dtype) * eye, torch.where(held, right / size, torch.zeros_like(right))
    signed = held & ~free
    least = 64 * torch.finfo(gram.dtype).eps * (1 + target.abs().amax(-1, keepdim=True))
    acting = held & (free | (last > 0))
    place = torch.arange(gram.shape[-1], device=gram.device)
    fewest, patience = torch.full_like(place[:1], gram.shape[-1] + 1), torch.full_like(place[:1], PATIENCE)
    found = _solved(unit, target, acting, eye)
    for _ in range(min(2 ** gram.shape[-1], ROUNDS)):
        slack = (unit * found.unsqueeze(-2)).sum(-1) - target
        wrong = signed & torch.where(acting, found < 0, slack < -least)
        count = wrong.sum(-1, keepdim=True)
        fewer = count < fewest
        block = fewer | (patience > 0)
        patience = torch.where(fewer, PATIENCE, patience - 1)
        fewest = torch.minimum(fewest, count)
        alone = place == torch.where(wrong, place, -1).amax(-1, keepdim=True)
        acting = acting ^ (wrong & (block | alone))
        found = _solved(unit, target, acting, eye)
    return torch.where(free, found, found.clamp_min(0)) / size


def _solved(unit: Tensor, target: Tensor, acting: Tensor, eye: Tensor) -> Tensor:
    """The multipliers where those that act are as their rows say, and the others 0."""
    both = acting.unsqueeze(-1) & acting.unsqueeze(-2)
    factor, _ = torch.linalg.cholesky_ex(torch.where(both, unit, eye))
    right = torch.where(acting, target, torch.zeros_like(target)).unsqueeze(-1)
    return torch.cholesky_solve(right, factor).squeeze(-1)
