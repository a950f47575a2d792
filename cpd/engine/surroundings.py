"""All that an evaluation may depend on beside its arguments, taken and set back as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from cpd.engine.generators import RandomState
from cpd.engine.python_state import PythonState
from cpd.problem import Problem


class Surroundings(NamedTuple):
    """The generators of random numbers, and what user code keeps in Python."""

    random: RandomState
    python: PythonState

    @classmethod
    def now(cls, device: torch.device, problem: Problem, model: nn.Module | None) -> Surroundings:
        """Take them as they are."""
        return cls(RandomState.now(device), PythonState(problem, model))

    def restore(self) -> None:
        """Set them back."""
        self.python.restore()
        self.random.restore()

    def alike(self, other: Surroundings) -> bool:
        """Whether both stand alike."""
        return self.random.same(other.random) and self.python.alike(other.python)

    def changes(self) -> list[str]:
        """What user code has done since that no program can replay, in words: ``changes self.calls``."""
        drawn = (f"draws from {name}" for name in self.random.drawn_since() if name != "torch")
        return [*(f"changes {name}" for name in self.python.changes()), *drawn]


@contextmanager
def untouched(device: torch.device, problem: Problem, model: nn.Module | None) -> Iterator[Surroundings]:
    """Leave the surroundings as they were found: for evaluations that are not part of the training."""
    before = Surroundings.now(device, problem, model)
    try:
        yield before
    finally:
        before.restore()
