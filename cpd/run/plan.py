"""Cut a sweep's runs into batches: what is fused, and in which order batches go out. Pure arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from cpd.executors.start import usable_cores
from cpd.outcome import RunKey

LEAST_FUSED = 2
"""Runs for which a worker process of their own pays: a lone small one is padded to two."""
MOST_FUSED = 1024
"""Runs in one program where the user sets no other number."""
MEMORY = 2**31
"""Bytes that the runs of one program may take, by count, where the user sets no number of them."""
WORTH = 20.0
"""Seconds of arithmetic from which sharing it among the cores makes up for starting worker processes."""


def cut(keys: Sequence[RunKey], *, jobs: int, fuse: int, share_seeds: bool) -> list[tuple[RunKey, ...]]:
    """Cut runs into batches, the largest first.

    Only the runs and the options decide, never what is stored already, so that an interrupted sweep meets its own
    batches (and their checkpoints) again.

    Args:
        keys: All runs of the sweep.
        jobs: Workers to keep busy; with more than one, the last batches are smaller, so that all end together.
        fuse: Most runs in a batch, 1 for no fusing.
        share_seeds: Whether runs of different seeds may share a program.

    Returns:
        Batches that hold every run exactly once.
    """
    groups: dict[int, list[RunKey]] = {}
    for key in keys:
        groups.setdefault(0 if share_seeds else key.seed, []).append(key)
    batches = [tuple(part) for group in groups.values() for part in _parts(group, fuse)]
    if jobs > 1:
        batches = _spread(batches, jobs)
    return sorted(batches, key=len, reverse=True)


def _parts(group: list[RunKey], most: int) -> list[list[RunKey]]:
    """Cut a group into parts of nearly one size, at most ``most`` each."""
    count = -(-len(group) // most)
    bounds = [round(k * len(group) / count) for k in range(count + 1)]
    return [group[a:b] for a, b in itertools.pairwise(bounds)]


def _spread(batches: list[tuple[RunKey, ...]], jobs: int) -> list[tuple[RunKey, ...]]:
    """Halve the largest batches until every worker has work to the end: three batches a worker, none under two runs."""
    batches = sorted(batches, key=len, reverse=True)
    while len(batches) % jobs and len(batches) < 3 * jobs and len(batches[0]) >= 4:
        largest = batches.pop(0)
        half = len(largest) // 2
        batches = sorted([*batches, largest[:half], largest[half:]], key=len, reverse=True)
    return batches


def default_jobs(runs: int, *, seconds: float, device: str, cores: int | None = None) -> int:
    """How many worker processes help where the user names no number.

    Small trainings are bound by the cost of starting operations: one fused program fills a core, and workers only cost
    their start. Large ones are bound by arithmetic, which the cores can share. On a device other than the CPU one
    process feeds it.

    Args:
        runs: To train.
        seconds: Of arithmetic that a run takes on one core.
        device: Where they train.
        cores: Default: what this process may use.
    """
    if device != "cpu" or runs * seconds < WORTH:
        return 1
    return max(1, min(cores or usable_cores(), runs // LEAST_FUSED))


def default_fuse(memory: int) -> int:
    """Most runs to fuse where the user names no number: as many as :data:`MEMORY` holds, of ``memory`` bytes each."""
    return max(1, min(MOST_FUSED, MEMORY // max(1, memory)))
