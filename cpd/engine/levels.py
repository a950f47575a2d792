"""Levels that move while runs are trained, to those at which they are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cpd.outcome import RunKey
from cpd.spec.models import Constraint, MovingConstraint


class Moving(NamedTuple):
    r"""How levels come to those at which runs are judged.

    .. math:: b_t = b_0 + (b - b_0) \min(1, t / T)

    Attributes:
        start: b_0, ``[R, C]``; b itself where it does not move.
        over: T, ``[1, C]``: steps, in which it comes there.
    """

    start: Tensor
    over: Tensor

    def of(self, row: int) -> Moving:
        """Those of one run."""
        return self._replace(start=self.start[row : row + 1])

    def at(self, levels: Tensor, step: Tensor) -> Tensor:
        """The levels after so many steps ``[R, C]``, from those at which runs are judged; from T on, they are these."""
        left = (1 - step.to(self.over.dtype) / self.over).clamp_min(0)
        return levels + (self.start - levels) * left


def moving(
    keys: Sequence[RunKey], constraints: Mapping[str, Constraint], sizes: Mapping[str, int], steps: int, like: Tensor
) -> Moving | None:
    """How the levels of some runs move; None where none does.

    Args:
        keys: The runs, which have the levels at which they are judged.
        constraints: By name, in the order of the components.
        sizes: Components by name.
        steps: Of the training.
        like: A tensor that gives dtype and device.
    """
    by_name = [constraints[name] for name in sizes]
    if not any(isinstance(one, MovingConstraint) for one in by_name):
        return None
    pairs = list(zip(sizes, by_name, strict=True))
    start = [[one.start if isinstance(one, MovingConstraint) else key.levels[n] for n, one in pairs] for key in keys]
    over = [[one.over * steps if isinstance(one, MovingConstraint) else 1.0 for one in by_name]]
    counts = torch.tensor(list(sizes.values()))
    spread = (torch.tensor(values, dtype=torch.float64).repeat_interleave(counts, dim=1) for values in (start, over))
    return Moving(*(values.to(like.dtype).to(like.device) for values in spread))
