"""A batch's checkpoints: so many seconds of work may be lost, however many trainings the batch is made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.checkpoint_file import CheckpointStore, OtherFormat
from cpd.engine.generators import RandomState
from cpd.engine.loading import inputs_of
from cpd.engine.python_checkpoint import CannotKeep, read_random, resume_state, written_random, written_state
from cpd.engine.training import Training
from cpd.engine.tree import Misfit, load, save
from cpd.errors import StoreError
from cpd.outcome import RunKey
from cpd.spec.identity import canonical_json

Saved = tuple[str, dict[str, Tensor], dict[str, Any]]


class Keeper:
    """Keeps the training under way, and those that have ended since the last time: a batch is stored as a whole.

    A checkpoint that cannot be written costs a line, not the training.

    Args:
        batch: Names the folder; None there keeps nothing.
        tell: Told what the user should know.
    """

    def __init__(self, batch: Batch, tell: Callable[[str], None]) -> None:
        self._store: CheckpointStore | None = None
        self._every = batch.checkpoint_every
        self._tell = tell
        if batch.checkpoint:
            with self._told("the training goes on without checkpoints"):
                self._store = CheckpointStore(batch.checkpoint)
        self._saved = time.monotonic()
        self._ended: list[Saved] = []
        self._read = {path: content for path, (content, _) in inputs_of(batch.problem).items()}

    def resume(self, training: Training) -> None:
        """Let a training go on from its checkpoint if it has one.

        A damaged one is removed; one of another format, or of another training, is left aside.
        """
        if self._store is None:
            return
        name = self._name(training)
        with self._told("this batch starts again"):
            try:
                saved = self._store.load(name)
                if saved is not None:
                    resume(training, *saved)
            except (OtherFormat, Misfit) as error:
                said = f"the checkpoint is of another training: {error}" if isinstance(error, Misfit) else str(error)
                aside = self._store.leave_aside(name)
                raise StoreError(f"{said}; left aside as {aside.name}", place=str(self._store.path(name))) from error
            except StoreError:
                self._store.remove(name)
                raise

    def due(self) -> bool:
        """Whether so much time has passed that more must not be lost."""
        return self._store is not None and time.monotonic() - self._saved >= self._every

    def save(self, training: Training) -> None:
        """Write the training under way, and those that have ended before it."""
        try:
            saved = [(self._name(training), *checkpoint(training))]
        except CannotKeep as error:
            self._tell(f"{error}: interrupted, this training starts again")
            saved = []
        self._write([*self._ended, *saved])

    def ended(self, training: Training) -> None:
        """A training has ended, and perhaps others of the batch follow."""
        if self._store is None:
            return
        try:
            tensors, meta = checkpoint(training)
        except CannotKeep:
            return  # trained again where the batch is interrupted, as was said when it was to be saved
        self._ended.append((self._name(training), {n: t.cpu() for n, t in tensors.items()}, meta))
        if self.due():
            self._write(self._ended)

    def _write(self, saved: list[Saved]) -> None:
        if self._store is not None:
            with self._told("the training goes on without one"):
                for each in saved:
                    self._store.save(*each)
        self._ended = []
        self._saved = time.monotonic()

    def _name(self, training: Training) -> str:
        """Name of a training's checkpoint: the hash of its runs in order, and of what the problem read."""
        read = [canonical_json(self._read)] if self._read else []
        return hashlib.sha256("".join([*map(identity, training.keys), *read]).encode()).hexdigest()[:24]

    @contextmanager
    def _told(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self._tell(f"{error.place}: {error.message}: {consequence}")


def checkpoint(training: Training) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything that a training needs to go on bit by bit: tensors by name, and plain numbers."""
    training.refuse_to_be_kept()
    prepared = training.prepared
    random = RandomState.now(prepared.device)
    order, taken = training.prepared.batches.state()
    tensors = save({str(k): cohort.tree for k, cohort in enumerate(training.cohorts)})
    tensors |= {"random/cpu": random.cpu, "order": order}
    if random.cuda is not None:
        tensors["random/cuda"] = random.cuda
    return tensors, {
        "done": training.done,
        "seconds": training.seconds,
        "taken": taken,
        "stepper": training.chosen,
        "splits": training.splits,
        "shapes": list(training.shapes),
        "notes": list(training.notes),
        "random": written_random(random),
        "python": written_state(prepared.surroundings.python),
    }


def resume(training: Training, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Go on where :func:`checkpoint` was taken.

    Raises:
        Misfit: It was taken of another training.
    """
    words = read_random(meta["random"])
    device = training.prepared.device
    random = RandomState(device, tensors.pop("random/cpu"), tensors.pop("random/cuda", None), **words)
    order = tensors.pop("order")
    cut = replace(training, left=[], splits=[])  # what does not fit leaves the training as it was
    for stay in meta["splits"]:
        cut.split(stay)
    cut.put_back(list(load({str(k): cohort.tree for k, cohort in enumerate(cut.cohorts)}, tensors).values()))
    training.left, training.going, training.splits = cut.left, cut.going, cut.splits
    training.prepared.batches.restore(order, meta["taken"])
    training.done, training.seconds, training.chosen = meta["done"], meta["seconds"], meta["stepper"]
    training.notes = list(meta["notes"])
    training.shapes = list(meta.get("shapes", ()))  # a checkpoint of an earlier version has none
    training.prepared.surroundings.python.restore()
    resume_state(training.prepared.surroundings.python, meta["python"])
    random.restore()


def identity(key: RunKey) -> str:
    """A run's identity, also where it has no id."""
    return canonical_json([key.method, key.setting, key.levels, key.seed, key.id])
