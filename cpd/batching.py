"""Cut a sweep's runs into batches: what is fused, and in which order batches go out. Pure arithmetic."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

from cpd.outcome import RunKey

LEAST_FUSED = 4
"""Runs for which a worker process of their own pays."""
MOST_FUSED = 1024
"""Runs in one program where the user sets no other number: memory grows with it."""


def cut(keys: Sequence[RunKey], *, jobs: int, fuse: int | None, share_seeds: bool) -> list[tuple[RunKey, ...]]:
    """Cut runs into batches, the largest first.

    Only the runs and the options decide, never what is stored already, so that an interrupted sweep meets its own
    batches (and their checkpoints) again.

    Args:
        keys: All runs of the sweep.
        jobs: Workers to keep busy; with more than one, the last batches are smaller, so that all end together.
        fuse: Most runs in a batch, 1 for no fusing; None for as many as sensible.
        share_seeds: Whether runs of different seeds may share a program.

    Returns:
        Batches that hold every run exactly once.
    """
    most = fuse or MOST_FUSED
    groups: dict[int, list[RunKey]] = {}
    for key in keys:
        groups.setdefault(0 if share_seeds else key.seed, []).append(key)
    batches = [tuple(part) for group in groups.values() for part in _parts(group, most)]
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


def default_jobs(keys: Sequence[RunKey], *, minibatches: bool, device: str, cores: int | None = None) -> int:
    """How many worker processes help where the user names no number.

    Full-batch trainings are bound by the cost of starting operations: one fused program fills a core and workers only
    cost their start. Minibatch trainings are bound by arithmetic, which the cores can share, each with runs enough to
    fuse. On a device other than the CPU one process feeds it.

    Args:
        keys: The runs to train.
        minibatches: Whether a step sees a part of the data.
        device: Where they train.
        cores: Default: what this process may use.
    """
    if not minibatches or device != "cpu":
        return 1
    cores = cores or len(os.sched_getaffinity(0))
    return max(1, min(cores, len(keys) // LEAST_FUSED))
