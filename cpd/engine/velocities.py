"""The gradient of each constraint by itself, and the direction that does to each what a method asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from cpd.engine.method_groups import MethodGroup, MethodGroups, States
from cpd.engine.optimizers import scalar_dtype
from cpd.engine.quadratic import pivoted
from cpd.engine.stacked import Gradients, Stacked
from cpd.engine.tree import Part
from cpd.errors import SpecError
from cpd.methods.registry import by_velocities
from cpd.outcome import RunKey


class Steps(Protocol):
    """What knows levels and methods."""

    groups: MethodGroups

    def violation(self, values: Tensor, step: Tensor | None = None, observed: Tensor | None = None) -> Tensor:
        """Oriented violation ``[R, C]``."""


def asks_velocities(groups: MethodGroups) -> bool:
    """Whether the method of a batch's runs does so: of all, for they are programs of their own."""
    return groups.parts[0].method.velocities is not None


def refuse_unprojected(keys: Sequence[RunKey], searching: str | None, accumulate: int) -> None:
    """Refuse such methods where a step has no single gradient of each constraint.

    Args:
        keys: The runs.
        searching: The optimizer that evaluates several times a step; None for another one.
        accumulate: Minibatches of a step.

    Raises:
        SpecError: There is such a method among them.
    """
    method = next((key.method for key in keys if by_velocities(key.method)), None)
    if method is None:
        return
    if searching is not None:
        message = f"it projects one gradient a step, and {searching} takes several"
        raise SpecError(message, place=f"methods.{method}", hint="take another optimizer, or another method")
    if accumulate > 1:
        message = f"it takes the gradient of each constraint on one minibatch a step, and accumulate is {accumulate}"
        raise SpecError(message, place=f"methods.{method}", hint="leave accumulate out, or take another method")


def velocities(steps: Steps, at: Stacked, states: States, step: Tensor, active: Tensor) -> States:
    r"""What the methods remember once they are told the multipliers of the step's direction.

    .. math:: \min_{\lambda} \tfrac{1}{2} \| \nabla f + \sum_i \lambda_i \nabla g_i \|^2 - \lambda^\top \text{fall}

    That is the dual of ``min |v + grad f|^2 / 2 where grad g_i . v <= -fall_i``. A component that the step does not
    show has no gradient in it, and keeps its multiplier.

    Args:
        steps: The step, for violations and methods.
        at: What an evaluation gives.
        states: Of the methods, updated.
        step: Steps done, a scalar.
        active: ``[R]``, whose steps count.
    """
    g = steps.violation(at.surrogate, step, at.shown)
    own = at.gradients(at.objective.sum(), retain_graph=True)
    each = [at.gradients(one.sum(), retain_graph=True) for one in g.unbind(1)]
    with torch.no_grad():
        gram, along = _products(own, each, g)
        return tuple(
            state._replace(tree=_told(steps, part, state, gram, along, at.shown, active))
            for part, state in zip(steps.groups.parts, states, strict=True)
        )


def _products(own: Gradients, each: Sequence[Gradients], like: Tensor) -> tuple[Tensor, Tensor]:
    """Inner products of the constraints' gradients, ``[R, C, C]``, and of each with the objective's, ``[R, C]``."""
    runs, size = like.shape
    dtype = scalar_dtype(like.device)
    gram = torch.zeros(runs, size, size, dtype=dtype, device=like.device)
    along = torch.zeros(runs, size, dtype=dtype, device=like.device)
    for name, objective in own.items():
        found = [gradients[name] for gradients in each]
        one = next((gradient for gradient in found if gradient is not None), None)
        if one is None:
            continue
        rows = [torch.zeros_like(one) if gradient is None else gradient for gradient in found]
        flat = torch.stack([row.detach().reshape(runs, -1).to(dtype) for row in rows], 1)
        gram = gram + flat @ flat.mT
        if objective is not None:
            along = along + (flat @ objective.detach().reshape(runs, -1, 1).to(dtype)).squeeze(-1)
    return gram, along


def _told(
    steps: Steps, part: MethodGroup, state: Part, gram: Tensor, along: Tensor, shown: Tensor | None, active: Tensor
) -> Any:
    """What one group's method remembers then."""
    method, rows, old = part.method, part.rows, state.tree
    assert method.velocities is not None, "its runs are a program of their own"
    assert method.solved is not None, "a method that asks is told"
    asked = method.velocities(old)
    held = asked.held if shown is None else asked.held & shown[rows]
    right = asked.fall.to(gram.dtype) - along[rows]
    found = pivoted(gram[rows], right, steps.groups.equality, held, asked.last).to(asked.last.dtype)
    keep = active[rows].unsqueeze(1)
    return method.solved(torch.where(keep if shown is None else keep & shown[rows], found, asked.last), old)
