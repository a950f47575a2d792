"""What a sweep is going to be, in words: programs, memory, engine, time."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.engine.foresight import Foreseen
from cpd.executors.cores import usable_cores
from cpd.outcome import RunKey
from cpd.run.options import Options
from cpd.run.plan import plan

ENGINES = {"alone": "steps as they are written", "eager": "steps as they are written"}
"""Words for those that are not called by their names."""


def foretold(keys: Sequence[RunKey], options: Options, seen: Foreseen, *, share_seeds: bool) -> str:
    """One line on how runs would train here.

    Args:
        keys: All of them.
        options: Where and how.
        seen: What is known of their training.
        share_seeds: Whether the recipe lets runs of several seeds share a program.
    """
    programs, jobs = _planned(keys, options, seen, share_seeds)
    engine = ENGINES.get(seen.engine, f"{seen.engine} steps")
    seconds = _seconds(programs, jobs, seen)
    at_once = max(programs) if seen.fused else 1
    workers = f" in {jobs} processes" if jobs > 1 else ""
    memory = _size(at_once * seen.work.memory)
    return f"{_runs(programs, seen.fused)}{workers}, about {memory}; {engine}; {time_in_words(seconds)}"


def seconds_of(keys: Sequence[RunKey], options: Options, seen: Foreseen, *, share_seeds: bool) -> float:
    """About what these runs take here; arguments as for :func:`foretold`."""
    return _seconds(*_planned(keys, options, seen, share_seeds), seen)


def _planned(keys: Sequence[RunKey], options: Options, seen: Foreseen, share_seeds: bool) -> tuple[list[int], int]:
    """How many runs each program has, and how many processes train them."""
    chosen = plan(keys, options, lambda: seen.work, (), share_seeds=share_seeds)
    programs = [len(part) for group in chosen.train for part in _programs(group, seen)]
    return programs, max(1, min(chosen.where.jobs, len(chosen.train)))


def _seconds(programs: Sequence[int], jobs: int, seen: Foreseen) -> float:
    return sum(seen.seconds(runs) for runs in programs) / min(jobs, usable_cores())


def _programs(group: Sequence[RunKey], seen: Foreseen) -> list[list[RunKey]]:
    """The programs of a batch: runs of several seeds share one where nothing in a step is random."""
    if not seen.fused:
        return [[key] for key in group]
    by_seed: dict[int, list[RunKey]] = {}
    for key in group:
        by_seed.setdefault(0 if seen.shares_seeds else key.seed, []).append(key)
    return list(by_seed.values())


def _runs(programs: Sequence[int], fused: bool) -> str:
    total = sum(programs)
    if total == 1:
        return "1 run"
    if not fused:
        return f"{total:,} runs, one at a time"
    return f"{total:,} runs as one program" if len(programs) == 1 else f"{total:,} runs as {len(programs):,} programs"


def _size(memory: int) -> str:
    """Bytes in words."""
    return f"{memory / 2**30:.1f} GB" if memory >= 2**30 else f"{max(1, round(memory / 2**20)):,} MB"


def time_in_words(seconds: float) -> str:
    """A rough time in words."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
