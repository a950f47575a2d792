"""Six small problems whose optimum and multipliers are known from elsewhere than gradient descent, in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Known(NamedTuple):
    """A problem and its answer.

    Attributes:
        objective: ``[R, n] -> [R]``.
        violations: ``[R, n] -> [R, C]``.
        equality: ``[C]``.
        start: ``[n]``.
        lr: With which gradient descent on it is stable.
        x: The optimum, ``[n]``.
        multipliers: At the optimum, ``[C]``.
    """

    objective: Callable[[Tensor], Tensor]
    violations: Callable[[Tensor], Tensor]
    equality: Tensor
    start: Tensor
    lr: float
    x: Tensor
    multipliers: Tensor


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def truths(*values: bool) -> Tensor:
    return torch.tensor(values)


def equality_quadratic() -> Known:
    """``min x'Qx/2 - b'x`` on two planes: one linear system has optimum and multipliers."""
    q = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.5]], dtype=torch.float64)
    b, a, c = numbers(1, -2, 0.5), torch.tensor([[1.0, 1, 1], [0, 1, -1]], dtype=torch.float64), numbers(1, 0.5)
    kkt = torch.cat([torch.cat([q, a.T], 1), torch.cat([a, torch.zeros(2, 2, dtype=torch.float64)], 1)])
    found = torch.linalg.solve(kkt, torch.cat([b, c]))
    return Known(
        lambda x: ((x @ q) * x).sum(-1) / 2 - x @ b,
        lambda x: x @ a.T - c,
        truths(True, True),
        torch.zeros(3, dtype=torch.float64),
        0.05,
        found[:3],
        found[3:],
    )


def box_quadratic() -> Known:
    """``min |x - a|^2 / 2`` in the box [-1, 1]: a, cut off, and what is cut off is the multiplier."""
    a = numbers(2.5, -1.8, 0.3)
    return Known(
        lambda x: (x - a).square().sum(-1) / 2,
        lambda x: torch.cat([x - 1, -1 - x], -1),
        truths(*[False] * 6),
        torch.zeros(3, dtype=torch.float64),
        0.05,
        a.clamp(-1, 1),
        torch.cat([(a - 1).clamp_min(0), (-1 - a).clamp_min(0)]),
    )


def hinges() -> Known:
    """``min [2 - x]+ + 2 [2 - y]+`` where ``x + y <= 3``, a linear program: y is worth more, so x gives way."""
    return Known(
        lambda x: (2 - x).clamp_min(0) @ numbers(1, 2),
        lambda x: x.sum(-1, keepdim=True) - 3,
        truths(False),
        numbers(0, 0),
        0.02,
        numbers(1, 2),
        numbers(1),
    )


def rosenbrock() -> Known:
    """``min (1 - x)^2 + 10 (y - x^2)^2`` on the unit disc, by Newton's method on the conditions for an optimum."""

    def objective(x: Tensor) -> Tensor:
        return (1 - x[..., 0]).square() + 10 * (x[..., 1] - x[..., 0].square()).square()

    def slope(at: Tensor) -> Tensor:
        x, y, m = at.unbind()
        valley = y - x * x
        first = torch.stack([-2 * (1 - x) - 40 * x * valley + 2 * m * x, 20 * valley + 2 * m * y])
        return torch.cat([first, (x * x + y * y - 1).reshape(1)])

    at = numbers(0.8, 0.6, 0.1)
    for _ in range(20):
        at = at - torch.linalg.solve(torch.autograd.functional.jacobian(slope, at), slope(at))
    assert slope(at).abs().max() < 1e-12
    return Known(
        objective,
        lambda x: x.square().sum(-1, keepdim=True) - 1,
        truths(False),
        numbers(-0.5, 0.5),
        0.005,
        at[:2],
        at[2:],
    )


def entropy() -> Known:
    """The largest entropy of a die that shows 4.5 or more on average: ``p ~ exp(lambda face)``, by bisection."""
    faces = torch.arange(1, 7, dtype=torch.float64)
    low, high = 0.0, 5.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if (faces * middle).softmax(0) @ faces < 4.5 else (low, middle)

    def objective(x: Tensor) -> Tensor:
        return (x.softmax(-1) * x.log_softmax(-1)).sum(-1)

    logits = faces * low
    return Known(
        objective,
        lambda x: 4.5 - (x.softmax(-1) @ faces).unsqueeze(-1),
        truths(False),
        torch.zeros(6, dtype=torch.float64),
        0.3,
        logits - logits.mean(),
        numbers(low),
    )


def min_norm() -> Known:
    """``min |x|^2 / 2`` where ``A x >= b``, both of which bind: ``x = A' m``, ``A A' m = b``."""
    a, b = torch.tensor([[1.0, 2, 0, -1], [0, 1, 1, 1]], dtype=torch.float64), numbers(1, 2)
    return Known(
        lambda x: x.square().sum(-1) / 2,
        lambda x: b - x @ a.T,
        truths(False, False),
        torch.zeros(4, dtype=torch.float64),
        0.05,
        numbers(1, 13, 11, 10) / 17,
        numbers(1, 11) / 17,
    )


PROBLEMS = {one.__name__: one for one in (min_norm, equality_quadratic, box_quadratic, hinges, rosenbrock, entropy)}
