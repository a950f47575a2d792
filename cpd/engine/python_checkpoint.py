"""What user code keeps in Python, as plain values for a checkpoint, and back."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpd.engine.generators import RandomState
from cpd.engine.kept import generator_words, set_generator
from cpd.engine.python_state import PythonState
from cpd.engine.spaces import is_foreign
from cpd.engine.steppers.torch_private import is_batched

MOST_NUMBERS = 2**17
"""Numbers of a tensor or an array that a checkpoint holds of Python's state."""
_SEQUENCES: dict[str, Callable[..., Any]] = {"list": list, "tuple": tuple, "set": set, "deque": deque}


class CannotKeep(ValueError):
    """What user code keeps in Python cannot be written into a checkpoint.

    Args:
        name: Where it is.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"evaluate() changes {name}, which a checkpoint cannot hold")


def written_state(state: PythonState) -> list[list[Any]]:
    """What has changed since, as plain values: ``[part, key, value]`` each, without a value where it is gone.

    Raises:
        CannotKeep: Some of it is no plain value.
    """
    known = state.objects()  # a resumed training has these too, and what they hold goes into them
    return [
        [part, key, *([] if gone else [_written(value, f"{part}.{key}", known)])]
        for part, key, value, gone in state.changed_items()
    ]


def resume_state(state: PythonState, written: list[list[Any]]) -> None:
    """Let what user code keeps in Python be as :func:`written_state` found it; it stands as ``state`` was taken."""
    for part, key, *value in written:
        space = state.space(part)
        if value:
            space.put(key, _read(value[0], dict(space.items()).get(key)))
        else:
            space.delete(key)


def written_random(random_state: RandomState) -> dict[str, Any]:
    """The generators of Python and NumPy as plain values; torch's are tensors."""
    return {"python": _written(random_state.python, "random"), "numpy": _written(random_state.numpy, "numpy.random")}


def read_random(written: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`written_random` gave, as the generators take it."""
    return {name: _read(value, None) for name, value in written.items()}


def _written(value: Any, name: str, known: Collection[int] = ()) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
        return {"generator": _written(generator_words(value), name)}
    for word, kind in _SEQUENCES.items():
        if type(value) is kind:
            return {word: [_written(item, name, known) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_written(k, name), _written(v, name, known)] for k, v in value.items()]}
    if isinstance(value, Tensor) and not is_batched(value) and value.numel() <= MOST_NUMBERS:
        plain = value.detach().cpu()
        return {"tensor": plain.tolist(), "dtype": str(plain.dtype).removeprefix("torch."), "shape": list(plain.shape)}
    if isinstance(value, np.ndarray | np.generic) and value.size <= MOST_NUMBERS and value.dtype.kind in "biuf":
        return {"array": value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape)}
    if hasattr(value, "__dict__") and not is_foreign(type(value)) and id(value) in known:
        return {"object": [[k, _written(v, f"{name}.{k}", known)] for k, v in vars(value).items()]}
    raise CannotKeep(name)


def _read(written: Any, now: Any) -> Any:
    """A value from its plain form; ``now`` is what stands in its place, which generators and objects stay."""
    if not isinstance(written, dict):
        return written
    (word, content), *_ = written.items()
    if word in _SEQUENCES:
        return _SEQUENCES[word](_read(item, None) for item in content)
    if word == "dict":
        return {_read(k, None): _read(v, None) for k, v in content}
    if word == "generator":
        set_generator(now, _read(content, None))
        return now
    if word == "object":
        for key, value in content:
            setattr(now, key, _read(value, getattr(now, key, None)))
        return now
    if word == "tensor":
        dtype = getattr(torch, written["dtype"])
        read = torch.tensor(content, dtype=dtype).reshape(written["shape"])
        return read.to(now.device) if isinstance(now, Tensor) else read
    return np.array(content, dtype=written["dtype"]).reshape(written["shape"])
