"""The order in which a run's seed sees the examples."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cpd.engine.items import Stream
from cpd.engine.tree import leaves, mapped
from cpd.errors import SpecError
from cpd.spec.models import Train


def steps_per_epoch(examples: int, batch_size: int | None) -> int:
    """Steps that see every example once; the last minibatch may be smaller."""
    return 1 if batch_size is None else max(1, math.ceil(examples / batch_size))


def count(data: Any) -> int:
    """How many examples a tree of tensors in memory, or a stream, has; 0 where there are none, or nobody knows."""
    if isinstance(data, Stream):
        return data.examples or 0
    return 0 if data is None else len(leaves(data)[0])


def total_steps(train: Train, data: Any) -> int:
    """Number of steps of a training: ``steps``, or ``epochs`` times the steps of one.

    Raises:
        SpecError: It has epochs, and nobody knows how many examples there are.
    """
    if train.steps is not None:
        return train.steps
    if isinstance(data, Stream) and data.examples is None:
        message = "an IterableDataset does not say how many examples an epoch has"
        raise SpecError(message, place="train.epochs", hint="write steps: NUMBER")
    size = data.size(train.batch_size) if isinstance(data, Stream) else train.batch_size
    windows = math.ceil(steps_per_epoch(count(data), size) / train.accumulate)
    return max(1, round((train.epochs or 0) * windows))


class Minibatches:
    """Batches of ``data``: all of it each time, or shuffled minibatches in an order that only the seed decides.

    Args:
        data: A tree of tensors that lead with the examples (tuples, lists, dictionaries), or None.
        batch_size: Examples in a minibatch, or None for all.
        seed: Seeds a generator of its own, so that the order does not depend on what the model draws.

    Attributes:
        streamed: Whether examples are read while they are trained on; otherwise they are in memory.
    """

    streamed = False

    def __init__(self, data: Any, batch_size: int | None, seed: int) -> None:
        self.data = data
        self.batch_size = batch_size if data is not None else None
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self._examples = 0 if self.batch_size is None else count(data)
        self._flat = type(data) is tuple and all(isinstance(t, Tensor) for t in data)
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
        """The next batch, without moving on; user code gets a :meth:`copy_of` it."""
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
        return batch if batch is self.data else copied(batch)

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
        if self._flat:  # a few microseconds of each step
            return tuple(t[index] for t in self.data)
        return mapped(lambda t: t[index], self.data)

    @property
    def ended(self) -> bool:
        """Whether the last minibatch that was taken ends its epoch."""
        return self.batch_size is None or self.taken == len(self._order)

    @property
    def in_program(self) -> bool:
        """Whether a compiled program can pick them itself."""
        return True

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
        few = size or self.batch_size
        return mapped(lambda t: t[:few].clone(), self.data)  # user code may change it in place

    def judged(self, most: int | None = None) -> Iterator[tuple[int, Any]]:
        """What a finished model is judged on, with the number of its examples: all data at once.

        Args:
            most: Parts that are wanted, where there are several; None for all.
        """
        yield 1, self.data

    def state(self) -> tuple[Tensor, int]:
        """What :meth:`restore` needs: the generator at the start of the epoch, and the minibatches taken since."""
        return self.epoch_start, self.taken

    def restore(self, epoch_start: Tensor, taken: int) -> None:
        """Go on where :meth:`state` was taken."""
        self.generator.set_state(epoch_start)
        self._begin_epoch()
        self.taken = taken

    @property
    def each(self) -> Minibatches:
        """Minibatches one by one, where several of them make a step."""
        return self

    def begin(self) -> None:
        """Let what reads ahead begin."""

    def close(self) -> None:
        """Give back what reads ahead."""

    def _begin_epoch(self) -> None:
        self.epoch_start = self.generator.get_state()
        self.taken = 0
        self._order: tuple[Tensor, ...] = ()
        if self.batch_size is not None:
            self._order = self._shuffled().split(self.batch_size)

    def _shuffled(self) -> Tensor:
        """All examples in the order of the epoch that begins."""
        return torch.randperm(self._examples, generator=self.generator).to(leaves(self.data)[0].device)


def copied(batch: Any) -> Any:
    """A batch whose tensors are its own."""
    return mapped(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else copy.deepcopy(leaf), batch)
