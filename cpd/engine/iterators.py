"""Iterators that user code keeps: whether they have moved on, and copies that go on where they stood."""

from __future__ import annotations

import copy
import gc
import inspect
import io
from types import GeneratorType
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data.dataloader import _BaseDataLoaderIter

from cpd.engine.spaces import is_foreign
from cpd.errors import CpdError

MOST_HELD = 10_000
"""Objects within an iterator among which tensors are looked for."""
ENDED = "ended"
"""What tells a generator that gives nothing any more."""


def is_iterator(value: Any) -> bool:
    """Whether a value moves on when it is asked for the next one; no file, and no object of a class of the user's."""
    if isinstance(value, io.IOBase) or not hasattr(value, "__next__"):
        return False
    return is_foreign(type(value))


def iterator_words(value: Any) -> str | None:
    """What an iterator would be pickled as; None where nothing tells whether it has moved on."""
    if isinstance(value, GeneratorType):
        return {"GEN_CREATED": "", "GEN_CLOSED": ENDED}.get(inspect.getgeneratorstate(value))
    if isinstance(value, _BaseDataLoaderIter):
        return str(value._num_yielded)
    try:
        return str([_word(part) for part in value.__reduce__()])
    except (TypeError, NotImplementedError):
        return None


def _word(part: Any) -> Any:
    """What tells a part of an iterator from what it was: a position by its value, all else by its identity."""
    if isinstance(part, list | tuple):
        return [_word(item) for item in part]
    if part is None or isinstance(part, int | float | str | bytes):
        return repr(part)
    return iterator_words(part) or id(part) if is_iterator(part) else id(part)


def copied_iterator(value: Any) -> Any:
    """An iterator that goes on where this one stands; None where there can be none. Tensors are not copied."""
    shared: dict[int, Any] = {}
    waiting, known = [value], set[int]()
    while waiting and len(known) < MOST_HELD:
        for held in gc.get_referents(waiting.pop()):
            if isinstance(held, Tensor | np.ndarray):
                shared[id(held)] = held
            elif id(held) not in known and (isinstance(held, list | tuple) or hasattr(held, "__next__")):
                known.add(id(held))
                waiting.append(held)
    try:
        return copy.deepcopy(value, shared)
    except (TypeError, NotImplementedError):
        return None


def not_set_back(what: str, place: str = "evaluate()") -> CpdError:
    """Why runs cannot start from the same: an evaluation moves on what has no way back."""
    return CpdError(
        f"moves {what} on, which cannot be set back: the next run would start where the last one ended",
        place=place,
        hint="keep a position of your own: self.k += 1; batch = self.batches[self.k % len(self.batches)]",
    )
