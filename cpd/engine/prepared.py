"""Runs that train together, and what they start from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch

from cpd.engine.counting import Counter
from cpd.engine.minibatches import Minibatches
from cpd.engine.python_state import PythonState
from cpd.engine.stacked import Models, Stack, Stacked, stacked_rows
from cpd.engine.surroundings import Surroundings, untouched
from cpd.engine.tree import take
from cpd.outcome import RunKey

LARGE_STEP = 20_000_000
"""Operations of products in an evaluation from which arithmetic bounds the step: threads are worth waiting for."""


@dataclass
class Prepared:
    """Runs that train together, and what they start from.

    Attributes:
        keys: The runs, those of one method group side by side; a lone run that is padded to two stands there twice.
        padded: Whether it was.
        models: The tensors of their models.
        surroundings: Generators and Python's state as they stood after the models were built.
        draws: Whether a step draws random numbers.
        stateful: What an evaluation changes that no program can replay, by name: attributes, generators of Python.
        counter: What an evaluation took.
        counted: Of how many runs.
    """

    keys: tuple[RunKey, ...]
    padded: bool
    stack: Stack
    models: Models
    surroundings: Surroundings
    batches: Minibatches
    data: Any
    draws: bool = False
    stateful: tuple[str, ...] = ()
    counter: Counter = field(default_factory=Counter)
    counted: int = 1

    @property
    def device(self) -> torch.device:
        """Where they are trained."""
        return self.surroundings.random.device

    @property
    def run_size(self) -> int:
        """Operations of products in an evaluation of one run."""
        return self.counter.operations // self.counted

    @property
    def is_large(self) -> bool:
        """Whether arithmetic bounds a step of all its runs."""
        return self.run_size * self.models.runs >= LARGE_STEP

    def measured(self, models: Models, python: Sequence[PythonState | None] | None = None) -> Stacked:
        """Judge models, leaving no trace; generators stand as they did before the first step.

        Args:
            models: Those of some runs.
            python: What each of them keeps in Python, where that is not the same.
        """
        stack = self.stack
        if stack.measures.fused or not stack.fused:
            return self._measured(stack, models, python[0] if python else None)
        alone, own = stack.alone(), python or [None] * models.runs
        return stacked_rows([self._measured(alone, take(models, [r]), own[r]) for r in range(models.runs)])

    def _measured(self, stack: Stack, models: Models, python: PythonState | None) -> Stacked:
        with self.untouched():
            if python:
                python.restore()
            self.surroundings.random.restore()
            return stack.measure(models, self.data)

    def surroundings_now(self) -> Surroundings:
        """Generators and Python's state as they are."""
        return Surroundings.now(self.device, self.stack.problem, self.stack.model)

    def untouched(self) -> AbstractContextManager[Surroundings]:
        """For evaluations that are not part of the training: they leave generators and Python's state as they were."""
        return untouched(self.device, self.stack.problem, self.stack.model)


@dataclass
class Refused:
    """A run that cannot start, and why."""

    key: RunKey
    error: str


def pads(run_size: int) -> bool:
    """Whether a lone run is padded to two, for the last bits of a batch's: not where that would take twice as long."""
    return run_size < LARGE_STEP
