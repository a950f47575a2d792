"""Optimizers that look across the elements of a parameter, on rows: nothing goes from one run to another."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from cpd.engine.optimizers import Kept, Moment, Rule
from cpd.engine.options import Options


def adafactor(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    r"""Adam's second moment as a product of rows and columns, and steps as large as the parameter.

    .. math:: V = r c / \bar r, \quad
        u = g V^{-1/2}, \quad
        p - \max(\epsilon_2, \mathrm{rms}(p)) \min(\eta, t^{-1/2}) u / \max(1, \mathrm{rms}(u) / d)

    Source: Shazeer and Stern (2018), Algorithms 4 and 5.
    """
    tiny = at.row("eps.0") if at.o.is_number("eps.0") else torch.finfo(at.p.dtype).eps
    most = at.once("most", lambda: torch.minimum(at.o["lr"], 1 / at.t.sqrt()))
    size = torch.maximum(_norm(at, at.p) / math.sqrt(at.p[0].numel()), at.o["eps.1"]) * most
    at = at.decayed()
    share = at.rows(at.once("share", lambda: at.t ** at.o["beta2_decay"]))
    new, variance = (_factored if at.g.dim() > 2 else _whole)(at, kept, share, tiny)
    direction = variance.clamp(min=tiny * tiny).rsqrt() * at.g
    excess = (_norm(at, direction) / (math.sqrt(at.p[0].numel()) * at.o["d"])).clamp(min=1.0)
    return at.descend(direction, size / excess), new


def muon(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """Momentum whose singular values are made alike. Source: Jordan et al. (2024), Muon."""
    buffer = torch.lerp(kept["momentum_buffer"], at.g, at.rest("momentum"))
    update = torch.lerp(at.g, buffer, at.row("momentum")) if at.o.word("nesterov") else buffer
    direction = _orthogonal(at, update)
    rows, columns = at.p.shape[1:]
    ratio = {
        None: math.sqrt(max(1, rows / columns)),
        "original": math.sqrt(max(1, rows / columns)),
        "match_rms_adamw": 0.2 * math.sqrt(max(rows, columns)),
    }[at.o.word("adjust_lr_fn")]
    moved = at.decayed().descend(direction.to(at.p.dtype), at.o["lr"] * ratio)
    return moved, {"momentum_buffer": buffer}


def _orthogonal(at: Moment, g: Tensor) -> Tensor:
    """Newton and Schulz's iteration on each run's matrix, rounded as ``torch.optim`` rounds it."""
    a, b, c = (at.o[f"ns_coefficients.{k}"].float().view(-1, 1, 1) for k in range(3))
    tall = g.shape[1] > g.shape[2]
    x = (g.mT if tall else g).bfloat16()
    norm = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    x = x / torch.maximum(norm, at.o["eps"].to(x.dtype).view(-1, 1, 1))
    for _ in range(int(at.o.word("ns_steps"))):
        gram = (x.float() @ x.float().mT).bfloat16().float()
        update = (b * gram + c * (gram @ gram)).bfloat16().float()
        x = (a * x.float() + update @ x.float()).bfloat16()
    return x.mT if tall else x


def _factored(at: Moment, kept: Kept, share: Tensor, tiny: Tensor | float) -> tuple[Kept, Tensor]:
    rows, columns = (_mean_square(at.g, dim) for dim in (-1, -2))
    row_var, col_var = torch.lerp(kept["row_var"], rows, share), torch.lerp(kept["col_var"], columns, share)
    variance = row_var * col_var / row_var.mean(dim=-2, keepdim=True).clamp(min=tiny)
    return {"row_var": row_var, "col_var": col_var}, variance


def _whole(at: Moment, kept: Kept, share: Tensor, tiny: Tensor | float) -> tuple[Kept, Tensor]:
    variance = torch.lerp(kept["variance"], at.g * at.g, share)
    return {"variance": variance}, variance


def _mean_square(g: Tensor, dim: int) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(g, dim=dim, keepdim=True)
    return norm.square() / g.shape[dim]


def _norm(at: Moment, p: Tensor) -> Tensor:
    """Of each run's own, in the precision of step-sizes."""
    norm: Tensor = torch.linalg.vector_norm(p.reshape(len(p), -1), dim=1)
    return norm.to(at.o["lr"].dtype)


def _factors(p: Tensor, o: Options) -> Kept:
    if p.dim() < 3:
        return {"variance": torch.zeros_like(p)}
    return {"row_var": torch.zeros_like(p[..., :1]), "col_var": torch.zeros_like(p[..., :1, :])}


MATRIX_RULES: Mapping[str, Rule] = {
    "Adafactor": Rule(_factors, adafactor),
    "Muon": Rule(lambda p, o: {"momentum_buffer": torch.zeros_like(p)}, muon),
}
"""Optimizers beside those of :data:`cpd.engine.optimizers.RULES`."""
