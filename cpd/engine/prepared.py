"""Runs that train together, and what they start from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch

from cpd.engine.averages import Average
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
        metrics: Names of what is measured beside objective and constraints.
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
    metrics: tuple[str, ...] = ()

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

    def measured(
        self, models: Models, python: Sequence[PythonState | None] | None = None, *, most: int | None = None
    ) -> Stacked:
        """Judge models, leaving no trace; generators stand as they did before the first step.

        Examples that are read while they are trained on are read once more, for all runs together, and what is said of
        their minibatches is averaged.

        Args:
            models: Those of some runs.
            python: What each of them keeps in Python, where that is not the same.
            most: Minibatches of such examples that are looked at; None for all.
        """
        stack = self.stack
        together = stack.measures.fused or not stack.fused
        stack = stack if together else stack.alone()
        parts = [models] if together else [take(models, [r]) for r in range(models.runs)]
        with self.untouched() as before:
            own = python or [before.python] * len(parts)
            at = [_Judging(self, stack, part, own[r] or before.python) for r, part in enumerate(parts)]
            for examples, batch in self.batches.judged(most):
                for each in at:
                    each.see(examples, self.batches.copy_of(batch))
        rows = [each.average.value() for each in at]
        return rows[0] if together else stacked_rows(rows)

    def surroundings_now(self) -> Surroundings:
        """Generators and Python's state as they are."""
        return Surroundings.now(self.device, self.stack.problem, self.stack.model)

    def untouched(self) -> AbstractContextManager[Surroundings]:
        """For evaluations that are not part of the training: they leave generators and Python's state as they were."""
        return untouched(self.device, self.stack.problem, self.stack.model)


class _Judging:
    """One judgement of models, minibatch by minibatch, with generators and Python's state of its own."""

    def __init__(self, prepared: Prepared, stack: Stack, models: Models, python: PythonState) -> None:
        self.prepared, self.stack, self.models, self.python = prepared, stack, models, python
        self.average = Average()
        self._between: Surroundings | None = None

    def see(self, examples: int, batch: Any) -> None:
        """Judge them on one more minibatch."""
        if self._between is not None:
            self._between.restore()
        else:
            self.python.restore()
            self.prepared.surroundings.random.restore()
        self.average.add(examples, self.stack.measure(self.models, batch))
        if self.prepared.batches.streamed:
            self._between = self.prepared.surroundings_now()


@dataclass
class Refused:
    """A run that cannot start, and why."""

    key: RunKey
    error: str


def pads(run_size: int) -> bool:
    """Whether a lone run is padded to two, for the last bits of a batch's: not where that would take twice as long."""
    return run_size < LARGE_STEP
