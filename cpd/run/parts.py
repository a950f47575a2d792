"""Parts of a batch, each with a folder of its own for checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cpd.engine.batch import Batch
from cpd.engine.checkpoint_file import batch_folder
from cpd.outcome import RunKey


def halves(batch: Batch) -> tuple[Batch, Batch] | None:
    """Cut a batch in two, or None for a single run."""
    if len(batch.keys) == 1:
        return None
    middle = len(batch.keys) // 2
    return part(batch, batch.keys[:middle]), part(batch, batch.keys[middle:])


def part(batch: Batch, keys: tuple[RunKey, ...]) -> Batch:
    """A batch of some of the runs."""
    if batch.checkpoint is None:
        return replace(batch, keys=keys)
    folder = checkpoint_folder(Path(batch.checkpoint).parent, keys, pruning=batch.prune is not None)
    return replace(batch, keys=keys, checkpoint=folder)


def checkpoint_folder(root: Path, keys: Sequence[RunKey], *, pruning: bool) -> str:
    """The folder of a batch's own; a batch that gives runs up is another training than one that does not."""
    return batch_folder(root, [*(str(key.id) for key in keys), *(["pruning"] if pruning else [])])
