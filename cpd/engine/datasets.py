"""Datasets that ``data()`` returns: read into memory where that is the same, read while training where it is not."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)
from torch.utils.data.dataloader import default_convert

from cpd.engine.generators import RandomState
from cpd.engine.items import Collate, Stream, as_batch, item_seed, stack, the_one
from cpd.engine.reachable import attributes, generators
from cpd.engine.tree import leaves, mapped
from cpd.errors import CpdError

LOOKED_AT = 16
"""Items of a Dataset that are read twice, to see whether they are the same."""
LOOKED_AT_AGAIN = 256
"""Those of one that draws random numbers, though these were the same."""


@dataclass(frozen=True)
class Asked:
    """What of the user's decides how items become batches.

    Attributes:
        place: Named in errors.
        collate: ``Problem.collate``, or None.
        notes: What the user should know is added.
    """

    place: str
    collate: Collate | None
    notes: list[str]


def is_dataset(raw: Any) -> bool:
    """Whether it is a Dataset or a DataLoader, or can be asked for items as one."""
    if isinstance(raw, Dataset | DataLoader):
        return True
    known = isinstance(raw, Tensor | Mapping | Sequence | set | str) or hasattr(raw, "to_numpy")
    installed = type(raw).__module__.partition(".")[0] in ("builtins", "numpy")
    return hasattr(raw, "__getitem__") and hasattr(raw, "__len__") and not known and not installed


def are_items(raw: Any) -> bool:
    """Whether it is a list of items, each with several parts."""
    return isinstance(raw, list) and bool(raw) and all(isinstance(item, tuple | dict) for item in raw)


def collate_of(problem: Any) -> Collate | None:
    """The ``collate`` of a problem: a method, or a function that is kept under that name; None where there is none."""
    found: Any = inspect.getattr_static(problem, "collate", None)
    if isinstance(found, FunctionType) and "collate" not in vars(problem):
        needed = [p for p in inspect.signature(found).parameters.values() if p.default is p.empty]
        if len(needed) == 1 and needed[0].kind is not needed[0].VAR_POSITIONAL:
            return found  # a plain function of the items, not a method
    own: Collate | None = getattr(problem, "collate", None)
    return own


def read_dataset(raw: Any, asked: Asked) -> Any:
    """Read a Dataset, a DataLoader or a list of items: a tree of tensors in memory, or a :class:`Stream`.

    Raises:
        CpdError: It is empty, it says how to draw examples, or its items cannot be stacked.
    """
    if isinstance(raw, DataLoader):
        return _of_loader(raw, asked)
    if isinstance(raw, TensorDataset) and asked.collate is None:
        return tuple(raw.tensors)
    if isinstance(raw, IterableDataset):
        return _iterable(Stream(raw, asked.place, asked.collate or stack, asked.collate is not None), asked)
    if not hasattr(raw, "__len__") or not hasattr(raw, "__getitem__"):
        message = f"{type(raw).__name__} has no __len__ and no __getitem__"
        raise CpdError(message, place=asked.place, hint="write both, or make it an IterableDataset")
    if len(raw) == 0:
        raise CpdError("the Dataset is empty", place=asked.place, hint="it needs at least one example")
    collate = asked.collate or stack
    return _map_style(Stream(raw, asked.place, collate, asked.collate is not None, examples=len(raw)), asked)


def _of_loader(loader: DataLoader[Any], asked: Asked) -> Any:
    """What a DataLoader is made of; the order of the examples is the seed's."""
    hint = "return the Dataset; train.batch_size and the seed decide the minibatches, weights belong into the objective"
    samplers = (SequentialSampler, RandomSampler)
    own = not isinstance(loader.dataset, IterableDataset) and not isinstance(loader.sampler, samplers)
    usual = type(loader.batch_sampler).__module__ == "torch.utils.data.sampler" or loader.batch_sampler is None
    if own or not usual or getattr(loader.sampler, "replacement", False):
        raise CpdError("returned a DataLoader with a sampler of its own", place=asked.place, hint=hint)
    if loader.drop_last:
        asked.notes.append("drop_last of the DataLoader does not count: a smaller last minibatch is a step too")
    collates = loader.collate_fn not in (default_collate, default_convert)
    if asked.collate is None and collates:
        asked = replace(asked, collate=loader.collate_fn)
    data = read_dataset(loader.dataset, asked) if loader.batch_size is not None else _batches(loader, asked)
    if isinstance(data, Stream):
        data = replace(data, workers=loader.num_workers or None, begin=loader.worker_init_fn)
    return data


def _batches(loader: DataLoader[Any], asked: Asked) -> Stream:
    """A DataLoader with ``batch_size=None``: each item is a batch."""
    own = loader.collate_fn is not default_convert
    collate = partial(_converted, loader.collate_fn) if own else the_one
    stream = Stream(loader.dataset, asked.place, collate, draws=own, batched=True)
    if isinstance(loader.dataset, IterableDataset):
        return _iterable(stream, asked)
    return _with_own(replace(stream, examples=len(loader.dataset)))  # type: ignore[arg-type]


def _converted(convert: Callable[[Any], Any], items: list[Any]) -> Any:
    """An item that is a batch itself, as the user's DataLoader converts it."""
    return convert(the_one(items))


def _map_style(stream: Stream, asked: Asked) -> Any:
    """Its items in memory, stacked or, where the user collates them, in a list; or the stream that it is."""
    stream = _with_own(stream)
    with stream.aside():
        again = _Reading(stream)
        seconds, random = again.tried()
        stream = replace(stream, seconds=seconds)
        too_large = None if random else _too_large(stream)
        if random or too_large:
            read_anew = f"{stream.place}: the Dataset {too_large}: it is read anew each epoch"
            asked.notes.append(read_anew if too_large else again.note)
            _check_stacks(stream)
            return replace(stream, too_large=too_large)
        items = again.all()
        if again.differs(items):
            asked.notes.append(again.note)
            _check_stacks(stream)
            return stream
    if stream.draws:
        return replace(stream, items=items, seconds=0.0, stood=())
    return _stacked(items, stream.place)


class _Reading:
    """Reads items of a Dataset more than once, and compares."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.count = stream.examples or 0
        self.first: dict[int, Any] = {}
        self.note = ""

    def tried(self) -> tuple[float, bool]:
        """Read some items twice: seconds an item, and whether they differ."""
        started = time.perf_counter()
        for k in _some(self.count, LOOKED_AT):
            self.first[k] = _own(self.stream.items[k])
        seconds = (time.perf_counter() - started) / len(self.first)
        differ = any(not same(self.stream.items[k], item) for k, item in self.first.items())
        if differ:
            self.note = self._random()
        return seconds, differ

    def all(self) -> list[Any]:
        """Every item, read once more."""
        before = RandomState.now(torch.device("cpu"))
        items = [self.stream.items[k] for k in range(self.count)]
        self.drawn = bool(before.drawn_since())
        return items

    def differs(self, items: list[Any]) -> bool:
        """Whether some of these are others than they were, or are others again where they draw random numbers."""
        found = any(not same(items[k], item) for k, item in self.first.items())
        if not found and self.drawn:
            found = any(not same(self.stream.items[k], items[k]) for k in _some(self.count, LOOKED_AT_AGAIN))
        if found:
            self.note = self._random()
        return found

    def _random(self) -> str:
        """What to say of items that differ: whether their seeds decide them."""
        said = f"{self.stream.place}: the Dataset gives other values each time: its items are read anew each epoch"
        twice = [[self._seeded(k) for k in self.first] for _ in range(2)]
        alike = all(same(a, b) for a, b in zip(*twice, strict=True))
        return said if alike else f"{said}, and {UNSEEDED}"

    def _seeded(self, k: int) -> Any:
        self.stream.seed(item_seed(0, 0, k))
        return _own(self.stream.items[k])


UNSEEDED = (
    "the seeds of torch, numpy and random do not decide their values: neither the same command nor a resumed one "
    "trains on the same"
)


def _iterable(stream: Stream, asked: Asked) -> Stream:
    """A stream of items in an order of their own."""
    stream = _with_own(stream)
    with stream.aside():
        started = time.perf_counter()
        first, second = (_first_items(stream) for _ in range(2))
        seconds = (time.perf_counter() - started) / max(1, len(first) + len(second))
    if not first or not second:
        when = "" if not first else " when it is iterated again"
        raise CpdError(f"the IterableDataset gives no item{when}", place=asked.place, hint="__iter__ begins anew")
    if not same(first, second):
        asked.notes.append(f"{asked.place}: iterated again the IterableDataset gives other items, and {UNSEEDED}")
    if stream.collate is stack:
        _stacked(first, asked.place)
    return replace(stream, seconds=seconds)


def _first_items(stream: Stream) -> list[Any]:
    stream.seed(item_seed(0, 0))
    return [_own(item) for item in islice(iter(stream.items), 2)]


def _with_own(stream: Stream) -> Stream:
    """With the generators that the user made, and with what the user's objects hold before anything is read."""
    roots = [stream.items, stream.collate]
    return replace(stream, generators=tuple(generators(roots)), stood=attributes(stream.items))


def _check_stacks(stream: Stream) -> None:
    if stream.collate is stack:
        _stacked([stream.items[k] for k in _some(stream.examples or 0, LOOKED_AT)], stream.place)


def _stacked(items: list[Any], place: str) -> Any:
    """Items as a batch.

    Raises:
        CpdError: Torch cannot stack them, or their parts are no numbers.
    """
    try:
        batch = as_batch(stack(items))
    except CpdError as error:
        raise CpdError(error.message, place=place, hint=error.hint) from error
    for leaf in leaves(batch):
        if not isinstance(leaf, Tensor):
            message, hint = f"an item holds a {type(leaf).__name__}", "write collate(self, items) in the problem"
            raise CpdError(message, place=place, hint=f"{hint}, which makes tensors of it")
    return batch


def _some(count: int, most: int) -> list[int]:
    """At most so many places from the first to the last."""
    return sorted({round(k * (count - 1) / max(1, most - 1)) for k in range(most)})


def same(a: Any, b: Any) -> bool:
    """Whether two items are the same, NaN included."""
    ours, theirs = leaves(a), leaves(b)
    return len(ours) == len(theirs) and all(_equal(x, y) for x, y in zip(ours, theirs, strict=True))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(((a == b) | ((a != a) & (b != b))).all())
    try:
        return bool(((a == b) | ((a != a) & (b != b))).all()) if hasattr(a, "all") else bool(a == b or a != a)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return a is b


def _own(item: Any) -> Any:
    """An item as it is now: a Dataset may hand out memory that it writes into again."""
    return mapped(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, item)


def _too_large(stream: Stream) -> str | None:
    """Why the items are not kept in memory, in words, or None."""
    batch = as_batch(stream.items[0])
    size = sum(leaf.element_size() * leaf.numel() for leaf in leaves(batch) if isinstance(leaf, Tensor))
    needed, free = size * (stream.examples or 0), free_memory()
    if needed <= free / 2:
        return None
    gib = [f"{number / 2**30:.1f} GiB" for number in (needed, free)]
    return f"needs {gib[0]} in memory and {gib[1]} are free"


def free_memory() -> int:
    """Bytes that are free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 2**34
    kib = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 2**24)
    return kib * 1024
