"""Values of Python as they stood: whether they have changed since, and how to set them back."""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cpd.engine.spaces import FunctionSpace, Space, is_foreign, keeps
from cpd.engine.steppers.torch_private import is_batched

MOST_NUMBERS = 2**20
"""Numbers in tensors and arrays that are copied; a tensor beyond that is told by its version alone."""
MOST_ITEMS = 10_000
"""Objects that are looked at; what a problem holds beyond that, such as a list of all its examples, is not."""

_UNCHANGING = (
    int | float | complex | str | bytes | bool | type | range | FunctionType | BuiltinFunctionType | MethodType
)


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
    """An iterator or a partial function: told by what it would be pickled as; it cannot be set back."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.words = _reduced(value)

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        if self.words is None or self.words != _reduced(self.value):
            yield name

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        return isinstance(other, _Iterator) and self.words is not None and self.words == other.words


class _Sequence(Kept):
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
        before = [item.value for item in self.items]
        if isinstance(self.value, list):
            self.value[:] = before
        elif isinstance(self.value, deque | set):
            self.value.clear()
            self.value.extend(before) if isinstance(self.value, deque) else self.value.update(before)
        for item in self.items:
            item.restore()

    def alike(self, other: Kept) -> bool:
        """Whether another stood alike."""
        return (
            isinstance(other, _Sequence)
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

    def changes(self, name: str) -> Iterator[str]:
        """Names of what has changed since."""
        now = dict(self.space.items())
        for key in self.changed_keys(now):
            inner = self.within.format(name, key)
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
            self.space.delete(key)
        for key, item in self.items.items():
            if key not in now or now[key] is not item.value:
                self.space.put(key, item.value)
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
        self.numbers_left = MOST_NUMBERS

    def keep(self, value: Any) -> Kept:
        """Remember a value; what is met again, or beyond the most items, is told by its identity alone."""
        if isinstance(value, _UNCHANGING | None | ModuleType) and not keeps(value):
            return Kept(value)
        if id(value) in self.seen or self.left <= 0:
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
            return Kept(value) if len(value) > self.left else _Sequence(value, self)
        if isinstance(value, dict):
            return Kept(value) if len(value) > self.left else Names(value, Space(value), self)
        if isinstance(value, FunctionType):
            return Names(value, FunctionSpace(value), self, "{0}.{1}")
        if type(value).__module__ in ("itertools", "functools") or hasattr(value, "__next__"):
            return _Iterator(value)
        if isinstance(value, nn.Module) or (hasattr(value, "__dict__") and not is_foreign(type(value))):
            return Names(value, Space(vars(value)), self, "{0}.{1}")
        return Kept(value)


def _reduced(value: Any) -> str | None:
    """What an iterator would be pickled as; None where nothing tells whether it has moved on."""
    try:
        return repr(copy.copy(value).__reduce__())
    except TypeError:
        return None


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
