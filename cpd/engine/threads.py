"""How many threads a step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cpd.engine.batch import Batch
from cpd.engine.building import Prepared, Refused

SMALL = 10_000_000
"""Parameters times examples of all runs in a step, below which waiting for other threads costs more than they do."""


@contextmanager
def threads_for(group: Prepared | Refused, batch: Batch) -> Iterator[None]:
    """One thread for small steps, all of the process's threads for large ones."""
    before = torch.get_num_threads()
    if isinstance(group, Prepared) and _size(group, batch) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _size(group: Prepared, batch: Batch) -> int:
    examples = 1 if group.data is None else len(group.data[0])
    in_step = min(examples, batch.train.batch_size or examples)
    return in_step * sum(p.numel() for p in group.stack.parameters.values())


def limit_threads(threads: int) -> None:
    """Set this worker process's threads: workers times threads beyond the cores makes all of them many times slower."""
    torch.set_num_threads(threads)
