"""The step of each run on its own, as plain PyTorch does it: what others are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from cpd.engine.minibatches import Minibatches
from cpd.engine.python_state import PythonState
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step
from cpd.engine.steppers.stepper import as_one
from cpd.engine.surroundings import Surroundings
from cpd.engine.tree import joined, take
from cpd.outcome import RunKey


class Alone:
    """Run by run, each with generators and Python's state of its own.

    Args:
        step: Of all runs.
        keys: The runs.
        surroundings: Takes generators and Python's state as they are.
    """

    name = "alone"
    overwrites = False
    history = 1
    note: str | None = None

    def __init__(self, step: Step, keys: Sequence[RunKey], surroundings: Callable[[], Surroundings]) -> None:
        self.steps = [step.alone(key, row) for row, key in enumerate(keys)]
        self.surroundings = surroundings
        self.own = [surroundings()] * len(keys)

    def rebuild(self) -> None:
        """None: each run has come its own way."""

    @property
    def python(self) -> list[PythonState]:
        """What each run keeps in Python."""
        return [own.python for own in self.own]

    def alike(self) -> bool:
        """Whether all runs stand alike in generators and Python's state."""
        first, *others = self.own
        return all(first.alike(other) for other in others)

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        for _ in range(n):
            batch = batches.next()
            made: list[tuple[State, Record]] = []
            for row, step in enumerate(self.steps):
                self.own[row].restore()
                made.append(step.advance(take(state, [row]), batch))
                self.own[row] = self.surroundings()
            state = joined(state, [new for new, _ in made])
            record = Record(*(torch.cat(values) for values in zip(*(each for _, each in made), strict=True)))
        return state, as_one(record)
