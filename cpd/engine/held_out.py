"""Examples that no run trains on: split off what ``data()`` gives, or given by ``held_out()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.items import Stream
from cpd.engine.paired import Both
from cpd.engine.tree import leaves, mapped, named
from cpd.errors import CpdError, SpecError
from cpd.spec.held_out import Split

SHARE, STRATIFY = "held_out.share", "held_out.stratify"
"""The keys that an error is about."""
MOST_COMPARED = 2**24
"""Numbers in the data up to which it is seen whether an example is in both parts."""


class Parts(NamedTuple):
    """Examples in two parts that have none in common.

    Attributes:
        training: A tree of tensors in memory, a :class:`Stream`, or None.
        held_out: Likewise; None where nothing is held out.
    """

    training: Any
    held_out: Any = None


class Places(NamedTuple):
    """Where the examples of both parts stand among all, ascending."""

    training: Tensor
    held_out: Tensor


class Part:
    """Some items of a map-style dataset."""

    def __init__(self, items: Any, places: Sequence[int]) -> None:
        self.items, self.places = items, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, k: int) -> Any:
        return self.items[self.places[k]]


def split(data: Any, how: Split, place: str, like: Places | None = None) -> tuple[Parts, Places]:
    """Hold examples out; the arguments alone decide which.

    Args:
        data: As ``data()`` gave it: a tree of tensors in memory, or a :class:`Stream`.
        how: Share, seed and what keeps its shares.
        place: What gave it, for errors.
        like: How other data of this problem were split: of as many examples, the same ones are held out.

    Raises:
        CpdError: There are no examples, or they have no places.
        SpecError: One part would be empty, or what is to keep its shares is not there.
    """
    count = _count(data, place)
    found = like if like is not None and len(like.training) + len(like.held_out) == count else None
    if found is None:
        strata = [range(count)] if how.stratify is None else _strata(data, how.stratify, count)
        found = _places(strata, how, count)
    return Parts(_part(data, found.training), _part(data, found.held_out)), found


def divided(held: Parts, share: float, how: Split | None) -> tuple[Parts, Parts]:
    """Held-out examples in two: those that models are judged on, and those on which multipliers move.

    The seed and the groups are those by which they were held out, if they were.

    Args:
        held: Those of ``data()`` as training data here, and those of ``constraint_data()`` as held-out ones, or None.
        share: Of the multipliers.
        how: How they were held out; None where the problem gives them.

    Returns:
        Both, each as ``held`` is.

    Raises:
        SpecError: One of the two would be empty.
    """
    own = Split(share=share, seed=0 if how is None else how.seed, stratify=None if how is None else how.stratify)
    count = _count(held.training, "held_out()")
    if not 0 < round(share * count) < count:
        none = "to judge models on" if round(share * count) else "for the multipliers"
        message = f"a share of {share:g} of {count:,} held-out examples leaves none {none}"
        raise SpecError(message, place="train.multipliers_share", hint="take another share, or hold out more examples")
    first, places = split(held.training, own, "held_out()")
    if held.held_out is None:
        return Parts(first.training), Parts(first.held_out)
    if own.stratify is not None and not has_entry(held.held_out, own.stratify):
        own = own.model_copy(update={"stratify": None})
    second, _ = split(held.held_out, own, "held_out()", places)
    return Parts(first.training, second.training), Parts(first.held_out, second.held_out)


def has_entry(data: Any, entry: int | str) -> bool:
    """Whether data has such an entry."""
    return _entry(data.items[0] if isinstance(data, Stream) else data, entry) is not None


def check_given(held_out: Any, data: Any, place: str) -> None:
    """Check what ``held_out()`` returned against what ``data()`` did.

    Raises:
        CpdError: It is an IterableDataset, there is nothing that is trained on, or it has other entries.
    """
    if data is None:
        message, hint = "gives examples, and data() gives none", "let data() return those that are trained on"
        raise CpdError(message, place=place, hint=hint)
    if isinstance(held_out, Stream):
        if held_out.examples is None:
            message = "gives an IterableDataset, of which nobody knows the end"
            raise CpdError(message, place=place, hint="return tensors, or a Dataset with __len__ and __getitem__")
        return
    if not isinstance(data, Stream):
        ours, theirs = ([name for name, _ in named(tree)] for tree in (data, held_out))
        if ours != theirs:
            message = f"gives {', '.join(theirs)}, and data() gives {', '.join(ours)}"
            raise CpdError(message, place=place, hint="return examples of the shape of data()'s")


def shared_examples(training: Any, held_out: Any) -> int:
    """How many held-out examples are equal to examples that are trained on; 0 where that is not looked at."""
    if held_out is None or any(isinstance(part, Stream) for part in (training, held_out)):
        return 0
    ours, theirs = leaves(training), leaves(held_out)
    if sum(t.numel() for t in ours) > MOST_COMPARED or [t.shape[1:] for t in ours] != [t.shape[1:] for t in theirs]:
        return 0
    known = set(_rows(ours))
    return sum(row in known for row in _rows(theirs))


def examples_in(data: Any) -> int | None:
    """How many examples there are; None where nobody knows before they are read, or there are no data."""
    if isinstance(data, Both):
        data = data.batch
    if isinstance(data, Stream):
        return None if data.batched else data.examples
    return None if data is None else len(leaves(data)[0])


def _count(data: Any, place: str) -> int:
    if data is None:
        message = "gives no data, of which nothing can be held out"
        raise CpdError(message, place=place, hint="leave held_out out, or write held_out(self) in the problem")
    if not isinstance(data, Stream):
        return len(leaves(data)[0])
    if data.examples is None:
        message = "gives an IterableDataset, whose items have no places by which some are held out"
        hint = "write held_out(self) in the problem, which returns a Dataset of examples of its own"
        raise CpdError(message, place=place, hint=hint)
    return data.examples


def _places(strata: Sequence[Sequence[int]], how: Split, count: int) -> Places:
    """Of each stratum its share, rounded so that they sum to that of all; which ones, the seed decides."""
    wanted = round(how.share * count)
    if not 0 < wanted < count:
        part, rest = ("none", "held out") if not wanted else ("all", "held out, and none is left to train on")
        message = f"a share of {how.share:g} of {count:,} examples is {part}: {rest if wanted else 'nothing ' + rest}"
        raise SpecError(message, place=SHARE, hint="take another share, or more examples")
    exact = [how.share * len(stratum) for stratum in strata]
    takes = [int(size) for size in exact]
    by_rest = sorted(range(len(strata)), key=lambda k: (takes[k] - exact[k], k))
    for k in by_rest[: max(0, wanted - sum(takes))]:
        takes[k] += 1
    generator = torch.Generator().manual_seed(how.seed)
    held = torch.zeros(count, dtype=torch.bool)
    for stratum, number in zip(strata, takes, strict=True):
        places = torch.as_tensor(stratum)
        held[places[torch.randperm(len(places), generator=generator)[:number]]] = True
    return Places((~held).nonzero().squeeze(1), held.nonzero().squeeze(1))


def _part(data: Any, places: Tensor) -> Any:
    if not isinstance(data, Stream):
        return mapped(lambda t: t[places.to(t.device)], data)
    numbers = places.tolist()
    items = [data.items[k] for k in numbers] if isinstance(data.items, list) else Part(data.items, numbers)
    return replace(data, items=items, examples=len(numbers))


def _strata(data: Any, entry: int | str, count: int) -> list[list[int]]:
    """The places of the examples by the value of an entry, in the order in which the values come."""
    values = _values(data, entry, count)
    strata: dict[str, list[int]] = {}
    for k, value in enumerate(values):
        strata.setdefault(value, []).append(k)
    if len(strata) > count / 2:
        message = f"entry {entry} of the data has {len(strata):,} values in {count:,} examples: no groups"
        raise SpecError(message, place=STRATIFY, hint="name an entry that holds classes or groups")
    return list(strata.values())


def _values(data: Any, entry: int | str, count: int) -> list[str]:
    """An entry's value in each example, as a text; the items of a stream are read for it, once."""
    if not isinstance(data, Stream):
        found = _entry(data, entry)
        if not isinstance(found, Tensor):
            raise _no_entry(data, entry)
        return [repr(value) for value in found.tolist()]
    values = []
    with data.aside():
        for k in range(count):
            item = data.items[k]
            found = _entry(item, entry)
            if found is None:
                raise _no_entry(item, entry)
            values.append(repr(found.tolist() if hasattr(found, "tolist") else found))
    data.set_back()
    return values


def _entry(tree: Any, entry: int | str) -> Any:
    """The entry of a tuple, a list or a dictionary by its number or name, or of those in it as ``meta.label``."""
    if isinstance(tree, Mapping) and entry in tree:
        return tree[entry]
    if isinstance(entry, int):
        parts = list(tree.values()) if isinstance(tree, Mapping) else tree
        return parts[entry] if isinstance(parts, tuple | list) and entry < len(parts) else None
    if hasattr(tree, "_fields") and entry in tree._fields:
        return getattr(tree, entry)
    first, dot, rest = entry.partition(".")
    inner = _entry(tree, int(first) if first.isdigit() else first) if dot else None
    return None if inner is None else _entry(inner, int(rest) if rest.isdigit() else rest)


def _no_entry(tree: Any, entry: int | str) -> SpecError:
    names = ", ".join(name for name, _ in named(tree))
    return SpecError(f"the data has no entry {entry}", place=STRATIFY, hint=f"it has: {names.replace('/', '.')}")


def _rows(tensors: Sequence[Tensor]) -> list[bytes]:
    """Each example's numbers as bytes."""
    flat = [t.detach().cpu().contiguous().reshape(len(t), -1) for t in tensors]
    arrays = [(torch.view_as_real(t).reshape(len(t), -1) if t.is_complex() else t).numpy() for t in flat]
    return [b"".join(array[k].tobytes() for array in arrays) for k in range(len(flat[0]))]
