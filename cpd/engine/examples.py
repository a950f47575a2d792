"""What ``data()`` returns, as tensors in memory: tensors, numpy's arrays, lists of numbers, a torch Dataset."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset, default_collate

from cpd.errors import CpdError

HINT = "return a tuple of tensors, a torch Dataset, or None"

LOOKED_AT = 16
"""Examples of a Dataset that are read a second time, to see whether they are the same."""

RANDOM = (
    "the Dataset of data() gives other values each time it is read, and is read once: a random transform in it is "
    "frozen; draw it in evaluate()"
)


def as_tensors(raw: Any, place: str, notes: list[str]) -> tuple[Tensor, ...] | None:
    """Read what a problem returned into memory.

    Args:
        raw: As ``data()`` returned it.
        place: Named in errors.
        notes: What the user should know is added.

    Raises:
        CpdError: It holds something that is no tensor, or not the same number of examples everywhere.
    """
    if raw is None:
        return None
    if isinstance(raw, Dataset):
        raw = _read_dataset(raw, place, notes)
    if isinstance(raw, Tensor) or _is_array(raw) or _are_numbers(raw):
        raw = (raw,)
    if not isinstance(raw, tuple | list) or not raw:
        raise CpdError(f"returned {_kind(raw)}", place=place, hint=_fix(raw))
    tensors = tuple(_tensor(entry, number, place) for number, entry in enumerate(raw, start=1))
    sizes = [tuple(t.shape) for t in tensors]
    if any(not shape for shape in sizes) or len({shape[0] for shape in sizes}) != 1 or sizes[0][0] == 0:
        raise CpdError(
            f"tensors of shapes {', '.join(map(str, sizes))} do not hold the same number of examples",
            place=place,
            hint="the first dimension of each is the examples",
        )
    return tensors


def _tensor(entry: Any, number: int, place: str) -> Tensor:
    """An entry of the tuple: numpy's integers become int64, as torch indexes and classifies by."""
    if isinstance(entry, Tensor):
        return entry
    if isinstance(entry, list | tuple) and entry and all(isinstance(each, Tensor) for each in entry):
        return torch.stack(tuple(entry)) if len({t.shape for t in entry}) == 1 else _refused(entry, number, place)
    if _is_array(entry) or isinstance(entry, list | tuple):
        import numpy as np

        try:
            array = np.asarray(entry)
        except ValueError:  # rows of several lengths
            return _refused(entry, number, place)
        pixels = array.dtype == np.uint8 and array.ndim > 1
        if array.dtype.kind in "iu" and not pixels:
            return torch.from_numpy(array.astype(np.int64))
        if array.dtype.kind in "bfcu":
            # A copy where torch could not write to it, or reads only its own order of bytes.
            return torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))
    return _refused(entry, number, place)


def _refused(entry: Any, number: int, place: str) -> Tensor:
    raise CpdError(f"entry {number} is {_kind(entry)}", place=place, hint=_fix(entry))


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


def _read_dataset(dataset: Any, place: str, notes: list[str]) -> tuple[Any, ...]:
    """Read a map-style dataset into memory: workers and fused runs index tensors, they start no loader processes."""
    if isinstance(dataset, TensorDataset):
        return tuple(dataset.tensors)
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise CpdError(
            "an iterable Dataset has no length and no order",
            place=place,
            hint="return a map-style Dataset or a tuple of tensors",
        )
    count = len(dataset)
    if count == 0:
        raise CpdError("the Dataset is empty", place=place, hint="it needs at least one example")
    _check_memory(_entries([dataset[0]]), count, place)
    read = _entries([dataset[k] for k in range(count)])
    some = sorted({round(k * (count - 1) / (LOOKED_AT - 1)) for k in range(LOOKED_AT)})
    if not _same(_entries([dataset[k] for k in some]), read, some):
        notes.append(RANDOM)
    return read


def _entries(examples: Sequence[Any]) -> tuple[Any, ...]:
    read = default_collate(list(examples))
    return tuple(read) if isinstance(read, tuple | list) else (read,)


def _same(again: Sequence[Any], read: Sequence[Any], places: Sequence[int]) -> bool:
    """Whether these examples are those that were read at their places."""
    pairs = [(a, r[list(places)]) for a, r in zip(again, read, strict=True) if isinstance(r, Tensor)]
    return all(a.shape == r.shape and bool(torch.isclose(a, r, rtol=0, atol=0, equal_nan=True).all()) for a, r in pairs)


def _check_memory(first: Sequence[Any], count: int, place: str) -> None:
    size = sum(t.element_size() * t.numel() for t in first if isinstance(t, Tensor)) * count
    free = _free_memory()
    if size > free / 2:
        raise CpdError(
            f"the Dataset needs {size / 2**30:.1f} GiB in memory and {free / 2**30:.1f} GiB are free",
            place=place,
            hint="return fewer or smaller examples (e.g. uint8 images, cast in evaluate)",
        )


def _free_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 2**34
    kib = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 2**24)
    return kib * 1024


def on_device(data: tuple[Tensor, ...] | None, device: torch.device, dtype: torch.dtype) -> Any:
    """The same on a device, floats in the run's precision."""
    if data is None:
        return None
    return tuple(t.to(device, dtype if t.is_floating_point() else None) for t in data)
