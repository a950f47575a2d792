"""Examples that a user gives to judge models on: tensors, a Dataset, a function, or a name in a file."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cpd.engine.datasets import collate_of
from cpd.engine.examples import as_tensors
from cpd.engine.generators import HELD_OUT_SEED, seed_all
from cpd.engine.items import Stream
from cpd.engine.loading import ProblemRaised, module_of
from cpd.engine.streams import minibatches
from cpd.engine.tracebacks import ItemRaised
from cpd.engine.tree import leaves, named
from cpd.errors import CpdError, SpecError, closest
from cpd.problem import Problem
from cpd.spec.models import ProblemSource

HINT = "return examples as data() does: tensors, or a Dataset"


def value_of(source: ProblemSource, place: str) -> Any:
    """What a name in a file or a module stands for.

    Args:
        source: Of the file.
        place: Named in errors.

    Raises:
        CpdError: The file cannot be imported, or has no such name.
    """
    module, _, name = source.target.rpartition(":")
    try:
        found = module_of(source, module)
    except SpecError as error:
        raise CpdError(error.message, place=place, hint=error.hint) from error
    if not hasattr(found, name):
        hint = closest(name, [n for n in vars(found) if not n.startswith("_")])
        raise CpdError(f"no function '{name}' in '{module}'", place=place, hint=hint)
    return getattr(found, name)


def read_examples(given: Any, problem: Problem, called: str, place: str, notes: list[str]) -> Any:
    """Read examples: a tree of tensors in memory, or a :class:`Stream`.

    Args:
        given: Tensors in tuples, lists and dictionaries, arrays, a Dataset, or a function of no arguments that returns
            such.
        problem: Its ``collate`` makes batches of items.
        called: What the examples are called, for errors.
        place: Likewise.
        notes: What the user should know is added.

    Raises:
        CpdError: There are none, or they have no end.
        ProblemRaised: The function does, or reading an item.
    """
    seed_all(HELD_OUT_SEED)
    try:
        raw = _called(given, called, place) if _is_function(given) else given
        if raw is None or _is_empty(raw):
            raise CpdError(f"{called} gives no examples", place=place, hint=HINT)
        found = as_tensors(raw, called, notes, collate_of(problem))
    except (CpdError, ItemRaised) as error:
        raise _placed(error, called, place) from error
    except Exception as error:
        raise ProblemRaised(called, error, place=place) from error
    if isinstance(found, Stream) and found.examples is None:
        raise CpdError(f"{called} gives an IterableDataset, of which nobody knows the end", place=place, hint=HINT)
    return found


def check_like(found: Any, data: Any, called: str, place: str) -> None:
    """Check examples against those that are trained on.

    Raises:
        CpdError: Nothing is trained on examples, or they have other entries, or entries of another dimension.
    """
    if data is None:
        message, hint = "the problem has no data: data() gives none", "there is nothing that other examples could be of"
        raise CpdError(message, place=place, hint=hint)
    if isinstance(found, Stream) or isinstance(data, Stream):
        return
    ours, theirs = (dict(sorted(named(tree))) for tree in (data, found))
    hint = "give examples of the shape of data()'s"
    if ours.keys() != theirs.keys():
        message = f"{called} gives {_listed(theirs)}, and data() gives {_listed(ours)}"
        raise CpdError(message, place=place, hint=hint)
    for name, tensor in ours.items():
        if theirs[name].dim() != tensor.dim():
            raise CpdError(difference(found, data, called) or "", place=place, hint=hint)


def difference(found: Any, data: Any, called: str) -> str | None:
    """In what entry examples differ from those that are trained on, in words; None where in none that is seen."""
    if isinstance(found, Stream) or isinstance(data, Stream):
        return None
    theirs = dict(named(found))
    for name, tensor in named(data):
        own = theirs[name]
        if own.shape[1:] != tensor.shape[1:] or own.dtype != tensor.dtype:
            entry = f"entry {name.replace('/', '.')} as " if len(theirs) > 1 else ""
            return f"{called} gives {entry}{_shape(own)}, and data() gives {_shape(tensor)}"
    return None


def digest_of(found: Any, batch_size: int | None) -> str:
    """SHA-256 of examples, in hexadecimal: of their entries' names, types, shapes and numbers.

    Args:
        found: As they are measured on.
        batch_size: Of a stream, which is read once for it.
    """
    hashed = hashlib.sha256()
    if isinstance(found, Stream):
        for _, batch in minibatches(found, batch_size, 0).judged(None):
            _hash(hashed, batch)
    else:
        _hash(hashed, found)
    return hashed.hexdigest()


def _hash(hashed: Any, tree: Any) -> None:
    for name, leaf in named(tree):
        if isinstance(leaf, Tensor):
            hashed.update(f"{name} {leaf.dtype} {list(leaf.shape)}\n".encode())
            flat = leaf.detach().cpu().contiguous().reshape(-1)
            hashed.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
        else:
            hashed.update(f"{name} {leaf!r}\n".encode())


def _is_function(given: Any) -> bool:
    """Whether something is to be called for its examples: a function, or the class of a Dataset."""
    return callable(given) and not isinstance(given, (Tensor, Dataset, DataLoader, nn.Module, Mapping, list, tuple))


def _called(given: Any, called: str, place: str) -> Any:
    """What a function returns.

    Raises:
        CpdError: It takes arguments.
    """
    try:
        parameters = inspect.signature(given).parameters.values()
    except (TypeError, ValueError):
        return given()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]
    if needed:
        message = f"{called} takes {', '.join(needed)}, and is called without arguments"
        raise CpdError(message, place=place, hint="give them defaults, or write a function that needs none")
    return given()


def _is_empty(raw: Any) -> bool:
    """Whether there is no example, of whatever kind."""
    if isinstance(raw, Tensor | list | tuple | Mapping | Dataset) and hasattr(raw, "__len__") and not len(raw):
        return not (isinstance(raw, Tensor) and not raw.dim())
    if isinstance(raw, list | tuple | Mapping):
        parts = [leaf for leaf in leaves(raw) if hasattr(leaf, "shape")]
        return bool(parts) and all(len(leaf.shape) and not leaf.shape[0] for leaf in parts)
    return hasattr(raw, "shape") and len(raw.shape) > 0 and not raw.shape[0]


def _placed(error: CpdError | ItemRaised, called: str, place: str) -> CpdError:
    """The same error at what gave the examples."""
    if isinstance(error, ItemRaised):
        return ProblemRaised(error.what, error.text, place=place)
    if isinstance(error, ProblemRaised) or error.place == place:
        return error
    return CpdError(f"{called} {error.message}", place=place, hint=error.hint)


def _listed(entries: Mapping[str, Tensor]) -> str:
    return ", ".join(name.replace("/", ".") or "one tensor" for name in entries)


def _shape(tensor: Tensor) -> str:
    """``float64 [3]``: the type and the shape of one example."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape[1:])}"
