"""The order in which a run's seed sees the examples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cpd.spec.models import Train


def steps_per_epoch(examples: int, batch_size: int | None) -> int:
    """Steps that see every example once; the last minibatch may be smaller."""
    return 1 if batch_size is None else max(1, math.ceil(examples / batch_size))


def total_steps(train: Train, data: Any) -> int:
    """Number of steps of a training: ``steps``, or ``epochs`` times the steps of one."""
    if train.steps is not None:
        return train.steps
    examples = 0 if data is None else len(data[0])
    return max(1, round((train.epochs or 0) * steps_per_epoch(examples, train.batch_size)))


class Minibatches:
    """Batches of ``data``: all of it each time, or shuffled minibatches in an order that only the seed decides.

    Args:
        data: Tuple of tensors, or None.
        batch_size: Examples in a minibatch, or None for all.
        seed: Seeds a generator of its own, so that the order does not depend on what the model draws.
    """

    def __init__(self, data: Any, batch_size: int | None, seed: int) -> None:
        self.data = data
        self.batch_size = batch_size if data is not None else None
        self.generator = torch.Generator().manual_seed(seed)
        self._begin_epoch()

    def __iter__(self) -> Iterator[Any]:
        """Endless."""
        while True:
            yield self.next()

    def next(self) -> Any:
        """The next batch."""
        if self.batch_size is None:
            return self.data
        (index,) = self.next_alike(1)
        return self.at(index)

    def peek(self) -> Any:
        """The next batch, without moving on."""
        if self.batch_size is None:
            return self.data
        if self.taken == len(self._order):
            self._begin_epoch()
        return self.at(self._order[self.taken])

    def last(self) -> Any:
        """The last batch of the epoch, which may be smaller than the others."""
        return self.data if self.batch_size is None else self.at(self._order[-1])

    def copy_of(self, batch: Any) -> Any:
        """A batch for one evaluation more: user code may change a minibatch in place, which is its own."""
        return batch if batch is self.data else tuple(t.clone() for t in batch)

    def put_back(self) -> None:
        """Give back the batch that was peeked at and taken since."""
        self.taken -= self.batch_size is not None

    def next_alike(self, most: int) -> tuple[Tensor, ...]:
        """Examples of the next minibatches, ``[B]`` each: those of one size, within an epoch and at most ``most``."""
        if self.taken == len(self._order):
            self._begin_epoch()
        ahead = self._order[self.taken : self.taken + most]
        alike = tuple(itertools.takewhile(lambda index: len(index) == len(ahead[0]), ahead))
        self.taken += len(alike)
        return alike

    def at(self, index: Tensor) -> Any:
        """The minibatch of these examples."""
        return tuple(t[index] for t in self.data)

    @property
    def in_epoch(self) -> int:
        """Minibatches in an epoch."""
        return max(1, len(self._order))

    @property
    def usual_size(self) -> int | None:
        """Examples in every minibatch but perhaps an epoch's last one; None where there are none."""
        return None if self.batch_size is None else len(self._order[0])

    @property
    def next_size(self) -> int | None:
        """Examples in the next minibatch; None where there are none."""
        if self.batch_size is None:
            return None
        return len(self._order[self.taken % len(self._order)])

    def sample(self, size: int | None = None) -> Any:
        """A fixed batch, taken without moving on: the first examples, ``size`` or as many as a minibatch has."""
        if self.batch_size is None:
            return self.data
        return tuple(t[: size or self.batch_size].clone() for t in self.data)  # user code may change it in place

    def state(self) -> tuple[Tensor, int]:
        """What :meth:`restore` needs: the generator at the start of the epoch, and the minibatches taken since."""
        return self.epoch_start, self.taken

    def restore(self, epoch_start: Tensor, taken: int) -> None:
        """Go on where :meth:`state` was taken."""
        self.generator.set_state(epoch_start)
        self._begin_epoch()
        self.taken = taken

    def _begin_epoch(self) -> None:
        self.epoch_start = self.generator.get_state()
        self.taken = 0
        self._order: tuple[Tensor, ...] = ()
        if self.batch_size is not None:
            order = torch.randperm(len(self.data[0]), generator=self.generator).to(self.data[0].device)
            self._order = order.split(self.batch_size)
