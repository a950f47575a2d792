"""Values of Python as they stood: whether they have changed since, and how to set them back."""

from __future__ import annotations

import copy
import random
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cpd.engine.iterators import ENDED, copied_iterator, is_iterator, iterator_words, not_set_back
from cpd.engine.spaces import ObjectSpace, Space, has_names, is_foreign, keeps, space_of
from cpd.engine.steppers.torch_private import is_batched

MOST_NUMBERS = 2**20
"""Numbers in tensors and arrays that are copied; a tensor beyond that is told by its version alone."""
MOST_ITEMS = 10_000
"""Objects that are looked at; what a problem holds beyond that, such as a list of all its examples, is not."""
MOST_FOREIGN = 1_000
"""Of these, objects within those of installed packages."""

_UNCHANGING = int | float | complex | str | bytes | bool | type | range | FunctionType | BuiltinFunctionType
_PLAIN = _UNCHANGING | None | ModuleType


class Kept:
    """A value as it stood: whether it has changed since, and how to set it back."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        return iter(())

    def has_changed(self) -> bool:
        """Whether any of it has changed since."""
        return any(True for _ in self.changes("it"))

    def restore(self) -> None:
        """Set it back."""

    def stood(self) -> Any:
        """What is to be put where it stood."""
        return self.value

    def alike(self, other: Kept) -> bool:
        """Whether another value stood alike."""
        if self.value is other.value:
            return True
        plain = isinstance(self.value, _UNCHANGING | None) and type(self.value) is type(other.value)
        return plain and bool(self.value == other.value)

    def leaves(self, name: str) -> Iterator[tuple[str, Any]]:
        """What it holds, to the last, by name."""
        yield name, self.value


class _Numbers(Kept):
    """A tensor or an array: by its version, and by its numbers where they are few."""

    def __init__(self, value: Tensor | np.ndarray, whole: bool) -> None:
        super().__init__(value)
        copied = whole and not (isinstance(value, Tensor) and (is_batched(value) or value.is_sparse))
        self.numbers = _copied(value) if copied else None
        self.version: int | None = None
        if isinstance(value, Tensor) and not is_batched(value) and not value.is_inference():
            self.version = value._version

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        if isinstance(self.value, Tensor) and self.version is not None and self.value._version == self.version:
            return
        known = self.numbers is not None or self.version is not None
        if known and (self.numbers is None or not _equal(self.numbers, self.value)):
            yield name

    def restore(self) -> None:
        """Set it back."""
        if self.numbers is None or _equal(self.numbers, self.value):
            return
        if isinstance(self.value, Tensor):
            with torch.no_grad():
                self.value.copy_(self.numbers)
            if self.version is not None:
                self.version = self.value._version
        else:
            self.value[...] = self.numbers

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        if not isinstance(other, _Numbers) or self.numbers is None or other.numbers is None:
            return self.value is other.value
        return _equal(self.numbers, other.numbers)


class _Generator(Kept):
    """A generator of random numbers that the user made."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.words = generator_words(value)

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        if not _same_words(self.words, generator_words(self.value)):
            yield name

    def restore(self) -> None:
        """Set it back."""
        set_generator(self.value, self.words)

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        return isinstance(other, _Generator) and _same_words(self.words, other.words)


class _Iterator(Kept):
    """An iterator: told by what it would be pickled as, and set back by putting a copy into its place."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.words = iterator_words(value)
        self.twin = copied_iterator(value) if self.words != ENDED else None

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        if self.words is None or self.words != iterator_words(self.value):
            yield name

    def stood(self) -> Any:
        """What is to be put where it stood.

        Raises:
            CpdError: It has moved on, and nothing can set it back.
        """
        if self.has_changed():
            if self.twin is None:
                raise not_set_back(f"an iterator ({type(self.value).__name__})")
            self.value = copied_iterator(self.twin)
        return self.value

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        return isinstance(other, _Iterator) and self.words is not None and self.words == other.words


class Sequence(Kept):
    """A list, a tuple, a deque or a set."""

    def __init__(self, value: Any, looker: Looker) -> None:
        super().__init__(value)
        self.items = [looker.keep(item) for item in list(value)]

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        now = list(self.value)
        if len(now) != len(self.items) or any(not _stands(k, v) for k, v in zip(self.items, now, strict=True)):
            yield name
            return
        for item in self.items:
            if item.has_changed():
                yield name
                return

    def restore(self) -> None:
        """Set it back."""
        before = [item.stood() for item in self.items]
        if isinstance(self.value, list):
            self.value[:] = before
        elif isinstance(self.value, deque | set):
            self.value.clear()
            self.value.extend(before) if isinstance(self.value, deque) else self.value.update(before)
        for item in self.items:
            item.restore()

    def stood(self) -> Any:
        """What is to be put where it stood: a tuple that holds iterators is made anew."""
        if isinstance(self.value, tuple):
            items = [item.stood() for item in self.items]
            if any(new is not old for new, old in zip(items, self.value, strict=True)):
                self.value = self.value._make(items) if hasattr(self.value, "_make") else tuple(items)
        return self.value

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        return (
            isinstance(other, Sequence)
            and len(self.items) == len(other.items)
            and all(a.alike(b) for a, b in zip(self.items, other.items, strict=True))
        )

    def leaves(self, name: str) -> Iterator[tuple[str, Any]]:
        """What it holds, to the last, by name."""
        for item in self.items:
            yield from item.leaves(name)


class Names(Kept):
    """Values by name: a dictionary, or the attributes of an object."""

    def __init__(self, value: Any, space: Space, looker: Looker, within: str = "{0}[{1!r}]") -> None:
        super().__init__(value)
        self.space = space
        self.within = within
        self.items = {key: looker.keep(item) for key, item in space.items()}
        self.unseen = {key: item for key, item in space.everything().items() if key not in self.items}

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        now = dict(self.space.items())
        for key in self.changed_keys(now):
            inner = self.within.format(name, key if not isinstance(key, Tensor) else "")
            if key in now and key in self.items and _stands(self.items[key], now[key]):
                yield from self.items[key].changes(inner)
            else:
                yield inner

    def changed_keys(self, now: Mapping[Any, Any]) -> Iterator[Any]:
        """Names that hold something else, or whose value has changed."""
        for key in dict.fromkeys([*self.items, *now]):
            stands = key in now and key in self.items and _stands(self.items[key], now[key])
            if not stands or self.items[key].has_changed():
                yield key

    def restore(self) -> None:
        """Set it back."""
        now = dict(self.space.items())
        for key in now.keys() - self.items.keys():
            if key in self.unseen:
                self.space.put(key, self.unseen[key])
            else:
                self.space.delete(key)
        for key, item in self.items.items():
            before = item.stood()
            if key not in now or now[key] is not before:
                self.space.put(key, before)
            item.restore()

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        if not isinstance(other, Names) or self.items.keys() != other.items.keys():
            return False
        return all(item.alike(other.items[key]) for key, item in self.items.items())

    def leaves(self, name: str) -> Iterator[tuple[str, Any]]:
        """What it holds, to the last, by name."""
        for key, item in self.items.items():
            yield from item.leaves(self.within.format(name, key))


class Looker:
    """Keeps values, each object once."""

    def __init__(self) -> None:
        self.seen: dict[int, Kept] = {}
        self.left = MOST_ITEMS
        self.foreign_left = MOST_FOREIGN
        self.numbers_left = MOST_NUMBERS

    def keep(self, value: Any) -> Kept:
        """Remember a value; what is met again, or beyond the most items, is told by its identity alone."""
        if isinstance(value, _PLAIN) and not keeps(value):
            return Kept(value)
        known = self.seen.get(id(value))
        if isinstance(known, _Iterator):
            return known
        if known is not None or self.left <= 0:
            return Kept(value)
        self.left -= 1
        self.seen[id(value)] = Kept(value)  # of what holds itself
        self.seen[id(value)] = kept = self._kept(value)
        return kept

    def _kept(self, value: Any) -> Kept:
        if isinstance(value, Tensor | np.ndarray):
            count = value.numel() if isinstance(value, Tensor) else value.size
            whole = count <= self.numbers_left
            self.numbers_left -= count if whole else 0
            return _Numbers(value, whole)
        if isinstance(value, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
            return _Generator(value)
        if isinstance(value, list | tuple | set | frozenset | deque):
            return Kept(value) if len(value) > self.left else Sequence(value, self)
        if isinstance(value, dict):
            return Kept(value) if len(value) > self.left else Names(value, Space(value), self)
        if isinstance(value, FunctionType | MethodType | partial):
            return Names(value, space_of(value), self, "{0}.{1}")
        if is_iterator(value):
            return _Iterator(value)
        return self._object(value) if has_names(value) else Kept(value)

    def _object(self, value: Any) -> Kept:
        """An object; those of installed packages, such as an optimizer, may hold much that nobody knows of."""
        if isinstance(value, nn.Module | Optimizer | SimpleNamespace | Namespace) or not is_foreign(type(value)):
            return Names(value, ObjectSpace(value), self, "{0}.{1}")
        left, self.left = self.left, min(self.left, self.foreign_left)
        before = self.left
        kept = Names(value, ObjectSpace(value), self, "{0}.{1}")
        self.foreign_left -= before - self.left
        self.left = left - (before - self.left)
        return kept


def generator_words(generator: Any) -> Any:
    """The state of a generator of torch, NumPy or Python."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.getstate()


def set_generator(generator: Any, words: Any) -> None:
    """Set a generator back to what :func:`generator_words` gave."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = words
    elif isinstance(generator, random.Random):
        generator.setstate(words)
    else:
        generator.set_state(words)


def _stands(kept: Kept, now: Any) -> bool:
    """Whether a name still holds what it held, whatever has become of that."""
    if kept.value is now:
        return True
    plain = isinstance(now, _UNCHANGING) and type(now) is type(kept.value)
    return plain and bool(now == kept.value)


def _copied(value: Tensor | np.ndarray) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value.copy()


def _equal(a: Any, b: Any) -> bool:
    """Whether two tensors or two arrays hold the same, NaN included."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        same = a == b.detach()
        return bool((same | ((a != a) & (b.detach() != b.detach()))).all())
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return (
        bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")) if a.dtype != object else a.tobytes() == b.tobytes()
    )


def _same_words(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same_words(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same_words(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
