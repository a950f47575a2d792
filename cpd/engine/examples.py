"""What ``data()`` returns, as a tree of tensors in memory or a stream: tensors, arrays, lists of numbers, Datasets."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from cpd.engine.datasets import Asked, are_items, is_dataset, read_dataset
from cpd.engine.items import Collate, Stream, placed
from cpd.engine.tree import leaves, mapped, of_its_kind
from cpd.errors import CpdError

HINT = "return tensors in a tuple, a list or a dict, a torch Dataset, or None"


def as_tensors(raw: Any, place: str, notes: list[str], collate: Collate | None = None) -> Any:
    """Read what a problem returned: a tree of tensors in memory, a :class:`Stream` of items, or None.

    Args:
        raw: As ``data()`` returned it.
        place: Named in errors.
        notes: What the user should know is added.
        collate: The problem's own, or None.

    Raises:
        CpdError: It holds something that is no tensor, or not the same number of examples everywhere.
    """
    if raw is None:
        return None
    if is_dataset(raw) or are_items(raw) or (collate is not None and isinstance(raw, list)):
        raw = read_dataset(raw, Asked(place, collate, notes))
    elif collate is not None:
        raise CpdError(f"returned {_kind(raw)}, and collate() takes items", place=place, hint="return a list of items")
    if isinstance(raw, Stream):
        return raw
    if isinstance(raw, Tensor) or _is_array(raw) or _are_numbers(raw):
        raw = (raw,)
    if not isinstance(raw, tuple | list | Mapping) or not raw:
        raise CpdError(f"returned {_kind(raw)}", place=place, hint=_fix(raw))
    tree = _tree(raw, (), place, _examples(raw))
    _check_sizes(tree, place)
    return tree


def _check_sizes(tree: Any, place: str) -> None:
    sizes = [tuple(t.shape) for t in leaves(tree)]
    if any(not shape for shape in sizes) or len({shape[0] for shape in sizes}) != 1 or sizes[0][0] == 0:
        raise CpdError(
            f"tensors of shapes {', '.join(map(str, sizes))} do not hold the same number of examples",
            place=place,
            hint="the first dimension of each is the examples",
        )


def _tree(entry: Any, path: tuple[Any, ...], place: str, count: int | None) -> Any:
    """The tree of tensors that was returned, in its own containers, but for lists of numbers and of examples."""
    if isinstance(entry, Mapping) and entry:
        return of_its_kind(entry, {key: _tree(each, (*path, key), place, count) for key, each in entry.items()})
    if isinstance(entry, tuple | list) and not (path and _is_one(entry, count)):
        parts = [_tree(each, (*path, k), place, count) for k, each in enumerate(entry, start=1)]
        return type(entry)._make(parts) if hasattr(entry, "_make") else type(entry)(parts)
    return _tensor(entry, path, place)


def _is_one(entry: Any, count: int | None) -> bool:
    """Whether a list or a tuple is one entry, example by example; otherwise each of its parts is an entry."""
    if not all(isinstance(part, Tensor) or _is_array(part) for part in entry) or hasattr(entry, "_fields"):
        return not any(_holds_tensors(part) for part in entry)
    shapes = {tuple(part.shape) for part in entry}
    if len(shapes) != 1 or shapes == {()}:
        return shapes == {()} or len({shape[:1] for shape in shapes}) != 1
    leading = shapes.pop()[0]
    as_examples, as_entries = count in (None, len(entry)), count in (None, leading)
    return as_examples and not (as_entries and isinstance(entry, tuple))


def _holds_tensors(part: Any) -> bool:
    if isinstance(part, tuple | list):
        return any(_holds_tensors(each) for each in part)
    return isinstance(part, Tensor | Mapping) or (_is_array(part) and part.ndim > 0)


def _examples(raw: Any) -> int | None:
    """How many examples there are by what can be read in one way alone; None where nothing can, or it differs."""
    counts = set(_counts(raw, inside=False))
    return counts.pop() if len(counts) == 1 else None


def _counts(entry: Any, *, inside: bool) -> Iterator[int]:
    if isinstance(entry, Mapping):
        for each in entry.values():
            yield from _counts(each, inside=True)
    elif isinstance(entry, Tensor) or _is_array(entry):
        yield from entry.shape[:1]
    elif isinstance(entry, tuple | list):
        tensors = all(isinstance(part, Tensor) or _is_array(part) for part in entry)
        if inside and (_are_numbers(entry) or (tensors and all(not part.shape for part in entry))):
            yield len(entry)
        elif not (inside and tensors):
            for each in entry:
                yield from _counts(each, inside=True)


def _tensor(entry: Any, path: tuple[Any, ...], place: str) -> Tensor:
    """One entry: numpy's integers become int64, as torch indexes and classifies by."""
    if isinstance(entry, Tensor):
        return entry
    if isinstance(entry, list | tuple) and entry and all(isinstance(each, Tensor) for each in entry):
        return torch.stack(tuple(entry)) if len({t.shape for t in entry}) == 1 else _refused(entry, path, place)
    if _is_array(entry) or isinstance(entry, list | tuple):
        import numpy as np

        try:
            array = np.asarray(entry)
        except ValueError:  # rows of several lengths
            return _refused(entry, path, place)
        pixels = array.dtype == np.uint8 and array.ndim > 1
        if array.dtype.kind in "iu" and not pixels:
            return torch.from_numpy(array.astype(np.int64))
        if array.dtype.kind in "bfcu":
            # A copy where torch could not write to it, or reads only its own order of bytes.
            return torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))
    return _refused(entry, path, place)


def _refused(entry: Any, path: tuple[Any, ...], place: str) -> Tensor:
    where = ", ".join(repr(part) for part in path)
    raise CpdError(f"entry {where} is {_kind(entry)}", place=place, hint=_fix(entry))


def _is_array(value: Any) -> bool:
    """Whether a value is numpy's; pandas' frames, whose columns have types of their own, are not taken."""
    return type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "dtype")


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, numbers.Number) for each in value)


def _kind(value: Any) -> str:
    name = type(value).__name__
    if _is_array(value):
        return f"an array of {value.dtype}"
    inner: Iterable[Any] = itertools.islice(value, 1) if isinstance(value, list | tuple) else ()
    of = next((f" of {type(each).__name__}" for each in inner), "")
    article = "an" if name[:1].lower() in "aeiou" else "a"
    return f"{article} {name}{of}"


def _fix(value: Any) -> str:
    """The fix: what is on the way from a table of pandas' or polars' to numbers."""
    return "write torch.tensor(TABLE.to_numpy())" if hasattr(value, "to_numpy") else HINT


def on_device(data: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """The same on a device, floats in the run's precision and complex numbers in pairs of it."""
    if data is None:
        return None
    if isinstance(data, Stream):
        return data.to(device, dtype)
    return mapped(lambda tensor: placed(tensor, device, dtype), data)
