"""What a user's object reaches: generators of random numbers that it draws from, attributes that it fills."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cpd.engine.spaces import is_foreign
from cpd.problem import Problem

GENERATORS = torch.Generator | np.random.Generator | np.random.RandomState | random.Random
MOST = 10_000
"""Objects that are looked at."""
MOST_PARTS = 1_000
"""Parts of a list or a dictionary up to which they are looked at: more are examples."""


def generators(roots: Iterable[Any]) -> list[Any]:
    """Generators of random numbers that the user made, each once, in the order in which they are found."""
    return [value for value in _reached(roots, followed=True) if isinstance(value, GENERATORS)]


def attributes(root: Any) -> list[tuple[Any, dict[str, Any]]]:
    """The user's objects behind a dataset, itself first, and what their attributes hold."""
    found = _reached([root], followed=False)
    return [(value, dict(vars(value))) for value in found if _may_be_filled(value)]


def _may_be_filled(value: Any) -> bool:
    """Whether its own code may put something on it: the user's objects, and datasets of torch's around them."""
    own = isinstance(value, Dataset) or not is_foreign(type(value))
    return own and isinstance(getattr(value, "__dict__", None), dict) and not isinstance(value, FunctionType | type)


def _reached(roots: Iterable[Any], *, followed: bool) -> Iterator[Any]:
    """All that is reached, each once; through functions too where they are ``followed``."""
    waiting, seen = list(roots), set[int]()
    while waiting and len(seen) < MOST:
        value = waiting.pop(0)
        if not followed and isinstance(value, Problem):
            continue  # what a problem keeps is its own business
        if id(value) in seen or value is None or isinstance(value, Tensor | np.ndarray | str | bytes | int | float):
            continue
        seen.add(id(value))
        yield value
        if not isinstance(value, GENERATORS | ModuleType | type):
            waiting += _parts(value, followed)


def _parts(value: Any, followed: bool) -> list[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        return list(value) if len(value) <= MOST_PARTS else []
    if isinstance(value, dict):
        return list(value.values()) if len(value) <= MOST_PARTS else []
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, FunctionType):
        return _of_function(value) if followed else []
    own = list(vars(value).values()) if isinstance(getattr(value, "__dict__", None), dict) else []
    return [*own, *(_methods(type(value)) if followed else [])]


def _of_function(function: FunctionType) -> list[Any]:
    """What it closes over, and generators among the globals that it names."""
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    return [*closed_over(function), *(value for value in named if isinstance(value, GENERATORS))]


def closed_over(function: FunctionType) -> list[Any]:
    """What a function keeps: its closure and its defaults."""
    closed = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    return [*closed, *(function.__defaults__ or ())]


def _methods(kind: type) -> list[Any]:
    own = [each for each in kind.__mro__ if not is_foreign(each)]
    return [value for each in own for value in vars(each).values() if isinstance(value, FunctionType | GENERATORS)]


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
