"""The ways to train that there are."""

from __future__ import annotations

from cpd.run.trainer import Trainer
from cpd.spec.models import Task


def trainer_of(task: Task) -> Trainer:
    """The way in which a task's runs are trained; only a problem's needs torch."""
    if task.program is not None:
        from cpd.run.external import ExternalTrainer

        return ExternalTrainer(task.program)
    from cpd.run.fused import FusedTrainer

    return FusedTrainer()
