"""Decide what is trained where: pure arithmetic on a command's runs, its options and what is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from cpd.executors.cores import usable_cores
from cpd.executors.start import Where
from cpd.outcome import RunKey
from cpd.run.options import Options

LEAST_FUSED = 2
"""Runs for which a worker process of their own pays: a lone small one is padded to two."""

MOST_FUSED = 1024
"""Runs in one program where the user sets no other number."""

MEMORY = 2**31
"""Bytes that the runs of one program may take, by count, where the user sets no number of them."""

WORTH = 6.0
"""Seconds of arithmetic from which sharing it among the cores makes up for starting worker processes."""

FEW = 8
"""Runs that are fused without counting the memory that they take."""

CLUSTER_BATCHES = 16
"""Batches to cut for where it is not known how many workers a cluster has."""

Group = tuple[RunKey, ...]
"""Runs that share a batch."""


Program = Callable[[RunKey], str]
"""Names the program that a run may be in: equal for runs that may share one."""


def one_program(key: RunKey) -> str:
    """The program of runs that may all share one."""
    return ""


class Work(Protocol):
    """Time and memory that one run takes, of several kinds in the mean and at most."""

    @property
    def seconds(self) -> float:
        """Seconds of arithmetic on one core."""

    @property
    def memory(self) -> int:
        """Bytes while it is trained."""


@dataclass(frozen=True)
class Plan:
    """The way of a command's runs: batches and workers.

    Attributes:
        train: Batches to train, in the order in which they go out.
        forget: Batches whose checkpoints are of no use any more.
        where: The compute to start, where none is up yet.
    """

    train: tuple[Group, ...]
    forget: tuple[Group, ...]
    where: Where

    @property
    def here(self) -> bool:
        """Whether this process trains them itself, one after the other."""
        return self.where.is_this_process


def plan(
    keys: Sequence[RunKey],
    options: Options,
    work: Callable[[], Work | None],
    known: Collection[str],
    *,
    share_seeds: bool,
    program: Program = one_program,
) -> Plan:
    """Decide batches and workers.

    Only the runs and the options decide how runs are cut and how many workers there are, never what is stored already:
    so an interrupted sweep meets its own batches (and their checkpoints) again, and a worker's threads, on which the
    last bits of a large product depend, stay as many.

    Args:
        keys: All runs of the command, or of a round of its search.
        options: Where and how to run.
        work: Counts what a run takes, which costs an evaluation; asked where it decides something, and only where this
            process may train: a problem that kills its process, or whose data is on the workers alone, is not touched.
        known: Ids of runs that are in the store.
        share_seeds: Whether runs of different seeds may share a program.
        program: What runs that share a program have in common.
    """
    may_train = options.backend == "local" and options.jobs in (None, 1) and not options.devices
    count = work if may_train and keys else lambda: None
    jobs = _jobs(len(keys), options, count)
    # A number for --fuse alone decides, so that the same batches can be had on any number of workers.
    spread = jobs if options.fuse is None else 1
    groups = cut(keys, jobs=spread, fuse=_fuse(len(keys), options, count), share_seeds=share_seeds, program=program)
    left = [tuple(key for key in group if key.id not in known) for group in groups]
    # Killed between storing it and forgetting it; or another sweep has stored it; or nothing old is wanted.
    stale = [group for group, rest in zip(groups, left, strict=True) if rest != group or options.fresh]
    where = _where(jobs, len(groups), options)
    return Plan(tuple(group for group in left if group), tuple(stale), where)


def _jobs(runs: int, options: Options, count: Callable[[], Work | None]) -> int:
    """Workers to cut for; of a cluster's workers more may come, so its batches are cut as for many."""
    if options.devices:
        return len(options.devices)
    if options.backend != "local":
        return options.jobs or CLUSTER_BATCHES
    if options.jobs is not None:
        return options.jobs
    work = count()
    return default_jobs(runs, seconds=work.seconds if work else 0.0, device=options.device)


def _fuse(runs: int, options: Options, count: Callable[[], Work | None]) -> int:
    """Most runs in one program; few runs fit whatever they take."""
    if options.fuse is not None or runs <= FEW:
        return options.fuse or MOST_FUSED
    work = count()
    return MOST_FUSED if work is None else default_fuse(work.memory)


def _where(jobs: int, groups: int, options: Options) -> Where:
    """The compute; here no more workers than there are batches."""
    jobs = min(jobs, max(1, groups)) if options.backend == "local" else jobs
    return Where(options.backend, jobs, options.address, options.devices)


def cut(
    keys: Sequence[RunKey], *, jobs: int, fuse: int, share_seeds: bool, program: Program = one_program
) -> list[tuple[RunKey, ...]]:
    """Cut runs into batches, the largest first.

    Only the runs and the options decide, never what is stored already, so that an interrupted sweep meets its own
    batches (and their checkpoints) again.

    Args:
        keys: All runs of the sweep.
        jobs: Workers to keep busy; with more than one, the last batches are smaller, so that all end together.
        fuse: Most runs in a batch, 1 for no fusing.
        share_seeds: Whether runs of different seeds may share a program.
        program: What runs that share a program have in common.

    Returns:
        Batches that hold every run exactly once.
    """
    groups: dict[tuple[str, int], list[RunKey]] = {}
    for key in keys:
        groups.setdefault((program(key), 0 if share_seeds else key.seed), []).append(key)
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
