"""How many threads a step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cpd.engine.preparing import Prepared, Refused


@contextmanager
def threads_for(group: Prepared | Refused) -> Iterator[None]:
    """One thread for small steps, all of the process's threads for large ones."""
    before = torch.get_num_threads()
    if isinstance(group, Prepared) and not group.is_large:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def limit_threads(threads: int) -> None:
    """Set this worker process's threads: workers times threads beyond the cores makes all of them many times slower."""
    torch.set_num_threads(threads)
