"""Examples that are read while they are trained on, item by item; what one is read as, its seeds alone decide."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from cpd.engine.generators import RandomState
from cpd.engine.kept import generator_words, set_generator
from cpd.engine.tracebacks import ItemRaised, first_line, user_traceback
from cpd.engine.tree import leaves, mapped, of_its_kind
from cpd.errors import CpdError

COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
"""Complex numbers of a precision."""
JUDGED = -1
"""The epoch whose random numbers the items have on which a finished model is judged; its seed is 0."""

Collate = Callable[[list[Any]], Any]


def item_seed(*words: object) -> int:
    """What generators are seeded with before an item is read: a number from 0 to 2^63 that these words alone decide.

    The first eight bytes of BLAKE2b of the words with spaces between them, little end first, halved: of an item
    ``seed epoch index`` (epochs from 0); of a minibatch that ``collate`` makes ``seed epoch collate NUMBER``; of an
    epoch of an IterableDataset ``seed epoch``.
    """
    text = " ".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


class Generators(NamedTuple):
    """Generators as they stood: this process's, and some of the user's own."""

    random: RandomState
    own: list[tuple[Any, Any]]

    def restore(self) -> None:
        """Set them back."""
        self.random.restore()
        for generator, words in self.own:
            set_generator(generator, words)


@dataclass(frozen=True, eq=False)
class Stream:
    """Examples that are read while they are trained on.

    Attributes:
        items: A map-style dataset or a list; or an IterableDataset.
        place: What gave them, for errors.
        collate: Makes a batch of a list of items.
        draws: Whether ``collate`` is the user's, which may draw random numbers.
        batched: Whether an item is a batch itself.
        examples: How many items there are; None where they come in an order of their own.
        generators: Those of the user's own from which items may be drawn: they are seeded for each one.
        seconds: That reading an item takes, about.
        workers: Processes of the user's DataLoader; None where there was none.
        begin: Called in each of them with its number.
        stood: Objects of the user's and what they held before anything was read: see :meth:`set_back`.
        most: Minibatches of a pass over items in an order of their own, which may have no end.
        too_large: What memory all items at once would need, in words, where they do not fit.
        device: Where batches go.
        dtype: Of their floating-point numbers.
    """

    items: Any
    place: str
    collate: Collate
    draws: bool = False
    batched: bool = False
    examples: int | None = None
    generators: tuple[Any, ...] = ()
    seconds: float = 0.0
    workers: int | None = None
    begin: Callable[[int], Any] | None = None
    stood: Sequence[tuple[Any, dict[str, Any]]] = field(default=(), repr=False)
    most: int = 10_000
    too_large: str | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def to(self, device: torch.device, dtype: torch.dtype) -> Stream:
        """The same with batches elsewhere, and floats of this precision."""
        return replace(self, device=device, dtype=dtype)

    def size(self, batch_size: int | None) -> int | None:
        """Items in a minibatch by what the recipe says; None for all of them."""
        return 1 if self.batched else batch_size

    def set_back(self) -> None:
        """Drop what reading has put on the user's objects: a file that one opened must not be shared by processes."""
        for value, names in self.stood:
            vars(value).clear()
            vars(value).update(names)

    def read(self, seed: int, epoch: int, number: int, indices: Sequence[int]) -> Any:
        """The batch of these items; generators of this process are seeded and move on.

        Raises:
            ItemRaised: The user's code did.
        """
        items: list[Any] = []
        with told(lambda: f"item {indices[len(items)]:,} of {self.place}"):
            for k in indices:
                if not isinstance(self.items, list):
                    self.seed(item_seed(seed, epoch, k))
                items.append(self.items[k])
        return self.batch(items, seed, epoch, number)

    def batch(self, items: list[Any], seed: int, epoch: int, number: int) -> Any:
        """The batch of these items, the so many-th of its epoch; likewise."""
        if self.draws:
            self.seed(item_seed(seed, epoch, "collate", number))
        with told(lambda: f"minibatch {number + 1:,} of {self.place}"):
            return as_batch(self.collate(items))

    def seed(self, number: int) -> None:
        """Seed all generators that an item may be drawn from."""
        torch.default_generator.manual_seed(number)
        random.seed(number)
        np.random.seed(number % 2**32)
        for k, generator in enumerate(self.generators):
            seed_one(generator, number + k)

    def placed(self, batch: Any) -> Any:
        """A batch on the device, floats in the run's precision."""
        return mapped(lambda leaf: placed(leaf, self.device, self.dtype), batch)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave this process's generators as they were found."""
        before = self.generators_now()
        try:
            yield
        finally:
            before.restore()

    def generators_now(self) -> Generators:
        """This process's generators, and the user's own, as they are."""
        own = [(generator, generator_words(generator)) for generator in self.generators]
        return Generators(RandomState.now(torch.device("cpu")), own)


def placed(leaf: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """A leaf of a batch on a device: floats in this precision, complex numbers in pairs of it."""
    if not isinstance(leaf, Tensor):
        return leaf.to(device) if hasattr(leaf, "to") else leaf
    if leaf.is_complex():
        return leaf.to(device, COMPLEX[dtype])
    return leaf.to(device, dtype if leaf.is_floating_point() else None)


def as_batch(batch: Any) -> Any:
    """What user code made, as ``evaluate`` gets it: a single tensor as a tuple, arrays as tensors."""
    batch = mapped(_as_tensor, batch)
    return (batch,) if isinstance(batch, Tensor) else batch


def _as_tensor(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        plain = leaf.detach().as_subclass(Tensor)
        return plain.contiguous() if plain.layout == torch.strided else plain
    if isinstance(leaf, np.ndarray | np.number | np.bool_) and leaf.dtype.kind in "biufc":
        return torch.from_numpy(np.array(leaf, leaf.dtype.newbyteorder("=")))
    return leaf


def stack(items: list[Any]) -> Any:
    """A batch of items as torch stacks them, in containers of the items' own kinds.

    Raises:
        CpdError: They differ in shape, or hold what cannot be stacked.
    """
    try:
        return _like(items[0], default_collate(items))
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise CpdError(
            f"items cannot be stacked: {first_line(error)}",
            hint="write collate(self, items) in the problem, which makes a batch of a list of items",
        ) from error


def the_one(items: list[Any]) -> Any:
    """An item that is a batch itself."""
    (item,) = items
    return item


def _like(item: Any, stacked: Any) -> Any:
    """What torch stacked, with tuples where the item has tuples."""
    if isinstance(item, tuple) and not hasattr(item, "_fields") and isinstance(stacked, list | tuple):
        return type(item)(_like(own, each) for own, each in zip(item, stacked, strict=True))
    if isinstance(item, Mapping):
        return of_its_kind(item, {key: _like(item[key], each) for key, each in stacked.items()})
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(_like(own, each) for own, each in zip(item, stacked, strict=True)))
    return stacked


def examples_of(batch: Any) -> int:
    """How many examples a batch holds, by its first tensor; 1 where it has none."""
    return next((len(leaf) for leaf in leaves(batch) if isinstance(leaf, Tensor) and leaf.dim()), 1)


def seed_one(generator: Any, number: int) -> None:
    """Seed a generator of torch, NumPy or Python that the user made."""
    if isinstance(generator, torch.Generator):
        generator.manual_seed(number)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = type(generator.bit_generator)(number).state
    elif isinstance(generator, np.random.RandomState):
        generator.seed(number % 2**32)
    else:
        generator.seed(number)


@contextmanager
def told(what: Callable[[], str]) -> Iterator[None]:
    """Say what was read where the user's code raises, in whichever process."""
    try:
        yield
    except (MemoryError, ItemRaised):
        raise
    except Exception as error:
        raise ItemRaised(what(), str(error) if isinstance(error, CpdError) else user_traceback(error)) from None
