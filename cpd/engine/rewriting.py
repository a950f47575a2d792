"""Operations that ``vmap`` refuses, written with others that it takes: tried where an evaluation is refused for one.

What comes of it is compared with one run alone like everything else that is fused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from cpd.engine.recurrent import CELLS, one_step, recurrent

MADE = frozenset(
    [
        *(torch.tensor, torch.zeros, torch.ones, torch.empty, torch.full),
        *(torch.zeros_like, torch.ones_like, torch.empty_like, torch.full_like),
        *(Tensor.new_zeros, Tensor.new_ones, Tensor.new_empty, Tensor.new_full),
    ]
)
"""What makes tensors that people fill in place: each run needs one of its own."""

DRAWN_LIKE = frozenset([functional.dropout, torch.rand_like, torch.randn_like])
"""What draws a number for each of a tensor's, in the order in which those stand in memory."""


_DATA: Any = Tensor.data
"""The property."""


class Rewriting(TorchFunctionMode):
    """Within it, under ``vmap``, what is called is something else that gives the same.

    - ``f(..., out=t)`` is ``t.copy_(f(...))``: the power iteration of ``spectral_norm``;
    - ``x.data`` is ``x.detach()``, and assigned it is written into;
    - LSTM, GRU and RNN layers are loops over their cells, and those are products;
    - dropout and ``rand_like`` of a transposed tensor draw in the order of its memory, as for one run alone;
    - ``zeros``, ``ones``, ``full`` and their like give each run a tensor of its own, to be changed in place.

    Args:
        run: A scalar of the run that is mapped over.
    """

    def __init__(self, run: Tensor) -> None:
        super().__init__()
        self.run = run

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        out = named.pop("out", None)
        if isinstance(out, Tensor):
            return out.copy_(func(*args, **named))
        if out is not None:
            named["out"] = out
        if func == _DATA.__get__:
            return args[0].detach()
        if func == _DATA.__set__:
            return _written(args[0], args[1])
        name = getattr(func, "__name__", "")
        if name in CELLS:
            return recurrent(name, args)
        if name.removesuffix("_cell") in CELLS:
            return one_step(name.removesuffix("_cell"), args)
        if func in DRAWN_LIKE and args and args[0].dim() > 1:
            order = sorted(range(args[0].dim()), key=lambda d: -args[0].stride(d))
            return func(args[0].permute(order), *args[1:], **named).permute(sorted(order, key=order.__getitem__))
        made = func(*args, **named)
        return self._of_the_run(made) if func in MADE and not made.requires_grad else made

    def _of_the_run(self, made: Tensor) -> Tensor:
        nothing = torch.zeros_like(self.run, dtype=made.dtype)
        return made | nothing if made.dtype == torch.bool else made + nothing


def _written(tensor: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(value)
