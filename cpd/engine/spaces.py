"""Where user code keeps values by name: objects, classes, functions, modules; and which of them are looked at."""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import deque
from collections.abc import Iterator
from functools import cache, partial
from types import FunctionType, MemberDescriptorType, MethodType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpd.engine.importing import PREFIX

_PACKAGES = re.compile(r"[/\\\\](site|dist)-packages[/\\\\]")
"""Where installed packages are."""


class Space:
    """Where names are kept: how to list them, and to change them."""

    def __init__(self, names: dict[Any, Any], skipped: frozenset[str] = frozenset()) -> None:
        self.names = names
        self.skipped = skipped

    def items(self) -> Iterator[tuple[Any, Any]]:
        """What is kept here, by name."""
        return ((key, value) for key, value in list(self.names.items()) if key not in self.skipped)

    def everything(self) -> dict[Any, Any]:
        """What stands here, code included that is not looked at."""
        return dict(self.names)

    def put(self, key: Any, value: Any) -> None:
        """Let a name hold a value."""
        self.names[key] = value

    def delete(self, key: Any) -> None:
        """Remove a name."""
        del self.names[key]


class ObjectSpace(Space):
    """The attributes of an object, those in slots included."""

    def __init__(self, value: Any) -> None:
        super().__init__(getattr(value, "__dict__", {}))
        self.value = value
        kind: Any = type(value)
        self.slots = slots(kind)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """What is kept here, by name."""
        yield from super().items()
        yield from ((name, getattr(self.value, name)) for name in self.slots if hasattr(self.value, name))

    def put(self, key: Any, value: Any) -> None:
        """Let a name hold a value."""
        if key in self.slots:
            object.__setattr__(self.value, key, value)
        else:
            super().put(key, value)

    def delete(self, key: Any) -> None:
        """Remove a name."""
        if key in self.slots:
            object.__delattr__(self.value, key)
        else:
            super().delete(key)


class ClassSpace(Space):
    """The plain attributes of a class."""

    def __init__(self, kind: type) -> None:
        super().__init__({})
        self.kind = kind

    def items(self) -> Iterator[tuple[Any, Any]]:
        """What is kept here, by name."""
        for key, value in list(vars(self.kind).items()):
            if (not key.startswith("__") and _may_change(value)) or keeps(value):
                yield key, value

    def everything(self) -> dict[Any, Any]:
        """What stands here, code included that is not looked at."""
        return dict(vars(self.kind))

    def put(self, key: Any, value: Any) -> None:
        """Let a name hold a value."""
        setattr(self.kind, key, value)

    def delete(self, key: Any) -> None:
        """Remove a name."""
        delattr(self.kind, key)


class FunctionSpace(Space):
    """What a function keeps: the variables of its closure, its attributes, its defaults that can change."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__({})
        self.function = function
        self.cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """What is kept here, by name."""
        yield from ((name, cell.cell_contents) for name, cell in self.cells.items() if _filled(cell))
        yield from vars(self.function).items()
        yield from ((f"default {k}", d) for k, d in enumerate(self.function.__defaults__ or ()) if _may_change(d))

    def put(self, key: Any, value: Any) -> None:
        """Let a name hold a value."""
        if key in self.cells:
            self.cells[key].cell_contents = value
        elif not str(key).startswith("default "):
            setattr(self.function, key, value)

    def delete(self, key: Any) -> None:
        """Remove a name."""
        delattr(self.function, key)


class PartialSpace(Space):
    """A partial function: what it calls, and with what."""

    def __init__(self, function: partial[Any]) -> None:
        super().__init__({})
        self.function = function

    def items(self) -> Iterator[tuple[Any, Any]]:
        """What is kept here, by name."""
        yield from ((name, getattr(self.function, name)) for name in ("func", "args", "keywords"))

    def put(self, key: Any, value: Any) -> None:
        """Let a name hold a value."""
        state = {**dict(self.items()), key: value}
        self.function.__setstate__((*state.values(), vars(self.function)))  # type: ignore[attr-defined]


class MethodSpace(Space):
    """A method of an object: that object."""

    def __init__(self, method: MethodType) -> None:
        super().__init__({"__self__": method.__self__})


class GlobalSpace(Space):
    """The plain globals of a module."""

    def items(self) -> Iterator[tuple[Any, Any]]:
        """What is kept here, by name."""
        for key, value in list(self.names.items()):
            if not key.startswith("__") and (_may_change(value) or keeps(value)):
                yield key, value


def space_of(value: Any) -> Space:
    """Where an object, a method or a function has its names."""
    if isinstance(value, FunctionType):
        return FunctionSpace(value)
    if isinstance(value, partial):
        return PartialSpace(value)
    return MethodSpace(value) if isinstance(value, MethodType) else ObjectSpace(value)


@cache  # classes stay as long as the process
def slots(kind: type) -> tuple[str, ...]:
    """Names of an object's attributes that are not in its dictionary; none for Python's own and for torch's in C."""
    if _is_pythons(kind):
        return ()
    named = ((name, value) for each in kind.__mro__ if not _is_pythons(each) for name, value in vars(each).items())
    return tuple(name for name, value in named if isinstance(value, MemberDescriptorType))


def has_names(value: Any) -> bool:
    """Whether a value is an object whose attributes are looked at: all but those of Python's own classes."""
    if isinstance(value, SimpleNamespace | argparse.Namespace):
        return True
    kind: Any = type(value)
    return not _is_pythons(kind) and (hasattr(value, "__dict__") or bool(slots(kind)))


def _is_pythons(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in sys.stdlib_module_names


def keeps(value: Any) -> bool:
    """Whether a value is a function of the user's that keeps something between two calls."""
    if not isinstance(value, FunctionType) or _is_installed(value.__code__.co_filename):
        return False
    changing = any(_may_change(default) for default in value.__defaults__ or ())
    return bool(value.__closure__ or vars(value) or changing)


@cache  # the files of a process are few
def _is_installed(file: str) -> bool:
    return _PACKAGES.search(file) is not None


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that has no value yet
        return False


def _may_change(value: Any) -> bool:
    """Whether an attribute of a class, or a global, is a number, a text or a container of some: not code."""
    kind: Any = type(value)
    return _changes(kind) or (isinstance(value, type) and hasattr(value, "__next__"))


_CHANGING = (
    *(bool, int, float, complex, str, bytes, type(None), Tensor, np.ndarray, list, dict, set, deque),
    *(torch.Generator, np.random.Generator, np.random.RandomState, random.Random),
)


@cache  # classes stay as long as the process
def _changes(kind: type) -> bool:
    return issubclass(kind, _CHANGING) or hasattr(kind, "__next__")


def is_foreign(kind: type) -> bool:
    """Whether a class is Python's, cpd's or an installed package's."""
    return is_foreign_module(kind.__module__)


def is_foreign_module(name: str) -> bool:
    """Whether a module is Python's, cpd's or an installed package's."""
    top = name.partition(".")[0]
    home = sys.modules.get(name)
    if name.startswith(PREFIX):  # a problem's file has its name within cpd
        return False
    if top == "__main__" or home is None:
        return home is None
    file = getattr(home, "__file__", None)
    return top == "cpd" or top in sys.stdlib_module_names or file is None or _PACKAGES.search(file) is not None
