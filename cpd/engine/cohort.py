"""Runs that go through the steps of a training together, and all that they have come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from cpd.engine.recorder import Recorded
from cpd.engine.step import State, Step
from cpd.outcome import RunKey


class Tree(NamedTuple):
    """All that changes while runs are trained, with the runs first: what is cut, saved and loaded as one.

    Attributes:
        state: What a step changes.
        recorded: The curves and the last tenth.
        norms: Norms of the constraints' gradients, ``[R, points, names]``; NaN where not taken yet.
        pruned: ``[R]`` bool: the runs that were given up.
    """

    state: State
    recorded: Recorded
    norms: Tensor
    pruned: Tensor


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
