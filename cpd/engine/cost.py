"""What a run costs, counted from one evaluation, not from the clock; how many threads a step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from cpd.engine.batch import Batch
from cpd.engine.generators import kept_random
from cpd.engine.minibatches import total_steps
from cpd.engine.prepared import Prepared, Refused
from cpd.engine.preparing import Builder, check_device

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
        with kept_random(check_device(batch.device)):
            builder = Builder(batch.with_keys(batch.keys[:1]))
            group = next(iter(builder.groups()), None)
            if group is None or isinstance(group, Refused):
                return None
    except Exception:
        return None  # the training meets it again and says it with its place
    models, counter = group.models, group.counter
    parameters = sum(p.numel() * p.element_size() for p in models.parameters.values()) // models.runs
    each = BACKWARD * (counter.operations / OPERATIONS + counter.numbers / NUMBERS)
    steps = total_steps(batch.train, group.data)
    return Work(each * steps, COPIES * parameters + counter.kept)


@contextmanager
def threads_for(group: Prepared | Refused) -> Iterator[None]:
    """One thread for small steps, all of the process's threads for large ones."""
    before = torch.get_num_threads()
    if isinstance(group, Prepared) and not group.is_large:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def limit_threads(threads: int) -> None:
    """Set this worker process's threads: workers times threads beyond the cores makes all of them many times slower."""
    torch.set_num_threads(threads)
