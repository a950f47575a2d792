"""Train runs as fused programs of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cpd.engine.batch import Batch
from cpd.engine.cost import MOST_WEIGHED, Work, evenly, in_the_mean, limit_threads, weigh
from cpd.engine.importing import leave
from cpd.engine.preparing import check_device
from cpd.engine.train import Hooks, Trained, forget
from cpd.errors import CpdError
from cpd.executors.start import Where
from cpd.outcome import Run, RunKey, Status
from cpd.run.batches import Batches, Kind
from cpd.run.options import Options
from cpd.run.parts import halves
from cpd.run.programs import Programs
from cpd.run.sent import sent
from cpd.run.trainer import KeptModels
from cpd.run.worker import train_batch, train_here, worker_versions
from cpd.spec.models import Task


class FusedTrainer:
    """Trains runs as fused programs."""

    shares_process = True
    elsewhere = staticmethod(train_batch)
    setup = staticmethod(limit_threads)
    probe = staticmethod(worker_versions)
    halves = staticmethod(halves)
    forget = staticmethod(forget)
    leave = staticmethod(leave)
    programs = Programs
    sent = staticmethod(sent)

    def check_devices(self, options: Options) -> None:
        """See that the devices are there; a cluster's workers have their own, or say that they have not."""
        for device in options.devices:
            check_device(device, "--devices")
        if not options.devices and options.backend == "local":
            check_device(options.device)

    def batches(
        self, kind: Kind, task: Task, options: Options, checkpoints: Path | None, models: KeptModels
    ) -> Batches:
        """Batches of as many runs as may share a program."""
        if options.halving is not None:
            hint = "leave it out, or try --prune: fused runs go on together"
            raise CpdError("is for programs, and the task has a problem", place="--halving", hint=hint)
        folder, whose = models.folder, models.whose
        return Batches(kind, task, options, checkpoints, options.prune, models=folder, models_of=whose)

    def weigh(self, batches: Batches, programs: Programs, keys: Sequence[RunKey]) -> Work | None:
        """Count what a run takes: those of a program have the same model, data and steps."""
        alike = list(programs.by_structure(keys).values())
        found = [(weigh(batches.of((own[0],))), len(own)) for own in evenly(alike, MOST_WEIGHED)]
        return in_the_mean(found)

    def here(
        self, progress: Callable[[int, int, int], None], stop: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[Batch], Any]:
        """What trains a batch in this process."""
        return partial(train_here, Hooks(progress=progress, stop=stop, say=say))

    def where(self, where: Where) -> Where:
        """As it is planned."""
        return where

    def known_of(self, backend: str) -> str | None:
        """Nothing: it is the same everywhere."""
        return None

    def patience(self, seconds: float) -> float:
        """As the user said."""
        return seconds

    def failed(self, batch: Batch, error: str) -> Trained:
        """Failed runs."""
        return Trained([Run(key, Status.FAILED, error=error) for key in batch.keys])

    def arrived(self, batch: Batch, outcome: Any) -> Any:
        """As it came."""
        return outcome
