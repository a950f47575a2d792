"""Train a batch in a worker; importable on every worker, and nothing but plain objects go in and out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cpd.engine.batch import Batch
from cpd.engine.checkpoint_file import batch_folder
from cpd.engine.train import Hooks, Interrupted, Trained, train
from cpd.errors import CpdError
from cpd.executors.worker import cancelled, device
from cpd.outcome import RunKey
from cpd.run.provenance import versions

Outcome = Trained | CpdError | None
"""None: asked to stop."""

alone = threading.Lock()
"""Two trainings on threads of one process would draw from one generator, and get numbers of each other."""


def train_batch(batch: Batch) -> Outcome:
    """Train a batch in a worker process, on the worker's own device if it is bound to one."""
    bound = device()
    with alone:
        hooks = Hooks(stop=cancelled)
        return train_here(hooks, batch if bound is None else replace(batch, device=bound))


def train_here(hooks: Hooks, batch: Batch) -> Outcome:
    """Train a batch; what is wrong with the problem itself is a result too, for exceptions do not all travel."""
    try:
        return train(batch, hooks)
    except Interrupted:
        return None
    except CpdError as error:
        return error


def halves(batch: Batch) -> tuple[Batch, Batch] | None:
    """Cut a batch in two, each with a folder of its own for checkpoints, or None for a single run."""
    if len(batch.keys) == 1:
        return None
    middle = len(batch.keys) // 2
    return _part(batch, batch.keys[:middle]), _part(batch, batch.keys[middle:])


def _part(batch: Batch, keys: tuple[RunKey, ...]) -> Batch:
    if batch.checkpoint is None:
        return replace(batch, keys=keys)
    folder = checkpoint_folder(Path(batch.checkpoint).parent, keys, pruning=batch.prune is not None)
    return replace(batch, keys=keys, checkpoint=folder)


def checkpoint_folder(root: Path, keys: Sequence[RunKey], *, pruning: bool) -> str:
    """The folder of a batch's own; a batch that gives runs up is another training than one that does not."""
    return batch_folder(root, [*(str(key.id) for key in keys), *(["pruning"] if pruning else [])])


def worker_versions() -> dict[str, str]:
    """Versions that must be the same on every worker."""
    found = versions()
    return {name: found[name] for name in ("cpd", "torch", "python")}
