"""``torch.autocast`` under ``vmap``, which takes layers apart before autocast sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = tuple(f"conv{kind}{dims}d" for kind in ("", "_transpose") for dims in (1, 2, 3))
LOWERED = frozenset(
    [
        *CONVOLUTIONS,
        *("linear", "bilinear", "matmul", "mm", "bmm", "mv", "addmm", "addbmm", "baddbmm", "addmv"),
        *("scaled_dot_product_attention", "multi_head_attention_forward"),
    ]
)
"""Functions whose operands autocast turns into the lower precision."""
FULL = frozenset(
    [
        *("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "ctc_loss"),
        *("binary_cross_entropy", "binary_cross_entropy_with_logits", "poisson_nll_loss", "hinge_embedding_loss"),
        *("cosine_embedding_loss", "margin_ranking_loss", "soft_margin_loss", "multi_margin_loss"),
        *("triplet_margin_loss", "prod", "cdist", "trace", "inverse", "cholesky", "grid_sample", "quantile"),
    ]
)
"""Functions whose operands it turns back into float32."""
NORMS = frozenset(["batch_norm", "instance_norm"])
"""Functions that calculate in float32 and give the type of their first operand."""


class Casting(TorchFunctionMode):
    """Casts the operands of such functions itself.

    Args:
        to: The lower precision.
    """

    def __init__(self, to: torch.dtype) -> None:
        super().__init__()
        self.to = to

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in LOWERED:
            return func(*_cast(args, self.to), **dict(zip(named, _cast(named.values(), self.to), strict=True)))
        if name in NORMS and args and isinstance(args[0], Tensor) and args[0].dtype == self.to:
            return func(args[0].float(), *args[1:], **named).to(self.to)
        if name in FULL:
            full = torch.float32
            return func(*_cast(args, full), **dict(zip(named, _cast(named.values(), full), strict=True)))
        return func(*args, **named)


def _cast(values: Any, to: torch.dtype) -> list[Any]:
    """Values with floating tensors, but those in double precision, of this type."""
    return [
        v.to(to) if isinstance(v, Tensor) and v.is_floating_point() and v.dtype != torch.float64 else v for v in values
    ]
