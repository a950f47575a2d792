"""Runs that go through the steps of a training together, and all that they have come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cpd.engine.measuring import Along
from cpd.engine.recorder import Recorded
from cpd.engine.step import State, Step
from cpd.outcome import RunKey


class Tree(NamedTuple):
    """All that changes while runs are trained, with the runs first: what is cut, saved and loaded as one.

    Attributes:
        state: What a step changes.
        recorded: The curves and the last tenth.
        norms: Norms of the constraints' gradients, ``[R, points, names]``; NaN where not taken yet, -1 where
            the minibatch shows nothing of the constraint.
        pruned: ``[R]`` bool: the runs that were given up.
        along: What measures along the way have come to; None where there are none.
        checked: Strict values measured in the last tenth of a training by minibatches, ``[R, points, C]``, NaN where
            not measured yet; None where steps see all data.
    """

    state: State
    recorded: Recorded
    norms: Tensor
    pruned: Tensor
    along: Along | None = None
    checked: Tensor | None = None

    @property
    def ended(self) -> Tensor:
        """``[R]`` bool: the runs that have ended early, and well."""
        streak = None if self.along is None else self.along.streak
        return torch.zeros_like(self.state.active) if streak is None else streak.ended


@dataclass(frozen=True)
class Cohort:
    """Runs that go through the steps together.

    Attributes:
        keys: The runs.
        step: Their step.
        tree: How they stand.
    """

    keys: tuple[RunKey, ...]
    step: Step
    tree: Tree
