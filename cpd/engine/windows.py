"""Minibatches in windows: several of them make one step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cpd.engine.minibatches import Minibatches, copied
from cpd.errors import SpecError

Place = tuple[Tensor, int]
"""Where minibatches stand."""


class Windows(Minibatches):
    """Tuples of ``size`` minibatches; the last one of an epoch holds those that are left.

    Args:
        inner: The minibatches.
        size: How many make a window.

    Raises:
        SpecError: There are no minibatches, for a step sees all data.
    """

    def __init__(self, inner: Minibatches, size: int) -> None:
        if inner.batch_size is None:
            message = "each step sees all data, of which there is nothing to accumulate"
            raise SpecError(message, place="train.accumulate", hint="write batch_size: NUMBER too, or leave it out")
        self.inner = inner
        self.size = size
        self.data, self.batch_size, self.seed = inner.data, inner.batch_size, inner.seed
        self.streamed = inner.streamed
        self._held: tuple[tuple[Any, ...], Place] | None = None
        self._given: tuple[tuple[Any, ...], Place] | None = None

    def next(self) -> tuple[Any, ...]:
        """The next window, in memory of its own."""
        held, self._held = self._held, None
        self._given = held
        return self._read()[0] if held is None else tuple(copied(batch) for batch in held[0])

    def peek(self) -> tuple[Any, ...]:
        """The next window, without moving on; user code gets a :meth:`copy_of` it."""
        if self._held is None:
            self._held = self._read()
        return self._held[0]

    def put_back(self) -> None:
        """Give back the window that was peeked at and taken since."""
        assert self._given is not None, "it was peeked at"
        self._held, self._given = self._given, None

    def last(self) -> Any:
        """The last minibatch of the epoch."""
        return self.inner.last()

    def sample(self, size: int | None = None) -> Any:
        """A fixed minibatch, taken without moving on."""
        return self.inner.sample(size)

    def judged(self, most: int | None = None) -> Iterator[tuple[int, Any]]:
        """As of the minibatches."""
        return self.inner.judged(most)

    @property
    def in_epoch(self) -> int:
        """Windows in an epoch."""
        return math.ceil(self.inner.in_epoch / self.size)

    @property
    def usual_size(self) -> int | None:
        """Examples in every window but perhaps an epoch's last one."""
        each = self.inner.usual_size
        return None if each is None else each * min(self.size, self.inner.in_epoch)

    def state(self) -> Place:
        """Where the next window begins."""
        return self.inner.state() if self._held is None else self._held[1]

    def restore(self, epoch_start: Tensor, taken: int) -> None:
        """Go on where :meth:`state` was taken."""
        now, done = self.state()
        if done == taken and torch.equal(now, epoch_start):
            return
        self._held = self._given = None
        self.inner.restore(epoch_start, taken)

    @property
    def each(self) -> Minibatches:
        """The minibatches."""
        return self.inner

    def begin(self) -> None:
        """Let the minibatches be read ahead."""
        self.inner.begin()

    def close(self) -> None:
        """Give back what reads ahead."""
        self.inner.close()

    def _read(self) -> tuple[tuple[Any, ...], Place]:
        """The minibatches up to a whole window or the end of the epoch, and where they stood before."""
        before = self.inner.state()
        batches: list[Any] = []
        while len(batches) < self.size and not (batches and self.inner.ended):
            batches.append(self.inner.next())
        return tuple(batches), before
