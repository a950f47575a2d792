"""Train a batch in a worker; importable on every worker, and nothing but plain objects go in and out."""

from __future__ import annotations

import threading
from dataclasses import replace

from cpd.engine.batch import Batch
from cpd.engine.train import Hooks, Interrupted, Trained
from cpd.errors import CpdError
from cpd.executors.worker import cancelled, device
from cpd.run.apart import train_apart
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
        return train_apart(batch, hooks)
    except Interrupted:
        return None
    except CpdError as error:
        return error


def worker_versions() -> dict[str, str]:
    """Versions that must be the same on every worker."""
    found = versions()
    return {name: found[name] for name in ("cpd", "torch", "python")}
