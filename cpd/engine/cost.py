"""What a run costs, counted from one evaluation, not from the clock; how many threads a step is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import fsum
from typing import TypeVar

import torch

from cpd.engine.batch import Batch
from cpd.engine.generators import kept_random
from cpd.engine.items import Stream
from cpd.engine.measuring import models_kept
from cpd.engine.minibatches import total_steps
from cpd.engine.prepared import Prepared, Refused
from cpd.engine.preparing import Builder, check_device
from cpd.engine.two_players import TwoPlayers
from cpd.spec.models import Train

OPERATIONS, NUMBERS = 8e10, 4e9
"""Operations of matrix products, and numbers that other operations give, which a core of a few years ago does in a
second."""
PER_CALL = 2e-5
"""Seconds to start an operation of an evaluation, its gradient and its share of the optimizer's step included."""
BACKWARD = 3
"""A step is its evaluation and, for the gradient, about twice the same again."""
COPIES = 12
"""Times that a fused run's parameters are in memory: gradients, the optimizer's, and those of the step under way."""
MOST_WEIGHED = 4
"""Kinds of runs of which one is evaluated for its work: each may have data of its own."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Work:
    """What one run takes.

    Attributes:
        seconds: Of one core for all its steps, for arithmetic alone; of a run that trains alone for starting its
            operations too, which fused runs share.
        memory: Bytes while it is trained.
    """

    seconds: float
    memory: int


def weigh(batch: Batch) -> Work | None:
    """Count what a run of the batch takes; None where its problem cannot be evaluated, which training it will tell."""
    try:
        with kept_random(check_device(batch.device)):
            builder = Builder(replace(batch, keys=batch.keys[:1], loader_workers=0))
            group = next(iter(builder.groups()), None)
            if group is None or isinstance(group, Refused):
                return None
    except Exception:
        return None  # the training meets it again and says it with its place
    return work_of(group, batch.train)


def work_of(group: Prepared, train: Train) -> Work:
    """What a run of a group takes with a recipe."""
    updates = total_steps(train, group.data)
    steps = updates * train.accumulate
    models, counter, counted = group.models, group.counter, group.counted
    parameters = sum(p.numel() * p.element_size() for p in models.parameters.values()) // models.runs
    arithmetic = BACKWARD * (counter.operations / OPERATIONS + counter.numbers / NUMBERS) / counted
    if isinstance(group.data, Stream) and not isinstance(group.data.items, list):
        arithmetic = 0.0  # read once for all runs: in one process, which others read ahead for
    starting = 0.0 if group.stack.fused else PER_CALL * counter.calls / counted
    if isinstance(group.batches, TwoPlayers):
        arithmetic += arithmetic / BACKWARD
    copies = COPIES + models_kept(train, updates, group.batches.in_epoch)
    return Work((arithmetic + starting) * steps, copies * parameters + counter.kept // counted)


def in_the_mean(counted: Sequence[tuple[Work | None, int]]) -> Work | None:
    """What a run takes of several kinds: in the mean of time, at most of memory; None where nothing was counted.

    Args:
        counted: The work of a run of each kind, and how many such runs there are.
    """
    known = [(work, runs) for work, runs in counted if work is not None]
    if not known:
        return None
    seconds = fsum(work.seconds * runs for work, runs in known) / sum(runs for _, runs in known)
    return Work(seconds, max(work.memory for work, _ in known))


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of some items, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


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
