"""How much work and memory a run of a batch takes: counted from one evaluation, not from the clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cpd.engine.batch import Batch
from cpd.engine.building import Builder, Refused
from cpd.engine.minibatches import total_steps

OPERATIONS, NUMBERS = 8e10, 1e10
"""Operations of matrix products, and numbers that other operations give, which a core of a few years ago does in a
second."""
BACKWARD = 3
"""A step is its evaluation and, for the gradient, about twice the same again."""
COPIES = 12
"""Times that a fused run's parameters are in memory: gradients, the optimizer's, and those of the step under way."""


@dataclass(frozen=True)
class Work:
    """What one run takes.

    Attributes:
        seconds: Of one core for all its steps, for arithmetic alone; not what starting operations costs.
        memory: Bytes while it is trained.
    """

    seconds: float
    memory: int


def weigh(batch: Batch) -> Work | None:
    """Count what a run of the batch takes; None where its problem cannot be evaluated, which training it will tell."""
    try:
        with torch.random.fork_rng(devices=[]):
            builder = Builder(batch.with_keys(batch.keys[:1]))
            group = next(iter(builder.groups()), None)
            if group is None or isinstance(group, Refused):
                return None
            stack = group.stack
            with _Counter() as counter:
                stack.evaluate(stack.parameters, group.batches.sample())
    except Exception:
        return None  # the training meets it again and says it with its place
    runs = stack.runs
    parameters = sum(p.numel() * p.element_size() for p in stack.parameters.values()) // runs
    each = BACKWARD * (counter.operations / OPERATIONS + counter.numbers / NUMBERS) / runs
    steps = total_steps(batch.train, group.data)
    return Work(each * steps, COPIES * parameters + counter.kept // runs)


class _Counter(TorchDispatchMode):
    """Counts operations of products, numbers given, and bytes given, which the gradient keeps in memory."""

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
