"""A problem's own module with weights that were kept: made as a training makes it, filled, in evaluation mode."""

from __future__ import annotations

import copy
import io
import tokenize
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cpd.engine.batch import Batch
from cpd.engine.bound import named_tensors
from cpd.engine.generators import DATA_SEED, kept_random, seed_all
from cpd.engine.importing import from_disk, in_use_again
from cpd.engine.lazy import is_lazy
from cpd.engine.loading import ProblemRaised, load_problem
from cpd.engine.preparing import DTYPES, Builder, placed
from cpd.engine.python_state import PythonState
from cpd.engine.surroundings import untouched
from cpd.errors import CpdError, SpecError
from cpd.problem import Problem
from cpd.spec.held_out import Split
from cpd.spec.local_modules import local_modules
from cpd.spec.models import ProblemSource, Train

CPU = torch.device("cpu")


def module_of(
    source: ProblemSource,
    train: Train,
    seed: int,
    tensors: Mapping[str, Tensor],
    *,
    held_out: Split | None = None,
    place: str = "these weights",
) -> nn.Module:
    """A problem's module with given weights, on the CPU, in evaluation mode; it is the caller's own.

    It is made as a run's is: generators seeded as before ``data()`` and ``model()``, shapes of lazy modules taken from
    a minibatch, numbers in the recipe's dtype. What the caller draws next is what it would have drawn.

    Args:
        source: The problem, with the run's arguments; its text counts, not what its file has by now.
        train: The run's recipe.
        seed: The run's.
        tensors: By the names of the module's ``state_dict``, all of them.
        held_out: Which part of ``data()`` no run trains on.
        place: Where the weights are from, for errors.

    Raises:
        CpdError: They are of another problem, or the problem cannot be loaded.
        ProblemRaised: ``model()`` raised.
    """
    with in_use_again(), kept_random(CPU):
        model = _made(Batch(source, {}, train, (), held_out=held_out, loader_workers=0), seed)
        if changed := _changed(source, used=True):
            warnings.warn(f"{place}: {changed} changed since it was trained, and is used as it is now", stacklevel=2)
    fill(model, tensors, place, source)
    return model.eval()


def state_dict_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """A ``state_dict`` as ``torch.load(..., weights_only=True)`` reads it."""
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer)
    return buffer.getvalue()


def _made(batch: Batch, seed: int) -> nn.Module:
    """The module of a seed, in training mode; the problem is left as it was."""
    try:
        builder = Builder(batch)
    except (ProblemRaised, SpecError) as error:
        return _without_minibatches(batch, seed, error)
    with untouched(CPU, builder.problem, None):
        return _own(builder.problem, builder.model(seed))


def _without_minibatches(batch: Batch, seed: int, error: CpdError) -> nn.Module:
    """The module where ``data()`` raises, as where a model is shipped and its data are not, or nobody knows the recipe.

    Raises:
        CpdError: The model needs its data.
    """
    seed_all(DATA_SEED)
    problem = load_problem(batch.problem)
    with untouched(CPU, problem, None):
        seed_all(seed)
        try:
            model = placed(problem.model(), CPU, DTYPES[batch.train.dtype])
        except Exception:
            raise error from None
        if is_lazy(model):
            raise error
        if error.place != "train.batch_size":  # which is checked when the problem has its data
            warnings.warn(f"{error}: the model was made without its data", stacklevel=4)
        return _own(problem, model)


def _own(problem: Problem, model: nn.Module) -> nn.Module:
    """The module, or a copy of one that the problem keeps: the next training would change its numbers."""
    kept = {id(leaf) for part in PythonState(problem).parts.values() for _, leaf in part.leaves("")}
    return copy.deepcopy(model) if any(id(t) in kept for t in named_tensors(model).values()) else model


def fill(model: nn.Module, tensors: Mapping[str, Tensor], place: str, source: ProblemSource) -> None:
    """Give a module these weights, whose names, shapes and types are to be its own.

    Raises:
        CpdError: They are not.
    """
    state = model.state_dict()
    own = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    differs = next((said for name in [*own, *tensors] if (said := _difference(name, own, tensors))), None)
    if differs is None:
        state.update(tensors)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            differs = str(error).strip().splitlines()[-1].strip()
    if differs is not None:
        changed = _changed(source)
        hint = f"{changed} changed since" if changed else "load it with the problem that it was trained with"
        raise CpdError(f"is of another problem than {source.target}: {differs}", place=place, hint=hint)


def _difference(name: str, own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    if name not in found:
        return f"it has no '{name}'"
    if name not in own:
        return f"it has '{name}', the problem's model has not"
    ours, theirs = own[name], found[name]
    if ours.shape != theirs.shape:
        return f"'{name}' is {list(theirs.shape)}, in the problem's model {list(ours.shape)}"
    if ours.dtype != theirs.dtype:
        kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in (theirs, ours)]
        return f"'{name}' is {kinds[0]}, in the problem's model {kinds[1]}"
    return None


def _changed(source: ProblemSource, *, used: bool = False) -> str:
    """Files of a problem that are not as they were when it was trained; only those that are ``used`` as they are now.

    Its own text and that of modules beside it travelled with the sweep.
    """
    now = local_modules(source.source, source.package, source.folders)
    names = [path for path, text in source.modules.items() if now.get(path, text) != text]
    if used:
        return _listed([name for name in names if from_disk(source, name)])
    return _listed([*([Path(source.path).name] if source.path and _edited(source) else []), *names])


def _edited(source: ProblemSource) -> bool:
    """Whether the problem's file is there, with another text."""
    try:
        with tokenize.open(str(source.path)) as file:
            return file.read() != source.source
    except FileNotFoundError:
        return False
    except (OSError, SyntaxError, UnicodeDecodeError):
        return True


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
