"""Why a run diverged: what was not finite first, and in which step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from cpd.engine.step import State


def finite_parameters(state: State) -> list[bool]:
    """Whether the parameters that each run ended at are finite, ``[R]``."""
    whole: list[bool] = [True] * len(state.active)
    for p in state.parameters.values():
        finite = p.isfinite().reshape(len(p), -1).all(1).tolist()
        whole = [a and b for a, b in zip(whole, finite, strict=True)]
    return whole


def broken_gradients(norms: Tensor, every: int, steps: Sequence[int], names: Sequence[str]) -> list[list[str]]:
    """Constraints whose gradient was seen not to be finite while a run went on, by run."""
    broken = (~norms.isfinite()).tolist()
    return [
        [n for c, n in enumerate(names) if any(slot[c] for slot in run[: done // every + 1])]
        for run, done in zip(broken, steps, strict=True)
    ]


def reason(finals: Mapping[str, Any], r: int, sizes: Mapping[str, int]) -> str:
    """One sentence on run ``r``.

    Args:
        finals: What it ended with: ``active``, ``steps``, ``cause``, ``finite``, ``broken`` and the measured numbers.
        r: The run.
        sizes: Components of each constraint.
    """
    done = finals["steps"][r]
    if finals["active"][r]:
        return f"{_measured(finals, r, sizes)} is not finite where the finished model is measured"
    if not finals["finite"][r] and done == 0:
        return "the model's parameters were not finite at the start"
    if not finals["finite"][r]:
        named = " of " + ", ".join(finals["broken"][r]) if finals["broken"][r] else ""
        return f"a gradient{named} was not finite in step {done:,}"
    return f"{_quantity(finals['cause'][r], sizes)} was not finite in step {done + 1:,}"


def _measured(finals: Mapping[str, Any], r: int, sizes: Mapping[str, int]) -> str:
    if not math.isfinite(finals["objective"][r]):
        return "the objective"
    where = next(k for k, value in enumerate(finals["strict"][r]) if not math.isfinite(value))
    return _quantity(1 + where, sizes)


def _quantity(cause: int, sizes: Mapping[str, int]) -> str:
    """The quantity at a place among objective, surrogate and strict values."""
    if cause == 0:
        return "the objective"
    kind, at = divmod(cause - 1, sum(sizes.values()))
    for name, size in sizes.items():
        if at < size:
            component = f"[{at}]" if size > 1 else ""
            return f"{name}{component}" + (" (strict)" if kind else "")
        at -= size
    raise IndexError(cause)
