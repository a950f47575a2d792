"""Batches whose runs are measured along the way, and what was measured of one."""

from dataclasses import replace
from typing import Any

from cpd.engine.batch import Batch
from cpd.outcome import MeasuredCurves, Run
from cpd.spec.models import Train


def along(batch: Batch, **asked: Any) -> Batch:
    """The same batch with a recipe that asks for measures."""
    return replace(batch, train=Train.model_validate(batch.train.model_dump() | asked))


def measured(run: Run) -> MeasuredCurves:
    """What was measured of a run; it is there."""
    assert run.curves is not None
    assert run.curves.measured is not None
    return run.curves.measured
