"""Batches as they come from another process: all their tensors in one piece of memory."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.tree import of_its_kind

ALIGNED = 64
"""Bytes at whose multiples tensors stand that travel together."""


class Read(NamedTuple):
    """A batch, how many examples it holds, and whether it is the last of its epoch where only reading tells."""

    batch: Any
    examples: int
    ends: bool = False


class Packed(NamedTuple):
    """A batch whose tensors stand in one piece of memory: shared, each piece takes one of the few open files.

    Attributes:
        content: What was read, pickled, with places in that memory instead of tensors.
        memory: ``[bytes]``; None where there are none.
    """

    content: bytes
    memory: Tensor | None

    @classmethod
    def of(cls, read: Read) -> Packed:
        """A batch, packed.

        Raises:
            Exception: Some object in it cannot be pickled; what it is, the object decides.
        """
        tensors: list[tuple[_At, Tensor]] = []
        packed = read._replace(batch=_emptied(read.batch, tensors))
        end = max((at.end for at, _ in tensors), default=0)
        memory = torch.empty(end, dtype=torch.uint8) if end else None
        for at, tensor in tensors:
            at.within(memory).copy_(tensor)
        return cls(pickle.dumps(tuple(packed)), memory)

    def opened(self) -> Read:
        """The batch, each of its tensors apart from the others."""
        batch, examples, ends = pickle.loads(self.content)  # made by a process that this one has started
        return Read(_filled(batch, self.memory), examples, ends)


class _At:
    """Where a tensor stands in memory."""

    def __init__(self, first: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.first, self.shape, self.dtype = first, shape, dtype

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.first + math.prod(self.shape) * self.dtype.itemsize

    def within(self, memory: Tensor | None) -> Tensor:
        """The tensor; what changes it in place does not count as a change of its neighbours."""
        empty = torch.empty(0, dtype=self.dtype)
        if memory is None or 0 in self.shape:
            return empty.reshape(self.shape)
        strides = [math.prod(self.shape[k + 1 :]) for k in range(len(self.shape))]  # row by row
        return empty.set_(memory.untyped_storage(), self.first // empty.element_size(), self.shape, strides)


class _Named(NamedTuple):
    """A named tuple that must not be made of places: a PackedSequence looks at what it is made of."""

    kind: Any
    parts: list[Any]


def _emptied(tree: Any, tensors: list[tuple[_At, Tensor]]) -> Any:
    """The tree with places instead of tensors, which are listed."""
    if isinstance(tree, Mapping):
        return of_its_kind(tree, {key: _emptied(each, tensors) for key, each in tree.items()})
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return _Named(type(tree), [_emptied(each, tensors) for each in tree])
    if isinstance(tree, tuple | list):
        return type(tree)(_emptied(each, tensors) for each in tree)
    if not _is_packed(tree):
        return tree
    first = -(-tensors[-1][0].end // ALIGNED) * ALIGNED if tensors else 0
    tensors.append((_At(first, tuple(tree.shape), tree.dtype), tree))
    return tensors[-1][0]


def _filled(tree: Any, memory: Tensor | None) -> Any:
    """The tree with tensors again."""
    if isinstance(tree, _At):
        return tree.within(memory)
    if isinstance(tree, _Named):
        return tree.kind._make(_filled(each, memory) for each in tree.parts)
    if isinstance(tree, Mapping):
        return of_its_kind(tree, {key: _filled(each, memory) for key, each in tree.items()})
    return type(tree)(_filled(each, memory) for each in tree) if isinstance(tree, tuple | list) else tree


def _is_packed(leaf: Any) -> bool:
    return type(leaf) is Tensor and leaf.device.type == "cpu" and leaf.layout == torch.strided and not leaf.is_quantized
