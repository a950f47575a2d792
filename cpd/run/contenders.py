"""Settings of a command that may still be the best of their method, while their runs end one after the other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cpd.outcome import Run, RunKey
from cpd.spec.models import Task
from cpd.verdict.choice import candidates_of
from cpd.verdict.feasibility import dtype_of
from cpd.verdict.judged import decided_by, is_held, judged_rows
from cpd.verdict.judgement import judge


class Contender(NamedTuple):
    """A feasible setting with the runs of all its seeds.

    Attributes:
        place: Among the settings of the command.
        tier: 2 where its feasibility is no luck, 1 where its objectives mean anything, 0 otherwise.
        objective: Mean over its seeds.
        spent: The largest share of a tolerance that it spent.
        held: Share of the last steps at which it held.
    """

    place: int
    tier: int
    objective: float
    spent: float
    held: float

    def outdoes(self, other: Contender) -> bool:
        """Whether the other one cannot be chosen, whatever else there is: it is better in nothing, and not first."""
        if self.tier != other.tier:
            return self.tier > other.tier
        own, its = (self.objective, self.spent, -self.held), (other.objective, other.spent, -other.held)
        return all(a <= b for a, b in zip(own, its, strict=True)) and (own != its or self.place < other.place)


class Contenders:
    """Knows which settings :func:`cpd.verdict.choice.best_of` may still choose.

    Ties go by more than the objective, within slacks that nobody knows before: what is better in anything stays.

    Args:
        task: Its constraints judge the runs.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._seeds: Counter[str] = Counter()
        self._places: dict[str, int] = {}
        self._waiting: dict[str, dict[int, Run]] = {}
        self._out: set[str] = set()
        self._front: dict[str, dict[str, Contender]] = {}
        self._setting_of: dict[str, str] = {}

    def plan(self, keys: Iterable[RunKey]) -> None:
        """These runs will end, in the order of the spec."""
        for key in keys:
            name = _setting(key)
            self._places.setdefault(name, len(self._places))
            self._seeds[name] += 1

    def add(self, runs: Sequence[Run]) -> None:
        """These have ended, well or not."""
        for run in runs:
            name = _setting(run.key)
            self._setting_of[run.key.id or ""] = name
            if name in self._out or not self._is_feasible(run):
                self._leave(name)
                continue
            own = self._waiting.setdefault(name, {})
            own[run.key.seed] = run
            if len(own) == self._seeds[name]:
                self._enter(name, list(self._waiting.pop(name).values()))

    def may_win(self, run: str) -> bool:
        """Whether a run's setting may be the best of its method; of one that is not known, it may."""
        return self._setting_of.get(run) not in self._out

    def _is_feasible(self, run: Run) -> bool:
        by = decided_by([run], self._task.judge if run.held_out is not None else None)
        return is_held(run, self._task.constraints, dtype_of(run.key, self._task.train.dtype), by)

    def _enter(self, name: str, runs: list[Run]) -> None:
        """A setting whose runs have all ended, each feasible."""
        document = judge(self._task, runs, summary=False, on=self._task.judge)
        rows = judged_rows(document["runs"], document["judge"])
        (found,) = candidates_of([rows], self._task.constraints, self._task.train.dtype)
        if found.objective is None:
            return self._leave(name)
        new = Contender(self._places[name], found.sound + found.reliable, found.objective, found.spent, found.held)
        cell = self._front.setdefault(json.dumps([found.method, rows[0]["levels"]], sort_keys=True), {})
        if any(other.outdoes(new) for other in cell.values()):
            return self._leave(name)
        for other in [other for other, known in cell.items() if new.outdoes(known)]:
            del cell[other]
            self._out.add(other)
        cell[name] = new
        return None

    def _leave(self, name: str) -> None:
        self._out.add(name)
        self._waiting.pop(name, None)


def _setting(key: RunKey) -> str:
    return json.dumps([key.method, dict(key.setting), dict(key.levels)], sort_keys=True, default=str)
