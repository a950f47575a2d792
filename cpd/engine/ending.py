"""What is seen around the parameters at which a training ends: gradients of constraints, and whether it goes down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.counting import out_of_memory
from cpd.engine.optimizers import scalar_dtype
from cpd.engine.stacked import Gradients, Stacked
from cpd.engine.step import State, Step
from cpd.errors import CpdError

MOST = 16
"""Components of constraints whose gradients are taken."""
LEAST = 4
"""As many even of a model so large that their gradients take much memory."""
NUMBERS = 2**22
"""Numbers that the gradients of a run may be together, beyond the least."""
FAR = (1e1, 1e2, 1e3, 1e4)
"""How many times the size of the parameters one goes down."""
PACE = 0.5
"""It falls without slowing down where it falls by this share of what the slope promises, or by more."""


class Ends(NamedTuple):
    """What was seen of each run.

    Attributes:
        chosen: The components whose gradients were taken, ``[R, m]``; -1 where the batch shows nothing of one.
        products: Inner products of these gradients, ``[R, m, m]``.
        scale: Norm of the parameters, here or at the start, ``[R]``.
        recedes: Whether the objective falls for ever, ``[R]``: 1, 0, or -1 where nobody knows.
    """

    chosen: Tensor
    products: Tensor
    scale: Tensor
    recedes: Tensor


def ends_of(step: Step, state: State, start: Tensors, batch: Any) -> Ends:
    r"""Look around the parameters of each run.

    .. math::
        P_{kl} = \langle \nabla g_k, \nabla g_l \rangle, \qquad
        f(x + s d) \le f(x) + \tfrac12 s \, d^\top \nabla f(x), \quad d \propto -\nabla L(x), \; s = 10, \dots, 10^4

    Args:
        step: Of the runs.
        state: Theirs.
        start: The parameters that they started from.
        batch: Is evaluated; parameters stay as they are.
    """
    at = step.evaluate(state, batch)
    chosen = _chosen(step, at)
    gradients = [at.gradients(_picked(at.surrogate, chosen[:, k]), retain_graph=True) for k in range(chosen.shape[1])]
    scale = torch.maximum(_norm(state.parameters), _norm(start))
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    seen = chosen if at.observed is None else torch.where(at.observed.gather(1, chosen), chosen, -1)
    recedes = _recedes(step, state, at, scale, batch)
    return Ends(seen, _products(gradients, scale), scale, recedes)


def _chosen(step: Step, at: Stacked) -> Tensor:
    """Components to look at, ``[R, m]``: all, or those that are furthest from their levels."""
    runs, components = at.strict.shape
    size = sum(p[0].numel() for p in at.parameters.values())
    most = max(LEAST, min(MOST, NUMBERS // max(1, size)))
    if components <= most:
        return torch.arange(components, device=at.strict.device).expand(runs, -1)
    violation = step.violation(at.strict, None, at.observed)
    violation = torch.where(step.groups.equality, violation.abs(), violation).nan_to_num(0)
    return violation.topk(most, dim=1).indices.sort(dim=1).values


def _picked(values: Tensor, column: Tensor) -> Tensor:
    """Sum over the runs of one value of each: its gradient is that of each run."""
    return values.gather(1, column.unsqueeze(1)).sum()


def _products(gradients: list[Gradients], like: Tensor) -> Tensor:
    """Inner products of several gradients of each run, ``[R, m, m]``."""
    total = like.new_zeros(len(like), len(gradients), len(gradients))
    for name in gradients[0] if gradients else ():
        own = [g[name] for g in gradients]
        shape = next((g for g in own if g is not None), None)
        if shape is None:
            continue
        rows = [torch.zeros_like(shape) if g is None else g for g in own]
        flat = torch.stack([g.reshape(len(like), -1) for g in rows], 1).to(like.dtype)
        total = total + flat @ flat.transpose(1, 2)
    return total


def _recedes(step: Step, state: State, at: Stacked, scale: Tensor, batch: Any) -> Tensor:
    unknown = torch.full_like(state.steps, -1)
    slopes = at.gradients(at.objective.sum(), retain_graph=True)
    violation = step.violation(at.surrogate, state.step, at.shown)
    down = at.gradients((at.objective + step.groups.penalty_term(violation, state.methods, state.methods)).sum())
    found = {n: -g.detach() for n, g in down.items() if g is not None}
    if not found:
        return torch.zeros_like(unknown)
    length = _norm(found)
    unit = scale / torch.where(length > 0, length, torch.ones_like(length))
    promised = _inner(slopes, found, scale) * unit
    recedes = (promised < 0) & (length > 0)
    before = _worse(step, at.strict.detach(), state.step)
    try:
        with torch.no_grad():
            for far, there in _further(step, state, found, unit, batch):
                recedes &= there.objective.to(scale) <= at.objective.to(scale) + PACE * far * promised
                recedes &= (_worse(step, there.strict, state.step) <= before).all(1)
    except CpdError:
        raise
    except Exception as error:  # the user's code need not stand parameters to which no training has come
        if out_of_memory(error):
            raise
        return unknown
    return recedes.to(unknown)


def _further(step: Step, state: State, direction: Tensors, unit: Tensor, batch: Any) -> Iterator[tuple[float, Stacked]]:
    """The models at growing distances."""
    for far in FAR:
        ahead = {n: _rows(far * unit, d) * d for n, d in direction.items()}
        moved = {n: p + ahead[n].to(p.dtype) if n in ahead else p for n, p in state.parameters.items()}
        yield far, step.evaluate(state._replace(parameters=step.stack.project(moved)), batch)


def _worse(step: Step, strict: Tensor, at: Tensor) -> Tensor:
    """How far each constraint is violated, ``[R, C]``: 0 where it holds."""
    violation = step.violation(strict, at)
    far = torch.where(step.groups.equality, violation.abs(), violation)
    return torch.where(step.holding.inside(strict), torch.zeros_like(far), far.clamp_min(0))


def _inner(gradients: Gradients, direction: Tensors, like: Tensor) -> Tensor:
    total = torch.zeros_like(like)
    for name, d in direction.items():
        g = gradients[name]
        if g is not None:
            total = total + (g.to(like.dtype) * d.to(like.dtype)).reshape(len(like), -1).sum(1)
    return total


def _norm(tensors: Tensors) -> Tensor:
    """Norm of all tensors of each run together, ``[R]``, in double precision where the device has it."""
    kind = [scalar_dtype(t.device) for t in tensors.values()]
    squares = [t.to(k).reshape(len(t), -1).square().sum(1) for t, k in zip(tensors.values(), kind, strict=True)]
    return torch.stack(squares).sum(0).sqrt() if squares else torch.zeros(0)


def _rows(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
