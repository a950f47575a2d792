"""What a command would train, how much of it is stored, and how long the rest would take; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from cpd.errors import CpdError, SpecError
from cpd.outcome import Run, RunKey
from cpd.run.options import Options
from cpd.spec.identity import runs as expand
from cpd.spec.inputs import unchanged
from cpd.spec.models import Task
from cpd.store.store import default_path, open_store

if TYPE_CHECKING:
    from cpd.run.batches import Kind

LIKE = 2
"""Stored sweeps of up to this many times the runs, or as many times fewer, tell how long others take."""

LOOKED_AT = 5
"""Stored sweeps of a task that are looked at for it, the newest first."""

MOST_MEASURED = 8
"""Programs of a task that are measured: each is evaluated."""


@dataclass(frozen=True)
class OfMethod:
    """What would train of one method.

    Attributes:
        settings: How many; of a search the most.
        runs: How many, of all levels and seeds; of a search the most.
        stored: Those that the store has.
    """

    method: str
    settings: int
    levels: int
    seeds: int
    runs: int
    stored: int


@dataclass(frozen=True)
class Forecast:
    """What a command would do.

    Attributes:
        methods: Each in the task's order.
        seconds: About what the runs that are not stored would take; None where that is not known.
        source: Where the seconds are from, or why there are none.
        at_most: Whether it is a search, which may end sooner.
    """

    task: Task
    methods: tuple[OfMethod, ...]
    seconds: float | None
    source: str
    at_most: bool = False

    @property
    def runs(self) -> int:
        """All runs."""
        return sum(one.runs for one in self.methods)

    @property
    def stored(self) -> int:
        """Runs that the store has."""
        return sum(one.stored for one in self.methods)


def forecast(kind: Kind, task: Task, options: Options, parallel: int = 1) -> Forecast:
    """Count what a command would train.

    Args:
        kind: The command.
        task: Its task, aimed at its target where it is a search.
        options: Where and how.
        parallel: Coefficients that a search trains at once.

    Raises:
        CpdError: The store cannot be read, or the problem cannot be used.
    """
    if task.budget is not None and (kind == "compare" or (kind == "sweep" and task.search is None)):
        return _tuning(kind, task, options)
    if task.search is not None:
        return _search(task, options, parallel)
    keys = expand(task)
    found = _known(task, options, keys)
    left = [key for key in keys if key.id not in found]
    levels = max(1, len({tuple(key.levels.items()) for key in keys}))
    methods = []
    for method in task.methods:
        own = [key for key in keys if key.method == method]
        stored = sum(key.id in found for key in own)
        each = max(1, levels * len(task.seeds))
        methods.append(OfMethod(method, len(own) // each, levels, len(task.seeds), len(own), stored))
    seconds, source = _seconds(kind, task, options, left)
    return Forecast(task, tuple(methods), seconds, source)


def _search(task: Task, options: Options, parallel: int) -> Forecast:
    """A search as far as the store has it; what follows depends on what is found."""
    from cpd.run.bisection import keys_at
    from cpd.run.searching import loop_of
    from cpd.run.target import aimed

    assert task.search is not None
    task = aimed(task, task.search)
    search = task.search
    assert search is not None
    replayed = _Replayed(task, options)
    ended = False
    with suppress(_NotStored):
        loop_of(cast(Any, replayed), search, parallel).run()
        ended = True
    seeds = len(task.seeds)
    coefficients = replayed.stored // seeds if ended else max(search.max_trainings, replayed.stored // seeds)
    one_round = keys_at(task, [search.high * (k + 1) / max(1, parallel) for k in range(parallel)])
    own = OfMethod(one_round[0].method, coefficients, 1, seeds, coefficients * seeds, replayed.stored)
    if ended:
        return Forecast(task, (own,), 0.0, "the whole search is stored", at_most=True)
    seconds, source = _seconds("bisect", task, options, one_round)
    rounds = -(-(coefficients - replayed.stored // seeds) // parallel)
    return Forecast(task, (own,), None if seconds is None else seconds * rounds, source, at_most=True)


def _tuning(kind: Kind, task: Task, options: Options) -> Forecast:
    """Equal budgets as far as the store has them; what a sampler that learns asks for next depends on what is found."""
    from cpd.run.spaces import check_sampler
    from cpd.run.tuning import TuningLoop

    assert task.budget is not None
    check_sampler(task)
    replayed = _Replayed(task, options)
    loop = TuningLoop(cast(Any, replayed), task.budget)
    with suppress(_NotStored):
        loop.run()
    levels = max(1, len({tuple(study.key.levels.items()) for study in loop.studies}))
    methods = []
    for method in task.methods:
        own = [study for study in loop.studies if study.key.method == method]
        runs = sum(study.most for study in own)
        stored = sum(key.method == method for key in replayed.found)
        methods.append(OfMethod(method, max(study.most for study in own), levels, len(task.seeds), runs, stored))
    found = Forecast(task, tuple(methods), 0.0, "all of it is stored")
    if found.runs == found.stored:
        return found
    seconds, source = _seconds(kind, task, options, replayed.missing)
    if seconds is not None:
        seconds *= (found.runs - found.stored) / len(replayed.missing)
    return replace(found, seconds=seconds, source=source)


class _NotStored(Exception):
    """A round of a search that the store has not got."""


class _Replayed:
    """What a search trains with, of stored runs alone: it ends where one is not there."""

    def __init__(self, task: Task, options: Options) -> None:
        self.task = task
        self.stored = 0
        self.found: list[RunKey] = []
        self.missing: list[RunKey] = []
        self.recording = SimpleNamespace(error=None)
        self._options = options

    def train(self, keys: Sequence[RunKey]) -> list[Run]:
        """The stored runs."""
        found = _known(self.task, self._options, keys)
        self.stored += len(found)
        self.found += [key for key in keys if key.id in found]
        self.missing = [key for key in keys if key.id not in found]
        if self.missing:
            raise _NotStored
        return [found[key.id or ""] for key in keys]

    def tell(self, event: object) -> None:
        """Nobody listens."""


def _known(task: Task, options: Options, keys: Sequence[RunKey]) -> Mapping[str, Run]:
    """The runs among these that the command would find."""
    place = default_path() if options.store is None else Path(options.store).expanduser()
    if not options.keep or options.fresh or not place.exists():
        return {}
    is_unchanged = partial(unchanged, folder=task.problem.folder, elsewhere=options.backend != "local")
    with open_store(options.store, "read") as opened:
        return opened.known([key.id for key in keys if key.id is not None], is_unchanged)


def _seconds(kind: Kind, task: Task, options: Options, left: Sequence[RunKey]) -> tuple[float | None, str]:
    """About what these runs take, and how that is known."""
    if not left:
        return 0.0, "all of it is stored"
    if (seconds := _as_stored(task, options, left)) is not None:
        return seconds, "as stored runs of it took"
    if task.program is not None:
        return None, "how long a program takes is not known before it has run"
    if options.backend != "local":
        return None, "how long that takes on a cluster is not known"
    try:
        return _measured(kind, task, options, left), "by some steps that were tried"
    except SpecError as error:
        raise error.located(task.at) from error


def _as_stored(task: Task, options: Options, left: Sequence[RunKey]) -> float | None:
    """What these runs take if they are as fast as those of a stored sweep like it; None where there is none."""
    place = default_path() if options.store is None else Path(options.store).expanduser()
    if not options.keep or not place.exists():
        return None
    recipe, methods = task.train.model_dump(mode="json"), {key.method for key in left}
    with suppress(CpdError), open_store(options.store, "read") as opened:
        for info in [one for one in opened.sweeps() if one.task == task.name][:LOOKED_AT]:
            if not len(left) / LIKE <= info.completed <= len(left) * LIKE:
                continue
            stored = opened.load(info.id)
            runs = [run for run in stored.runs if run.seconds and (run.steps or task.program is not None)]
            times = _times(recipe, stored.record.spec.get("train", {}))
            if times is not None and methods <= {run.key.method for run in runs}:
                return times * len(left) * sum(run.seconds for run in runs) / len(runs)
    return None


def _times(recipe: Mapping[str, Any], stored: Mapping[str, Any]) -> float | None:
    """How many times as long a training is as a stored one of the same recipe; None where it is another recipe."""
    budgets = ("steps", "epochs")
    known = {name: value for name, value in stored.items() if name not in budgets}
    if any(recipe.get(name) != value for name, value in known.items()):
        return None
    for name in budgets:
        if recipe.get(name) and stored.get(name):
            return float(recipe[name]) / float(stored[name])
    return None


def _measured(kind: Kind, task: Task, options: Options, left: Sequence[RunKey]) -> float | None:
    """What these runs take by some steps of each of their programs, which are made and left there."""
    from cpd.engine import checking
    from cpd.engine.importing import leave
    from cpd.run.batches import Batches
    from cpd.run.foresight import seconds_of
    from cpd.run.programs import Programs

    programs = Programs(task)
    alike = list(programs.by_structure(left).values())[:MOST_MEASURED]
    total = 0.0
    try:
        for own in alike:
            batch = Batches(kind, task, options, None, pruning=False).of((own[0],))
            seen = checking.foreseen(batch, len(own))
            total += seconds_of(own, options, seen, share_seeds=batch.train.batch_size is None)
    finally:
        leave()
    return total * len(left) / sum(map(len, alike))
