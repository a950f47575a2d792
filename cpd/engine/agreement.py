r"""Whether two ways to do one step came to the same, up to rounding.

Numbers ``a`` and ``b`` of one run agree where

.. math:: |a - b| \le 2^{10} \epsilon \, |a - a_0| + 2^4 \epsilon \, |a|

with the largest sizes within each tensor, a_0 what the number was before the step (0 where it is new), and epsilon the
dtype's. Where operations are done in a lower precision, epsilon is that one's, with 2^2 and 2^-1, and at least epsilon
times the largest number of its kind, for sums cancel. A rate of decisions may flip where a score is within rounding of
its threshold, and a gradient that is zero but for rounding is nothing but rounding: so where the bound fails, the step
is done again from parameters that differ by rounding, and the difference is one of rounding if that moves the number
about as far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from cpd.engine.bound import Tensors

RELATIVE, ABSOLUTE = 2.0**10, 2.0**4
"""In the dtype's epsilon: of the change in a step, and of the number itself."""
COARSE_RELATIVE, COARSE_ABSOLUTE = 2.0**2, 2.0**-1
"""Likewise, in the epsilon of the lower precision in which a step's operations are done."""
SHAKEN, COARSE_SHAKEN = 2.0**3, 1.0
"""In the same epsilon: how far parameters are moved to see what rounding does."""
TIMES = 4
"""How often, at most."""
ROUNDING = 2.0**5
"""How much more than a shaken step two ways may differ."""


def disagreement(
    found: Mapping[str, Tensor],
    right: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    shaken: Callable[[int], Mapping[str, Tensor]],
    coarse: torch.dtype | None = None,
) -> str | None:
    """Name what differs beyond rounding, or None.

    Args:
        found: Numbers by name, as one way gave them.
        right: The same, as the plain step gave them.
        before: What they were before the step, where they were.
        shaken: The plain step again from parameters that differ by rounding; called only in doubt.
        coarse: The lower precision in which operations of the step are done; None for that of its numbers.
    """
    if coarse is None and _within(found, right, before):
        return None
    doubtful = {n: far for n, a in right.items() if (far := _excess(found[n], a, before.get(n), coarse)) > 0}
    if coarse is not None and doubtful:
        least = _least(right, coarse)
        doubtful = {n: far for n, far in doubtful.items() if far > least.get(_kind(n), 0.0)}
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


def shake(parameters: Tensors, k: int, coarse: torch.dtype | None = None) -> Tensors:
    """Parameters that differ by rounding, the same for each ``k``."""
    shaken = {}
    far = SHAKEN if coarse is None else COARSE_SHAKEN
    generator = torch.Generator().manual_seed(k)
    for name, p in parameters.items():
        noise = torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)
        shaken[name] = p.detach() * (1 + far * torch.finfo(coarse or p.dtype).eps * noise)
    return shaken


def _least(right: Mapping[str, Tensor], coarse: torch.dtype) -> dict[str, float]:
    """What rounding in a lower precision comes to where large numbers cancel, by kind: epsilon times the largest."""
    least: dict[str, float] = {}
    for name, tensor in right.items():
        if tensor.dtype.is_floating_point:
            far = torch.finfo(coarse).eps * _largest(tensor)
            least[_kind(name)] = max(least.get(_kind(name), 0.0), far)
    return least


def _kind(name: str) -> str:
    """What numbers of several tensors are alike: gradients, parameters, first moments."""
    words = name.split()
    if words[0] == "optimizer":
        return f"optimizer {words[-1]}"
    return words[0] if words[0] == "parameters" else "gradient" if name.startswith("the gradient") else name


def _within(found: Mapping[str, Tensor], right: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> bool:
    """Whether all numbers are within their bounds, seen of all tensors of one type at once; False where in doubt."""
    of_type: dict[torch.dtype, list[str]] = {}
    for name, tensor in right.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            return False
        if tensor.numel():
            of_type.setdefault(tensor.dtype, []).append(name)
    for dtype, names in of_type.items():
        a, b = _flat(right, names), _flat(found, names)
        if torch.equal(a, b):
            continue
        if dtype not in (torch.float32, torch.float64) or not torch.equal(a.isfinite(), b.isfinite()):
            return False
        old = torch.cat([before[n].reshape(-1) if n in before else right[n].new_zeros(right[n].numel()) for n in names])
        sizes = torch.stack([b - a, a - old, a], 1).abs_().nan_to_num_(0, 0, 0)
        lengths = torch.tensor([right[n].numel() for n in names], device=a.device)
        far, change, size = torch.segment_reduce(sizes, "max", lengths=lengths).unbind(1)
        if bool((far > _bound(dtype, change, size)).any()):
            return False
    return True


def _flat(tensors: Mapping[str, Tensor], names: list[str]) -> Tensor:
    return torch.cat([tensors[name].reshape(-1) for name in names])


def _bound(dtype: torch.dtype, change: Any, size: Any) -> Any:
    """How far numbers of one tensor may be apart, by the largest change and the largest size of them."""
    limits = torch.finfo(dtype)
    return RELATIVE * limits.eps * change + ABSOLUTE * limits.eps * size + limits.tiny


def _excess(found: Tensor, right: Tensor, before: Tensor | None, coarse: torch.dtype | None) -> float:
    """How far two tensors differ beyond the bound; 0 within it, infinite where they cannot be compared."""
    if found.shape != right.shape or found.dtype != right.dtype:
        return torch.inf
    if not (found.dtype.is_floating_point or found.is_complex()):
        return 0.0 if torch.equal(found, right) else 1.0
    if not torch.equal(found.isfinite(), right.isfinite()):
        return torch.inf
    far = _farthest(found, right)
    if far == 0:
        return 0.0
    change = right if before is None else right - before
    if coarse is None:
        return far if far > _bound(right.dtype, _largest(change), _largest(right)) else 0.0
    eps = torch.finfo(coarse).eps
    bound = COARSE_RELATIVE * eps * _largest(change) + COARSE_ABSOLUTE * eps * _largest(right)
    return far if far > bound + torch.finfo(right.dtype).tiny else 0.0


def _farthest(a: Tensor, b: Tensor) -> float:
    """The largest finite difference."""
    return _largest(a - b) if a.dtype.is_floating_point or a.is_complex() else float((a != b).any())


def _largest(x: Tensor) -> float:
    return float(x.abs().nan_to_num(0, 0, 0).max()) if x.numel() else 0.0
