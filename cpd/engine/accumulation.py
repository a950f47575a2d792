r"""One step of several minibatches, in the memory of one: the gradient of a function of their means.

With :math:`\bar f, \bar g` the means over N minibatches and :math:`p(\bar g)` what the method adds to the objective,

.. math:: \nabla (\bar f + p(\bar g)) = \frac{1}{N} \sum_k \nabla (f_k + p'(\bar g) \cdot g_k)

so each minibatch is evaluated twice: for the means, and for its part of the gradient with :math:`p'(\bar g)` fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.stacked import Gradients, Stacked

Evaluate = Callable[[Any, Any], Stacked]
"""``(state, minibatch)`` to an evaluation, of the models as the state has them."""


def passed(evaluate: Evaluate, state: Any, window: Sequence[Any]) -> Iterator[Stacked]:
    """Evaluations of a window's minibatches, one after the other: each finds the buffers that the last one left.

    Args:
        evaluate: One minibatch.
        state: Before the step, with ``parameters`` and ``buffers``.
        window: The minibatches.
    """
    for batch in window:
        at = evaluate(state, batch)
        yield at
        state = state._replace(parameters=at.parameters, buffers=at.buffers)


class Means(NamedTuple):
    """Of a window's minibatches.

    Attributes:
        at: Values of the step, without a gradient; of one that some minibatches do not show, over those that do.
        times: How many minibatches show each surrogate, ``[R, C]``; at least 1.
    """

    at: Stacked
    times: Tensor


def means_of(evaluations: Iterator[Stacked]) -> Means:
    """Means over a window's minibatches."""
    found = [_without_graph(at) for at in evaluations]
    partial = any(at.observed is not None for at in found)
    observed = torch.stack([_all_or(at, at.observed) for at in found])
    shown = torch.stack([_all_or(at, at.shown) for at in found])
    times = shown.sum(0).clamp(min=1)
    at = found[-1]._replace(
        objective=torch.stack([at.objective for at in found]).sum(0) / len(found),
        surrogate=_over(shown, [at.surrogate for at in found]) / times,
        strict=_over(observed, [at.strict for at in found]) / observed.sum(0).clamp(min=1),
        observed=observed.any(0) if partial else None,
        driving=shown.any(0) if any(at.driving is not None for at in found) else None,
    )
    return Means(at, times)


def gradients_of(
    evaluations: Iterator[Stacked],
    means: Means,
    count: int,
    added: Callable[[Tensor], Tensor],
    weighed: Callable[[Tensor], Tensor] = lambda objective: objective,
) -> tuple[Gradients, Stacked]:
    """The window's gradient, and its means with what the evaluations have left of the models.

    Args:
        evaluations: Of its minibatches, again.
        means: Of the window.
        count: How many minibatches it has.
        added: What the method adds to the objectives ``[R]``, of the means of the surrogate values ``[R, C]``.
        weighed: What counts of the objectives.
    """
    weight = _slope(means.at.surrogate, added) / means.times
    whole: Gradients = {}
    left = means.at
    for at in evaluations:
        part = weight * at.surrogate
        if at.shown is not None:
            part = torch.where(at.shown, part, torch.zeros_like(part))
        found = at.gradients((weighed(at.objective) / count + part.sum(1)).sum())
        whole = {n: _added(whole.get(n), None if g is None else g.detach()) for n, g in found.items()}
        left = means.at._replace(buffers=at.buffers, parameters=at.parameters)
    return whole, left


def _slope(mean: Tensor, added: Callable[[Tensor], Tensor]) -> Tensor:
    at = mean.detach().requires_grad_()
    total = added(at).sum()
    found = torch.autograd.grad(total, at, allow_unused=True)[0] if total.requires_grad else None
    return torch.zeros_like(mean) if found is None else found.detach()


def _all_or(at: Stacked, some: Tensor | None) -> Tensor:
    return torch.ones_like(at.strict, dtype=torch.bool) if some is None else some


def _over(observed: Tensor, values: Sequence[Tensor]) -> Tensor:
    """Their sum, of those that are observed ``[N, R, C]``."""
    whole = torch.stack(list(values))
    return torch.where(observed, whole, torch.zeros_like(whole)).sum(0)


def _without_graph(at: Stacked) -> Stacked:
    """The values alone: what led to them is not kept in memory."""
    return at._replace(objective=at.objective.detach(), surrogate=at.surrogate.detach(), reached={})


def _added(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
