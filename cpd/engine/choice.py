"""Which engine executes a training's steps."""

from __future__ import annotations

from cpd.engine.batch import Batch
from cpd.engine.program import Advance, Captured, Eager
from cpd.engine.training import Training

CAPTURE_FROM = 200
"""Steps from which capturing the step (some tenths of a second) pays."""


def choose(batch: Batch, training: Training) -> Advance:
    """The engine that the batch asks for, or the best one where it says ``auto``."""
    if batch.engine == "eager" or not training.prepared.stack.fused:
        return Eager(training.step)
    if batch.engine == "auto" and training.steps < CAPTURE_FROM:
        return Eager(training.step)
    return Captured(training.step)
