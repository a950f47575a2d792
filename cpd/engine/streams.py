"""Minibatches of examples that are read while they are trained on: the same for all runs of a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from cpd.engine.items import JUDGED, Stream, examples_of
from cpd.engine.loaders import Ahead, Here, Iterated, Place, Shuffled
from cpd.engine.minibatches import Minibatches, copied
from cpd.engine.packing import Read
from cpd.errors import SpecError


def minibatches(data: Any, batch_size: int | None, seed: int, workers: int = 0) -> Minibatches:
    """Minibatches of what ``data()`` gave: in memory, or read while they are trained on.

    Args:
        data: A tree of tensors in memory, a :class:`Stream`, or None.
        batch_size: Examples in a minibatch, or None for all.
        seed: Of the run.
        workers: Processes that read a stream ahead; 0 reads when a minibatch is asked for.
    """
    if not isinstance(data, Stream):
        return Minibatches(data, batch_size, seed)
    kind = StreamedInOrder if data.examples is None else Streamed
    return kind(data, data.size(batch_size), seed, workers)


class Streamed(Minibatches):
    """Minibatches of a map-style dataset, in the order of those in memory; each item is read anew each epoch.

    The random numbers of an item depend on the seed, the epoch and its index alone, so the number of processes that
    read changes nothing, and a training that is resumed goes on without what it has read.
    """

    streamed = True

    def __init__(self, stream: Stream, batch_size: int | None, seed: int, workers: int = 0) -> None:
        self.stream = stream
        self.workers = workers
        self.shuffles = batch_size is not None
        self.epoch = -1
        self._reader: Ahead | Here | None = None
        self._held: Read | None = None
        self._given: Read | None = None
        self._sample: Any = None
        super().__init__(stream, batch_size or stream.examples, seed)

    def next(self) -> Any:
        """The next batch, in memory of its own."""
        self._given, self._held = self._held, None
        if self._given is not None:
            self._move(self._given)
            return copied(self._given.batch)
        read = self._read()
        self._move(read)
        return read.batch

    def peek(self) -> Any:
        """The next batch, without moving on; user code gets a :meth:`copy_of` it."""
        if self._held is None:
            self._held = self._read()
        return self._held.batch

    def put_back(self) -> None:
        """Give back the batch that was peeked at and taken since."""
        assert self._given is not None, "it was peeked at"
        self._held, self._given = self._given, None
        self._move_back()

    def last(self) -> Any:
        """The last batch of the epoch, which may be smaller than the others."""
        return self._at(self.epoch, len(self._order) - 1, self._order[-1])

    def sample(self, size: int | None = None) -> Any:
        """A fixed batch, taken without moving on: the first examples, as many as a minibatch has."""
        if self._sample is None:
            self._sample = self._first(size or self.batch_size)
        return copied(self._sample)

    def judged(self, most: int | None = None) -> Iterator[tuple[int, Any]]:
        """Minibatches of one pass, each with the number of its examples: the same for all runs and seeds."""
        source, places = self._judged_source()
        reader = Ahead(source, places, self.workers) if self.workers and most is None else Here(source, places)
        with closing(reader):
            for read in islice(reader, self._most_judged() if most is None else most):
                batch = self.stream.placed(read.batch)
                yield examples_of(batch) if self.stream.batched else read.examples, batch

    def state(self) -> tuple[Tensor, int]:
        """What :meth:`restore` needs: generator and number of the epoch, and the minibatches taken since it began."""
        return torch.cat([self.epoch_start, _bytes(self.epoch)]), self.taken

    def restore(self, epoch_start: Tensor, taken: int) -> None:
        """Go on where :meth:`state` was taken."""
        now, done = self.state()
        if done == taken and torch.equal(now, epoch_start):
            return
        self.close()
        self._put(epoch_start, taken)

    def begin(self) -> None:
        """Let processes read ahead from the next minibatch on."""
        if self.workers and self._reader is None:
            self._reader = Ahead(*self._source(), self.workers)

    def close(self) -> None:
        """End the processes that read ahead; what they have read is dropped."""
        self._held = self._given = None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _read(self) -> Read:
        """The minibatch that the reader comes to next, on the device."""
        self.begin()
        if self._reader is None:
            self._reader = Here(*self._source())
        read = next(self._reader)
        return read._replace(batch=self.stream.placed(read.batch))

    def _source(self) -> tuple[Shuffled | Iterated, Iterator[Place] | None]:
        """What reads all minibatches from the next one on."""
        ahead = Streamed(self.stream, self.batch_size if self.shuffles else None, self.seed)
        ahead.restore(*self.state())
        return Shuffled(self.stream, self.seed), ahead.places()

    def places(self) -> Iterator[Place]:
        """Where the minibatches from the next one on are; endless."""
        while True:
            if self.taken == len(self._order):
                self._begin_epoch()
            yield self.epoch, self.taken, self._order[self.taken].tolist()
            self.taken += 1

    def _most_judged(self) -> int | None:
        """Of a pass; None for all."""
        return None

    def _judged_source(self) -> tuple[Shuffled | Iterated, Iterator[Place] | None]:
        parts = torch.arange(self._examples).split(self.batch_size or 1)
        return Shuffled(self.stream, 0), ((JUDGED, k, part.tolist()) for k, part in enumerate(parts))

    def _first(self, size: int | None) -> Any:
        return self._at(0, 0, torch.arange(min(size or 1, self._examples)))

    def _at(self, epoch: int, number: int, index: Tensor) -> Any:
        """A minibatch of these items, read here."""
        (read,) = Here(Shuffled(self.stream, self.seed), [(epoch, number, index.tolist())])
        return self.stream.placed(read.batch)

    def _move(self, read: Read) -> None:
        if self.taken == len(self._order):
            self._begin_epoch()
        self.taken += 1

    def _move_back(self) -> None:
        self.taken -= 1

    def _put(self, epoch_start: Tensor, taken: int) -> None:
        self.epoch = _number(epoch_start[-8:]) - 1  # which the next call adds
        super().restore(epoch_start[:-8], taken)

    def _begin_epoch(self) -> None:
        self.epoch += 1
        super()._begin_epoch()

    def _shuffled(self) -> Tensor:
        if not self.shuffles:
            return torch.arange(self._examples)
        return torch.randperm(self._examples, generator=self.generator)


class StreamedInOrder(Streamed):
    """Minibatches of an IterableDataset in its own order; exhausted it is iterated anew."""

    def __init__(self, stream: Stream, batch_size: int | None, seed: int, workers: int = 0) -> None:
        if batch_size is None:
            raise SpecError(
                "an IterableDataset has no end at which all examples were seen",
                place="train.batch_size",
                hint="write batch_size: NUMBER, or let data() return DataLoader(dataset, batch_size=None), "
                "whose items are batches",
            )
        self._before = (0, 0)
        super().__init__(stream, batch_size, seed, workers)

    @property
    def ended(self) -> bool:
        """Whether the last batch that was taken ends its epoch."""
        return self.taken == 0

    @property
    def in_epoch(self) -> int:
        """Nobody knows: as many as are looked at."""
        return self.stream.most

    @property
    def usual_size(self) -> int | None:
        """Items in every minibatch."""
        return self.batch_size

    def last(self) -> Any:
        """The second batch: nobody knows the last one."""
        return self._some(self.epoch, 1)

    def _first(self, size: int | None) -> Any:
        return self._some(0, 0)

    def _some(self, epoch: int, number: int) -> Any:
        """The so many-th batch from the start of an epoch on, read here."""
        read = next(Here(Iterated(self.stream, self.seed, self.batch_size or 1, epoch, number, None), None))
        return self.stream.placed(read.batch)

    def _source(self) -> tuple[Shuffled | Iterated, Iterator[Place] | None]:
        return Iterated(self.stream, self.seed, self.batch_size or 1, self.epoch, self.taken, None), None

    def _most_judged(self) -> int | None:
        return self.stream.most

    def _judged_source(self) -> tuple[Shuffled | Iterated, Iterator[Place] | None]:
        return Iterated(self.stream, 0, self.batch_size or 1, JUDGED, 0, 1), None

    def _move(self, read: Read) -> None:
        self._before = (self.epoch, self.taken)
        self.epoch, self.taken = (self.epoch + 1, 0) if read.ends else (self.epoch, self.taken + 1)

    def _move_back(self) -> None:
        self.epoch, self.taken = self._before

    def _put(self, epoch_start: Tensor, taken: int) -> None:
        self.epoch, self.taken = _number(epoch_start[-8:]), taken

    def _begin_epoch(self) -> None:
        self.epoch, self.taken, self.epoch_start = 0, 0, self.generator.get_state()
        self._order = ()


def _bytes(number: int) -> Tensor:
    return torch.tensor([number]).view(torch.uint8)


def _number(eight: Tensor) -> int:
    return int(eight.clone().view(torch.int64))
