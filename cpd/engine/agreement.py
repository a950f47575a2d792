r"""Whether two ways to do one step came to the same, up to rounding.

Numbers ``a`` and ``b`` of one run agree where

.. math:: |a - b| \le 2^{10} \epsilon \, |a - a_0| + 2^4 \epsilon \, |a|

with the largest sizes within each tensor, a_0 what the number was before the step (0 where it is new), and epsilon the
dtype's. A rate of decisions may flip where a score is within rounding of its threshold, and a gradient that is zero but
for rounding is nothing but rounding: so where the bound fails, the step is done again from parameters that differ by
rounding, and the difference is one of rounding if that moves the number about as far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cpd.engine.stacked import Tensors

RELATIVE, ABSOLUTE = 2.0**10, 2.0**4
"""In the dtype's epsilon: of the change in a step, and of the number itself."""
SHAKEN = 2.0**3
"""In the dtype's epsilon: how far parameters are moved to see what rounding does."""
TIMES = 4
"""How often, at most."""
ROUNDING = 2.0**5
"""How much more than a shaken step two ways may differ."""


def disagreement(
    found: Mapping[str, Tensor],
    right: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    shaken: Callable[[int], Mapping[str, Tensor]],
) -> str | None:
    """Name what differs beyond rounding, or None.

    Args:
        found: Numbers by name, as one way gave them.
        right: The same, as the plain step gave them.
        before: What they were before the step, where they were.
        shaken: The plain step again from parameters that differ by rounding; called only in doubt.
    """
    doubtful = {n: far for n, a in right.items() if (far := _excess(found[n], a, before.get(n))) > 0}
    if not doubtful:
        return None
    if any(far == torch.inf for far in doubtful.values()):
        return max(doubtful, key=lambda n: doubtful[n])
    for k in range(TIMES):
        again = shaken(k)
        doubtful = {n: far for n, far in doubtful.items() if far > ROUNDING * _farthest(again[n], right[n])}
        if not doubtful:
            return None
    return max(doubtful, key=lambda n: doubtful[n])


def shake(parameters: Tensors, k: int) -> Tensors:
    """Parameters that differ by rounding, the same for each ``k``."""
    shaken = {}
    generator = torch.Generator().manual_seed(k)
    for name, p in parameters.items():
        noise = torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)
        shaken[name] = p.detach() * (1 + SHAKEN * torch.finfo(p.dtype).eps * noise)
    return shaken


def _excess(found: Tensor, right: Tensor, before: Tensor | None) -> float:
    """How far two tensors differ beyond the bound; 0 within it, infinite where they cannot be compared."""
    if found.shape != right.shape or found.dtype != right.dtype:
        return torch.inf
    if not found.dtype.is_floating_point:
        return 0.0 if torch.equal(found, right) else 1.0
    if not torch.equal(found.isfinite(), right.isfinite()):
        return torch.inf
    far = _farthest(found, right)
    if far == 0:
        return 0.0
    change = right if before is None else right - before
    eps = torch.finfo(right.dtype).eps
    bound = RELATIVE * eps * _largest(change) + ABSOLUTE * eps * _largest(right) + torch.finfo(right.dtype).tiny
    return far if far > bound else 0.0


def _farthest(a: Tensor, b: Tensor) -> float:
    """The largest finite difference."""
    return _largest(a - b) if a.dtype.is_floating_point else float((a != b).any())


def _largest(x: Tensor) -> float:
    return float(x.abs().nan_to_num(0, 0, 0).max()) if x.numel() else 0.0
