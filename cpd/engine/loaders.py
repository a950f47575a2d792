"""Processes that read minibatches ahead of a training; what they are handed, and how they end."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from cpd.engine.handing_over import start_method
from cpd.engine.items import Stream, item_seed, told
from cpd.engine.packing import Packed, Read
from cpd.engine.steppers.torch_private import deaths_met_when_asked, end_workers
from cpd.engine.tracebacks import ItemRaised, first_line

AHEAD = 2
"""Minibatches that each process reads ahead."""
Place = tuple[int, int, list[int]]
"""A minibatch: its epoch, its number there, and its items."""


class Shuffled(Dataset[Any]):
    """Minibatches of a map-style dataset, by their places."""

    def __init__(self, stream: Stream, seed: int) -> None:
        self.stream, self.seed = stream, seed

    def __getitem__(self, place: Place) -> Read:
        return Read(self.stream.read(self.seed, *place), len(place[2]))


class Iterated(IterableDataset[Any]):
    """Minibatches of an IterableDataset from one of them on; exhausted it begins anew.

    Args:
        stream: Its items.
        seed: Of the run.
        size: Items in a minibatch.
        epoch: The first epoch.
        taken: Minibatches of it that are passed by: their items are read, for only so comes the next one.
        epochs: How many; None for no end.
    """

    def __init__(self, stream: Stream, seed: int, size: int, epoch: int, taken: int, epochs: int | None) -> None:
        self.stream, self.seed, self.size = stream, seed, size
        self.epoch, self.taken, self.epochs = epoch, taken, epochs

    def __iter__(self) -> Iterator[Read]:
        epoch, skipped = self.epoch, self.taken
        while self.epochs is None or epoch < self.epoch + self.epochs:
            yield from self._pass(epoch, skipped)
            epoch, skipped = epoch + 1, 0

    def _pass(self, epoch: int, skipped: int) -> Iterator[Read]:
        stream = self.stream
        stream.seed(item_seed(self.seed, epoch))
        with told(lambda: f"an item of {stream.place}"):
            items = iter(stream.items)
        number, now = 0, self._items(items)
        while now:
            after = self._items(items)  # read already: it tells whether the epoch ends
            if number >= skipped:
                yield self._made(now, epoch, number, ends=not after)
            number, now = number + 1, after
        if not number:
            text = "IterableDataset: it gives no item when it is iterated again"
            raise ItemRaised(f"epoch {epoch + 1:,} of {stream.place}", text)

    def _made(self, items: list[Any], epoch: int, number: int, *, ends: bool) -> Read:
        if not self.stream.draws:
            return Read(self.stream.batch(items, self.seed, epoch, number), len(items), ends)
        with self.stream.aside():  # the items go on where they were
            return Read(self.stream.batch(items, self.seed, epoch, number), len(items), ends)

    def _items(self, items: Iterator[Any]) -> list[Any]:
        with told(lambda: f"an item of {self.stream.place}"):
            return list(islice(items, self.size))


class Ahead:
    """Minibatches that processes of its own read ahead, in order; used up or not, it is to be closed.

    Args:
        source: What reads them.
        places: Which, of a :class:`Shuffled`; None for all that an :class:`Iterated` gives.
        workers: Processes.
    """

    def __init__(self, source: Shuffled | Iterated, places: Iterable[Place] | None, workers: int) -> None:
        source.stream.set_back()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of more processes than cores, and of threads, which they do not use
            loader: Any = DataLoader(
                _InProcess(source) if places is not None else _IteratedInProcess(source),
                sampler=_Places(places) if places is not None else None,
                batch_size=None,
                num_workers=workers,
                collate_fn=_as_it_is,
                worker_init_fn=_Beginning(source.stream.begin),
                multiprocessing_context=start_method(),
                prefetch_factor=AHEAD,
                generator=torch.Generator(),
            )
            with deaths_met_when_asked():
                self._batches: Any = iter(loader)

    def __iter__(self) -> Ahead:
        return self

    def __next__(self) -> Read:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                packed = next(self._batches)
        except (RuntimeError, OSError, EOFError) as error:  # one was killed, or there is no memory that processes share
            text = f"{first_line(error)}; --loader-workers 0 reads in this process"
            raise ItemRaised("a process that reads the data ended", text) from error
        if isinstance(packed, ItemRaised):
            raise packed
        assert isinstance(packed, Packed)
        return packed.opened()

    def close(self) -> None:
        """End its processes."""
        batches, self._batches = self._batches, iter(())
        end_workers(batches)


class Here:
    """The same minibatches, read in this process when they are asked for; its generators stay as they are."""

    def __init__(self, source: Shuffled | Iterated, places: Iterable[Place] | None) -> None:
        self._stream = source.stream
        self._goes_on = isinstance(source, Iterated)
        self._given = iter(source) if isinstance(source, Iterated) else map(source.__getitem__, places or ())
        self._between: Any = None

    def __iter__(self) -> Here:
        return self

    def __next__(self) -> Read:
        with self._stream.aside():
            if self._between is not None:
                self._between.restore()
            read = next(self._given)
            self._between = self._stream.generators_now() if self._goes_on else None
            return read

    def close(self) -> None:
        """Nothing is held."""


class _Places:
    """Endless places as a sampler, which is iterated once."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = places

    def __iter__(self) -> Iterator[Place]:
        return iter(self.places)


class _InProcess(Dataset[Any]):
    """What a process reads, packed; what it raises is a result too, for exceptions do not all travel."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __getitem__(self, place: Place) -> Any:
        try:
            return _packed(self.source[place], self.source.stream)
        except ItemRaised as error:
            return error


class _IteratedInProcess(IterableDataset[Any]):
    """Likewise."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __iter__(self) -> Iterator[Any]:
        try:
            for read in self.source:
                yield _packed(read, self.source.stream)
        except ItemRaised as error:
            yield error


def _packed(read: Read, stream: Stream) -> Packed:
    """A batch, packed: here, where it is met that it cannot be; a queue would lose it without a word."""
    with told(lambda: f"a minibatch of {stream.place}, which one process hands to another,"):
        return Packed.of(read)


class _Beginning:
    """What a process begins with: signals are its parent's business, which ends it."""

    def __init__(self, own: Callable[[int], Any] | None) -> None:
        self.own = own

    def __call__(self, worker: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if self.own is not None:
            self.own(worker)


def _as_it_is(batch: Any) -> Any:
    return batch
