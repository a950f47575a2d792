"""LBFGS, which evaluates several times a step: torch's own, on one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.optimizers import Kept

LISTS = ("old_dirs", "old_stps")
"""What it remembers of earlier steps, a vector each, besides ``ro``."""


class Value(NamedTuple):
    """Objective with the method's term, and its gradient, each ``[1, ...]``; None where there is none."""

    total: Tensor
    gradients: Mapping[str, Tensor | None]


def nothing_kept(parameters: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Kept]:
    """What it keeps before the first step, under the first parameter's name: a place for each step of its history."""
    first = next(iter(parameters.values()))
    size, most = sum(p[0].numel() for p in parameters.values()), int(options["history_size"])
    kept = {name: first.new_zeros(1, most, size) for name in LISTS}
    kept |= {"ro": first.new_zeros(1, most), "d": first.new_zeros(1, size), "prev_flat_grad": first.new_zeros(1, size)}
    kept |= {name: first.new_zeros(1, dtype=torch.float64) for name in ("t", "H_diag", "prev_loss")}
    kept |= {name: first.new_zeros(1, dtype=torch.long) for name in ("func_evals", "n_iter", "remembered")}
    return {name: kept if k == 0 else {} for k, name in enumerate(parameters)}


def searched(
    parameters: Mapping[str, Tensor],
    kept: Mapping[str, Kept],
    options: Mapping[str, Any],
    here: Value,
    there: Callable[[Tensors], Value],
) -> tuple[Tensors, dict[str, Kept]]:
    """The parameters after a step, and what is kept.

    Args:
        parameters: Of one run, ``[1, ...]``.
        kept: As :func:`nothing_kept` has it.
        options: Of the optimizer, ``lr`` among them.
        here: At these parameters.
        there: At others.
    """
    first = next(iter(parameters))
    own = {n: p[0].detach().clone().requires_grad_() for n, p in parameters.items()}
    optimizer = torch.optim.LBFGS(list(own.values()), **options)
    if int(kept[first]["n_iter"]):
        optimizer.state[own[first]].update(_remembered(kept[first]))
    values = iter([here])

    def closure() -> Tensor:
        value = next(values, None) or there({n: p.detach()[None].clone() for n, p in own.items()})
        for name, p in own.items():
            gradient = value.gradients[name]
            p.grad = None if gradient is None else gradient[0].clone()
        return value.total.detach()[0]

    optimizer.step(closure)
    state = optimizer.state[own[first]]
    return {n: p.detach()[None] for n, p in own.items()}, {**kept, first: _as_tensors(state, kept[first])}


def _remembered(kept: Kept) -> dict[str, Any]:
    """As torch's own has it: lists of tensors, and numbers."""
    count = int(kept["remembered"])
    lists = {name: [row.clone() for row in kept[name][0, :count]] for name in (*LISTS, "ro")}
    vectors = {name: kept[name][0].clone() for name in ("d", "prev_flat_grad")}
    numbers = {name: float(kept[name]) for name in ("t", "H_diag", "prev_loss")}
    return {**lists, **vectors, **numbers, "func_evals": int(kept["func_evals"]), "n_iter": int(kept["n_iter"])}


def _as_tensors(state: Mapping[str, Any], like: Kept) -> Kept:
    """What torch's own holds, in tensors of the same shapes at every step."""
    new = {name: torch.zeros_like(tensor) for name, tensor in like.items()}
    count = len(state.get("old_dirs") or ())
    for name in (*LISTS, "ro"):
        for k, entry in enumerate(state.get(name) or ()):
            new[name][0, k] = entry
    for name in ("d", "prev_flat_grad", "t", "H_diag", "prev_loss", "func_evals", "n_iter"):
        if state.get(name) is not None:
            new[name][0] = state[name]
    new["remembered"][0] = count
    return new
