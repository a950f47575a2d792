"""How many processes read a stream, and whether they can be handed it."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import sys
from contextlib import suppress
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpd.engine.items import Stream, told
from cpd.engine.packing import Packed, Read
from cpd.engine.reachable import closed_over
from cpd.engine.tracebacks import ItemRaised, first_line

MOST_WORKERS = 2
"""Processes where the user names no number."""
OPEN = "open files in __getitem__, not before, and make batches of tensors"
SLOW = 2e-3
"""Seconds of reading a minibatch from which processes are worth their start."""


def workers_for(stream: Stream, size: int, asked: int | None) -> tuple[int, str | None]:
    """How many processes read a stream, and what the user should know of that.

    Args:
        stream: What is read.
        size: Items in a minibatch.
        asked: What the user says; None for as many as help.
    """
    wanted = asked if asked is not None else stream.workers
    slow = stream.seconds * size > SLOW
    if multiprocessing.parent_process() is not None or multiprocessing.current_process().daemon:
        said = "a worker process reads its items itself, between the steps; --jobs 1 reads them ahead"
        return 0, f"{stream.place}: {said}" if slow or wanted else None
    if wanted is None:
        wanted = min(MOST_WORKERS, cores()) if slow else 0
    wanted = min(wanted, 1) if stream.examples is None else wanted
    if not wanted:
        return 0, None
    stream.set_back()
    reason = _not_handed_over(stream)
    if reason is not None:
        hint = OPEN if start_method() else f"{OPEN}; use functions of a module, no lambda"
        return 0, f"{stream.place}: read in this process, for another one cannot be handed it ({reason}); {hint}"
    many = f"{wanted} processes read" if wanted > 1 else "a process reads"
    return wanted, f"{stream.place}: {many} ahead of the steps (--loader-workers)"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _not_handed_over(stream: Stream) -> str | None:
    """Why another process cannot have a dataset: it holds an open file, a connection, a lock; None where it can."""
    try:
        _Handing().dump((stream.items, stream.collate, stream.begin))
        with suppress(ItemRaised), stream.aside():  # which the first evaluations will meet
            Packed.of(Read(_few(stream), 2))
    except Exception as error:  # whatever its objects raise when they are to be pickled
        return f"{type(error).__name__}: {first_line(error)}"
    return None


def _few(stream: Stream) -> Any:
    """A batch of the first two items."""
    items = stream.items
    if stream.examples is None:
        stream.seed(0)
        with told(lambda: f"an item of {stream.place}"):
            return stream.batch(list(islice(iter(items), 1 if stream.batched else 2)), 0, 0, 0)
    return stream.read(0, 0, 0, range(1 if stream.batched else min(2, stream.examples)))


class _Handing(pickle.Pickler):
    """Pickles into nothing. A forked process has functions and classes as they are, so these are not asked."""

    def __init__(self) -> None:
        super().__init__(_Nowhere())
        self.forks = start_method() is not None

    def reducer_override(self, value: Any) -> Any:
        if value is str or value is tuple:
            return NotImplemented
        if isinstance(value, Tensor | np.ndarray | torch.Generator):
            return (str, ())
        if self.forks and isinstance(value, FunctionType):
            return (tuple, (closed_over(value),))
        return (str, ()) if self.forks and isinstance(value, type | ModuleType) else NotImplemented


class _Nowhere(io.RawIOBase):
    """Takes all and keeps nothing."""

    def write(self, content: Any) -> int:
        return len(content)


def start_method() -> str | None:
    """Forking, where that is safe: a process has all that this one has, and starts at once."""
    return "fork" if sys.platform == "linux" else None
