"""Runs that train together, and what they start from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch

from cpd.engine.averages import Average
from cpd.engine.counting import Counter
from cpd.engine.evidence import value_of_all
from cpd.engine.features import Features
from cpd.engine.held_out import examples_in
from cpd.engine.minibatches import Minibatches
from cpd.engine.python_state import PythonState
from cpd.engine.stacked import Models, Stack, Stacked
from cpd.engine.stacked_rows import stacked_rows
from cpd.engine.surroundings import Surroundings, untouched
from cpd.engine.tree import take
from cpd.outcome import RunKey

NEAR = 2**24
"""Numbers that operations of models may give which are judged as one."""
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
        held_out: Examples that are not trained on; None where there are none.
        counts: Examples of each part that were read, where only that tells how many there are.
        features: Of the constraints, for methods that ask; None where the problem gives none.
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
    held_out: Minibatches | None = None
    counts: dict[str, int] = field(default_factory=dict)
    features: Features | None = None

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
        self,
        models: Models,
        python: Sequence[PythonState | None] | None = None,
        *,
        most: int | None = None,
        held_out: bool = False,
        keep: bool = False,
    ) -> Stacked:
        """Judge models, leaving no trace; generators stand as they did before the first step.

        Examples that are read while they are trained on are read once more, for all runs together, and what is said of
        their minibatches is averaged.

        Args:
            models: Those of some runs.
            python: What each of them keeps in Python, where that is not the same.
            most: Minibatches of such examples that are looked at; None for all.
            held_out: Whether they are judged on the examples that are not trained on.
            keep: Whether the terms of shares are kept.
        """
        batches = self.batches
        if held_out:
            assert self.held_out is not None, "there are held-out examples"
            batches = self.held_out
        stack = self.stack
        together = stack.measures.fused or not stack.fused
        stack = stack if together else stack.alone()
        parts = self._parts(models, batches, python) if together else [take(models, [r]) for r in range(models.runs)]
        with self.untouched() as before:
            own = python or [before.python] * len(parts)
            at = [_Judging(self, stack, part, own[r] or before.python, keep) for r, part in enumerate(parts)]
            seen = 0
            for examples, batch in batches.judged(most):
                seen += examples
                for each in at:
                    each.see(examples, batches.copy_of(batch), batches.streamed)
            if batches.streamed and most is None:
                self.counts["held_out" if held_out else "training"] = seen
        rows = [each.value() for each in at]
        return rows[0] if len(rows) == 1 else stacked_rows(rows)

    def _parts(self, models: Models, batches: Minibatches, python: Sequence[Any] | None) -> list[Models]:
        """The runs that are judged as one: so many that what comes between stays near the core, two at least.

        Numbers that memory has to give are several times as slow; those of two runs or more are the same to the bit.
        """
        if not self.stack.fused or python is not None or not self.counted:
            return [models]
        numbers = self.counter.numbers / self.counted
        if batches.batch_size is not None and not batches.streamed:
            numbers *= (examples_in(batches.data) or 1) / batches.batch_size
        size = max(2, int(NEAR // max(numbers, 1)))
        count = max(1, models.runs // size)
        bounds = [round(k * models.runs / count) for k in range(count + 1)]
        return [take(models, list(range(a, b))) for a, b in itertools.pairwise(bounds)]

    def examples(self, held_out: bool = False) -> int | None:
        """How many examples models are judged on; None where there are no data, or they were not read yet."""
        data = self.data if not held_out else self.held_out and self.held_out.data
        return examples_in(data) or self.counts.get("held_out" if held_out else "training")

    def surroundings_now(self) -> Surroundings:
        """Generators and Python's state as they are."""
        return Surroundings.now(self.device, self.stack.problem, self.stack.model)

    def untouched(self) -> AbstractContextManager[Surroundings]:
        """For evaluations that are not part of the training: they leave generators and Python's state as they were."""
        return untouched(self.device, self.stack.problem, self.stack.model)


class _Judging:
    """One judgement of models, minibatch by minibatch, with generators and Python's state of its own."""

    def __init__(self, prepared: Prepared, stack: Stack, models: Models, python: PythonState, keep: bool) -> None:
        self.prepared, self.stack, self.models, self.python, self.keep = prepared, stack, models, python, keep
        self.average = Average()
        self._between: Surroundings | None = None

    def see(self, examples: int, batch: Any, streamed: bool) -> None:
        """Judge them on one more minibatch."""
        if self._between is not None:
            self._between.restore()
        else:
            self.python.restore()
            self.prepared.surroundings.random.restore()
        self.average.add(examples, self.stack.measure(self.models, batch, keep=self.keep))
        if streamed:
            self._between = self.prepared.surroundings_now()

    def value(self) -> Stacked:
        """What they give on all minibatches; of shares whose terms were kept, exactly."""
        at = self.average.value()
        if at.terms is None or self._between is None:
            return at
        strict, observed, first = at.strict.clone(), at.observed, 0
        observed = torch.ones_like(strict, dtype=torch.bool) if observed is None else observed.clone()
        for name, size in self.stack.sizes.items():
            if name in self.stack.plans:
                own, there = value_of_all(self.stack.plans[name], at.terms)
                strict[:, first : first + size] = own.to(strict)
                observed[:, first : first + size] = there.to(observed.device)
            first += size
        return at._replace(strict=strict, observed=observed)


@dataclass
class Refused:
    """A run that cannot start, and why."""

    key: RunKey
    error: str


def pads(run_size: int) -> bool:
    """Whether a lone run is padded to two, for the last bits of a batch's: not where that would take twice as long."""
    return run_size < LARGE_STEP
