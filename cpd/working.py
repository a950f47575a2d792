"""What a worker does with a batch; importable on every worker, and nothing but plain objects go in and out."""

from __future__ import annotations

from dataclasses import replace

from cpd import engine, executors
from cpd.engine import Batch, Hooks, Interrupted, Trained
from cpd.errors import CpdError
from cpd.provenance import versions

Outcome = Trained | CpdError | None
"""None: asked to stop."""


def train_batch(batch: Batch) -> Outcome:
    """Train a batch in a worker process, on the worker's own device if it is bound to one."""
    bound = executors.device()
    return train_here(Hooks(), batch if bound is None else replace(batch, device=bound))


def train_here(hooks: Hooks, batch: Batch) -> Outcome:
    """Train a batch; what is wrong with the problem itself is a result too, for exceptions do not all travel."""
    try:
        return engine.train(batch, hooks)
    except Interrupted:
        return None
    except CpdError as error:
        return error


def halves(batch: Batch) -> tuple[Batch, Batch] | None:
    """Cut a batch in two, or None for a single run. The halves keep no checkpoints: the whole's are not theirs."""
    if len(batch.keys) == 1:
        return None
    middle = len(batch.keys) // 2
    parts = (batch.keys[:middle], batch.keys[middle:])
    return tuple(replace(batch, keys=keys, checkpoint=None) for keys in parts)  # type: ignore[return-value]


def worker_versions() -> dict[str, str]:
    """What must be the same on every worker."""
    found = versions()
    return {name: found[name] for name in ("cpd", "torch", "python")}
