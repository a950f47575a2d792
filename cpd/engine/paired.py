"""Two streams of minibatches: one for the objective, one for the constraints alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.minibatches import Minibatches

APART = 0x9E3779B9
"""What is added to a run's seed for the order of the second stream: two data sets of one size are shuffled apart.

Of a seed a generator sees 32 bits.
"""
COUNTS = 2**32
"""Minibatches of an epoch are fewer."""


class Both(NamedTuple):
    """Examples of both streams.

    Attributes:
        batch: Of ``data()``.
        constraint_batch: Of ``constraint_data()``.
    """

    batch: Any
    constraint_batch: Any


class Paired(Minibatches):
    """Minibatches of two streams, a :class:`Both` each; where an epoch of one ends the other goes on.

    Args:
        first: Of ``data()``.
        second: Of ``constraint_data()``.
    """

    def __init__(self, first: Minibatches, second: Minibatches) -> None:
        self.first, self.second = first, second
        self.data = Both(first.data, second.data)
        self.batch_size = first.batch_size or second.batch_size
        self.seed = first.seed
        self.streamed = first.streamed

    @classmethod
    def of(cls, first: Minibatches, data: Any, batch_size: int | None, seed: int) -> Paired:
        """Beside the minibatches of a seed those of a second stream, in an order of their own."""
        return cls(first, Minibatches(data, batch_size, seed + APART))

    @property
    def in_program(self) -> bool:
        """Only where both are whole: a compiled program picks examples of one data set."""
        return self.batch_size is None

    def next(self) -> Both:
        """The next batch."""
        return Both(self.first.next(), self.second.next())

    def peek(self) -> Both:
        """The next batch, without moving on."""
        return Both(self.first.peek(), self.second.peek())

    def last(self) -> Both:
        """The last batch of the epoch of each."""
        return Both(self.first.last(), self.second.last())

    def copy_of(self, batch: Any) -> Both:
        """A batch for one evaluation more."""
        return Both(self.first.copy_of(batch.batch), self.second.copy_of(batch.constraint_batch))

    def put_back(self) -> None:
        """Give back the batch that was peeked at and taken since."""
        self.first.put_back()
        self.second.put_back()

    @property
    def in_epoch(self) -> int:
        """Minibatches in an epoch of the stream that has more."""
        return max(self.first.in_epoch, self.second.in_epoch)

    @property
    def usual_size(self) -> int | None:
        """Examples in a minibatch of the first stream that is cut into some."""
        return self.first.usual_size or self.second.usual_size

    @property
    def next_size(self) -> int | None:
        """Likewise in the next one."""
        return self.first.next_size or self.second.next_size

    @property
    def ended(self) -> bool:
        """Whether the last minibatch of the first stream that was taken ends its epoch."""
        return self.first.ended

    def judged(self, most: int | None = None) -> Iterator[tuple[int, Any]]:
        """As of the first stream, each with all of the second."""
        return ((examples, Both(batch, self.second.data)) for examples, batch in self.first.judged(most))

    def sample(self, size: int | None = None) -> Both:
        """A fixed batch, taken without moving on."""
        return Both(self.first.sample(size), self.second.sample())

    def state(self) -> tuple[Tensor, int]:
        """What :meth:`restore` needs: of both streams."""
        (a, taken), (b, taken_second) = self.first.state(), self.second.state()
        return torch.stack([a, b]), taken * COUNTS + taken_second

    def restore(self, epoch_start: Tensor, taken: int) -> None:
        """Go on where :meth:`state` was taken."""
        first, second = divmod(taken, COUNTS)
        own, others = (state.clone() for state in epoch_start)  # a generator reads memory from its start
        self.first.restore(own, first)
        self.second.restore(others, second)

    def begin(self) -> None:
        """Let the first stream be read ahead."""
        self.first.begin()

    def close(self) -> None:
        """Give back what reads ahead."""
        self.first.close()
