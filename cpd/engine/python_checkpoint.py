"""What user code keeps in Python, as plain values for a checkpoint, and back."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpd.engine.generators import RandomState
from cpd.engine.kept import Kept, Names, Sequence, generator_words, set_generator
from cpd.engine.python_state import PythonState
from cpd.engine.spaces import space_of
from cpd.engine.steppers.torch_private import is_batched

MOST_NUMBERS = 2**17
"""Numbers of a tensor or an array that a checkpoint holds of Python's state."""
_SEQUENCES: dict[str, Callable[..., Any]] = {"list": list, "tuple": tuple, "set": set, "deque": deque}
_MAPPINGS: dict[str, Callable[..., Any]] = {"dict": dict, "Counter": Counter, "OrderedDict": OrderedDict}


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
    return [
        [part, key, *([] if gone else [_written(value, f"{part}.{key}", state.stood(part, key))])]
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
    python, numpy = _written(random_state.python, "random", None), _written(random_state.numpy, "numpy.random", None)
    return {"python": python, "numpy": numpy}


def read_random(written: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`written_random` gave, as the generators take it."""
    return {name: _read(value, None) for name, value in written.items()}


def _written(value: Any, name: str, stood: Kept | None) -> Any:
    """A value as plain ones; what stays the object that it is must have stood there when the training began."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor) and not is_batched(value) and value.numel() <= MOST_NUMBERS and _is_real(value):
        plain = value.detach().cpu()
        return {"tensor": plain.tolist(), "dtype": str(plain.dtype).removeprefix("torch."), "shape": list(plain.shape)}
    if isinstance(value, np.ndarray | np.generic) and value.size <= MOST_NUMBERS and value.dtype.kind in "biuf":
        word = "array" if isinstance(value, np.ndarray) else "number"
        return {word: value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape)}
    for word, kind in _SEQUENCES.items():
        if type(value) is kind:
            items = zip(value, _items(value, stood), strict=True)
            written = {word: [_written(item, name, inner) for item, inner in items]}
            return written | ({"most": value.maxlen} if isinstance(value, deque) else {})
    for word, kind in _MAPPINGS.items():
        if type(value) is kind and not any(isinstance(key, Tensor) for key in value):
            inner = stood.items if isinstance(stood, Names) else {}
            return {word: [[_written(k, name, None), _written(v, name, inner.get(k))] for k, v in value.items()]}
    if stood is None or stood.value is not value:
        raise CannotKeep(name)
    if isinstance(value, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
        return {"generator": _written(generator_words(value), name, None)}
    if isinstance(stood, Names) and type(value).__module__.partition(".")[0] not in ("torch", "numpy"):
        now = dict(stood.space.items())
        if now.keys() >= stood.items.keys() and not any(str(key).startswith("default ") for key in now):
            return {"object": [[k, _written(v, f"{name}.{k}", stood.items.get(k))] for k, v in now.items()]}
    raise CannotKeep(name)


def _is_real(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_complex() and type(tensor) is Tensor


def _items(value: Any, stood: Kept | None) -> list[Kept | None]:
    """What stood in the places of a sequence's items."""
    before: list[Kept | None] = list(stood.items) if isinstance(stood, Sequence) else []
    return (before + [None] * len(value))[: len(value)]


def _read(written: Any, now: Any) -> Any:
    """A value from its plain form; ``now`` is what stands in its place, which generators and objects stay."""
    if not isinstance(written, dict):
        return written
    (word, content), *_ = written.items()
    if word in _SEQUENCES:
        there = list(now) if isinstance(now, list | tuple | deque) else []
        items = (_read(item, there[k] if k < len(there) else None) for k, item in enumerate(content))
        return deque(items, written["most"]) if word == "deque" else _SEQUENCES[word](items)
    if word in _MAPPINGS:
        named = now if isinstance(now, dict) else {}
        read = ((_read(k, None), v) for k, v in content)
        return _MAPPINGS[word]({k: _read(v, named.get(k)) for k, v in read})
    if word == "generator":
        set_generator(now, _read(content, None))
        return now
    if word == "object":
        space = space_of(now)
        named = dict(space.items())
        for key, value in content:
            made = _read(value, named.get(key))
            if made is not named.get(key):
                space.put(key, made)
        return now
    if word == "tensor":
        dtype = getattr(torch, written["dtype"])
        made = torch.tensor(content, dtype=dtype).reshape(written["shape"])
        return made.to(now.device) if isinstance(now, Tensor) else made
    array = np.array(content, dtype=written["dtype"]).reshape(written["shape"])
    return array if word == "array" else array[()]
