"""The order of runs that samplers chose: as a grid's, with the settings of each seed in the order of their training."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.outcome import Run
from cpd.spec.canonical import canonical_json
from cpd.spec.models import Task


def by_study(task: Task, runs: Sequence[Run]) -> list[Run]:
    """Runs by levels, methods and seeds, and then in the order in which they are given."""
    levels = list(dict.fromkeys(canonical_json(dict(run.key.levels)) for run in runs))
    places = {method: k for k, method in enumerate(task.methods)}
    seeds = {seed: k for k, seed in enumerate(task.seeds)}

    def place(run: Run) -> tuple[int, int, int]:
        own = levels.index(canonical_json(dict(run.key.levels)))
        return own, places.get(run.key.method, len(places)), seeds.get(run.key.seed, len(seeds))

    return sorted(runs, key=place)
