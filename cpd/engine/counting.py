"""Arithmetic and memory of an evaluation, counted operation by operation; whether memory ran out."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor

from cpd.engine.steppers.torch_private import OperationMode


class Counter:
    """Counts what is done while it is entered.

    Attributes:
        operations: Additions and multiplications of matrix products and convolutions.
        numbers: Numbers that operations gave.
        calls: Tensors that operations gave.
        kept: Bytes that they take, which the gradient keeps in memory.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.numbers = 0
        self.calls = 0
        self.kept = 0
        self._mode = OperationMode(self._count)

    def __enter__(self) -> Counter:
        self._mode.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mode.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]

    def _count(self, given: Tensor, products: int) -> None:
        self.operations += products
        self.numbers += given.numel()
        self.calls += 1
        self.kept += given.numel() * given.element_size()


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python, a device and torch's own allocator on the CPU each say it in their way."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
