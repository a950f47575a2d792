"""The size of the gradient that a model moves along, for methods that go by it."""

from __future__ import annotations

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.dual import Driven
from cpd.engine.method_groups import MethodGroups, States
from cpd.engine.stacked import Gradients, Stack
from cpd.engine.tree import leaves, refilled


def watch(groups: MethodGroups) -> bool:
    """Whether a method of a batch goes by it."""
    return any(part.method.slope is not None for part in groups.parts)


def told(
    groups: MethodGroups, states: States, stack: Stack, parameters: Tensors, gradients: Gradients, active: Tensor
) -> States:
    """What the methods remember once they are told the size of their runs' gradients; frozen runs stay as they are."""
    norms = projected_norms(stack, parameters, gradients).to(active.device)
    found = []
    for part, state in zip(groups.parts, states, strict=True):
        if part.method.slope is None:
            found.append(state)
            continue
        own, keep = part.of_method(state.tree), active[part.rows].unsqueeze(1)
        new = part.method.slope(norms[part.rows].unsqueeze(1), own)
        pairs = zip(leaves(new), leaves(own), strict=True)
        new = refilled(new, [a if a is b else torch.where(keep, a.to(b.dtype), b) for a, b in pairs])
        tree = state.tree._replace(method=new) if isinstance(state.tree, Driven) else new
        found.append(state._replace(tree=tree))
    return tuple(found)


def projected_norms(stack: Stack, parameters: Tensors, gradients: Gradients) -> Tensor:
    r"""How far a step of size 1 along the gradient would lead on the problem's feasible set, ``[R]``.

    .. math:: | x - P(x - \nabla) |

    It is the gradient's norm where the problem projects nothing.

    Args:
        stack: Projects as the problem says.
        parameters: x, ``[R, ...]`` each.
        gradients: Of the same; None is 0.

    Source: Nocedal and Wright, Numerical Optimization (2006), Algorithm 17.4.
    """
    with torch.no_grad():
        here = {n: p.detach() for n, p in parameters.items()}
        there = stack.project({n: p if (g := gradients[n]) is None else p - g for n, p in here.items()})
        squares = [(p - there[n]).abs().reshape(len(p), -1).square().sum(1) for n, p in here.items()]
        return torch.stack(squares).sum(0).sqrt()
