"""How much work and memory a run of a batch takes: counted from one evaluation, not from the clock."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cpd.engine.batch import Batch
from cpd.engine.minibatches import total_steps
from cpd.engine.preparing import Builder, Refused

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
    except Exception:
        return None  # the training meets it again and says it with its place
    stack, counter = group.stack, group.counter
    parameters = sum(p.numel() * p.element_size() for p in stack.parameters.values()) // stack.runs
    each = BACKWARD * (counter.operations / OPERATIONS + counter.numbers / NUMBERS)
    steps = total_steps(batch.train, group.data)
    return Work(each * steps, COPIES * parameters + counter.kept)
