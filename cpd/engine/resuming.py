"""What a training needs to go on bit by bit: everything that its steps change, as tensors and plain numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cpd.engine.stacked import RandomState
from cpd.engine.step import State

if TYPE_CHECKING:
    from cpd.engine.training import Training


def checkpoint(training: Training) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything that a training needs to go on bit by bit: tensors by name, and plain numbers."""
    random = RandomState.now(training.step.levels.device)
    order, taken = training.prepared.batches.state()
    tensors = {"random.cpu": random.cpu, "order": order}
    for place, part in enumerate([*training.left, training]):
        tensors |= {f"{place}.{name}": tensor for name, tensor in _tensors(part)}
    if random.cuda is not None:
        tensors["random.cuda"] = random.cuda
    kept = {n: sorted(s) for n, s in training.state.optimizer.items()}
    return tensors, {
        "done": training.done,
        "seconds": training.seconds,
        "taken": taken,
        "optimizer": kept,
        "engine": training.engine,
        "splits": training.splits,
    }


def resume(training: Training, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Go on where :func:`checkpoint` was taken."""
    device = training.step.levels.device
    for stay in meta["splits"]:
        training.split(stay)
    for place, part in enumerate([*training.left, training]):
        prefix = f"{place}."
        _fill(part, {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}, meta)
    RandomState(device, tensors["random.cpu"], tensors.get("random.cuda")).restore()
    training.prepared.batches.restore(tensors["order"], meta["taken"])
    training.done, training.seconds, training.engine = meta["done"], meta["seconds"], meta["engine"]


def _tensors(training: Training) -> Iterator[tuple[str, Tensor]]:
    """What one of the parts of a training has in its checkpoint."""
    for k, leaf in enumerate(_leaves(training)):
        if isinstance(leaf, Tensor):
            yield f"state.{k}", leaf.detach()
    yield from ((f"recorder.{n}", b) for n, b in training.recorder.buffers.items())
    yield from ((f"norms.{k}", n) for k, n in enumerate(training.norms))
    yield "pruned", training.pruned


def _fill(training: Training, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Put them back."""
    device = training.step.levels.device
    kept = {n: dict.fromkeys(names) for n, names in meta["optimizer"].items()}
    training.state = training.state._replace(optimizer=kept)
    leaves = [tensors.get(f"state.{k}") for k in range(len(_leaves(training)))]
    training.state = _filled(training.state, leaves, device)
    training.recorder.buffers = {n: tensors[f"recorder.{n}"].to(device) for n in training.recorder.buffers}
    training.norms = [tensors[f"norms.{k}"].to(device) for k in range(sum(n.startswith("norms.") for n in tensors))]
    training.pruned = tensors["pruned"].to(device)


def _leaves(training: Training) -> list[Any]:
    state = training.state
    kept = [kept[n] for kept in state.optimizer.values() for n in sorted(kept)]
    dual = [leaf for part in state.dual for leaf in part]
    return [*state.parameters.values(), *kept, *dual, state.active, state.steps]


def _filled(state: State, leaves: list[Any], device: torch.device) -> State:
    """Put saved leaves, in the order of ``Training._leaves``, back into a state of the same shape."""
    rest = iter(leaves)
    with torch.no_grad():
        for parameter in state.parameters.values():
            parameter.copy_(next(rest))
    optimizer = {n: {key: _placed(next(rest), device) for key in sorted(kept)} for n, kept in state.optimizer.items()}
    dual = tuple(type(part)(*(next(rest).to(leaf.device) for leaf in part)) for part in state.dual)
    active, steps = (next(rest).to(old.device) for old in (state.active, state.steps))
    return State(state.parameters, optimizer, dual, active, steps)


def _placed(leaf: Any, device: torch.device) -> Any:
    """Optimizers keep their step counter, a scalar, on the CPU."""
    return leaf.to(device) if isinstance(leaf, Tensor) and leaf.dim() else leaf
