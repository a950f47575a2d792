"""What a training is going to be: its engine, and what its steps take, from two of them."""

from __future__ import annotations

import time
from typing import NamedTuple

from cpd.engine.batch import Batch
from cpd.engine.cost import Work, work_of
from cpd.engine.steppers.captured import Captured
from cpd.engine.steppers.choice import Auto, choose
from cpd.engine.steppers.packaging import compile_seconds
from cpd.engine.steppers.stepper import Stepper
from cpd.engine.training import Training

COMPILED = 10
"""How many times as fast as a captured step a compiled one is about, arithmetic aside."""


class Foreseen(NamedTuple):
    """What is known of a training before it begins.

    Attributes:
        fused: Whether runs train as one program.
        shares_seeds: Whether runs of several seeds do.
        engine: What executes its steps, by name.
        work: What one run takes, counted.
        shared: Seconds for all steps that runs of one program share: what starting operations takes.
        once: Seconds before the first step: compiling.
    """

    fused: bool
    shares_seeds: bool
    engine: str
    work: Work
    shared: float
    once: float

    def seconds(self, runs: int) -> float:
        """Of one program of these runs, or of these runs one by one."""
        if self.fused:
            return self.once + self.shared + runs * self.work.seconds
        return runs * (self.once + self.shared)


def foresee(training: Training, batch: Batch, runs: int) -> Foreseen:
    """Look at a training that stands at its first step, and leave it there.

    Args:
        training: Of one run, perhaps padded.
        batch: What it is made of.
        runs: How many runs its program would have.
    """
    prepared, steps, chosen = training.prepared, training.steps, training.chosen
    work, rows = work_of(prepared, batch.train), len(training.keys)
    stepper = choose(batch, training)
    engine, once = stepper.name, 0.0
    with prepared.untouched():
        prepared.surroundings.restore()
        if isinstance(stepper, Auto):
            engine, trace = stepper.foreseen(training.state, prepared.batches, runs / rows)
            if engine == "compiled" and trace is not None:
                once = compile_seconds(trace)
            stepper = training.written() if engine == "eager" else Captured(training.going.step)
        each = _seconds(stepper, training)
    training.chosen = chosen
    fused = prepared.stack.fused
    shared = max(0.0, steps * each - (rows * work.seconds if fused else 0.0))
    shares = fused and not (prepared.draws or prepared.stateful)
    return Foreseen(fused, shares, engine, work, shared / COMPILED if engine == "compiled" else shared, once)


def _seconds(stepper: Stepper, training: Training) -> float:
    """Of one step: the faster of two, after one that prepares."""
    state, batches = training.state, training.prepared.batches
    taken, stood = [], batches.state()
    for _ in range(3):
        began = time.perf_counter()
        state, _ = stepper(state, batches, 1)
        taken.append(time.perf_counter() - began)
    batches.restore(*stood)
    return min(taken[1:])
