"""Arithmetic and memory of an evaluation, counted operation by operation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Counter(TorchDispatchMode):
    """Counts what is done while it is entered.

    Attributes:
        operations: Additions and multiplications of matrix products and convolutions.
        numbers: Numbers that operations gave.
        kept: Bytes that they take, which the gradient keeps in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.numbers = 0
        self.kept = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        for tensor in given if isinstance(given, tuple | list) else (given,):
            if isinstance(tensor, Tensor):
                self.numbers += tensor.numel()
                self.kept += tensor.numel() * tensor.element_size()
                self.operations += 2 * tensor.numel() * _summed(func, args)
        return given


def _summed(func: Any, args: tuple[Any, ...]) -> int:
    """Products that are added up for one number of a matrix product or convolution; 0 for other operations."""
    name = func.__name__.partition(".")[0]
    if name in ("mm", "bmm"):
        return int(args[0].shape[-1])
    if name in ("addmm", "baddbmm"):
        return int(args[1].shape[-1])
    if name == "convolution":
        return math.prod(args[1].shape[1:])
    return 0
