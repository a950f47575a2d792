"""Equal budgets: each method has so many trainings for each seed, and a sampler chooses their settings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from cpd.outcome import Run, RunKey, Status
from cpd.results.result import Result
from cpd.results.studies import by_study
from cpd.run.events import SearchBegun, Sink
from cpd.run.execution import Session
from cpd.run.spaces import GridSpace, MethodSpace, space_of
from cpd.samplers.sampler import Sampler
from cpd.samplers.space import Point, Told, size
from cpd.samplers.start import sampler
from cpd.spec.budget import Budget
from cpd.spec.canonical import canonical_json
from cpd.spec.identity import with_ids
from cpd.spec.models import Task
from cpd.verdict.feasibility import Bound, beyond, dtype_of, finite, level_of
from cpd.verdict.judged import On, decided_by, judged_objective, judged_outcome
from cpd.verdict.settings import UNSOUND

TRIES = 1000
"""Points in a row that mean a setting which was trained already, until there are taken to be no others."""


class Trains(Protocol):
    """The part of a session that a tuning needs."""

    task: Task
    tell: Sink
    recording: Any

    def train(self, keys: Sequence[RunKey]) -> list[Run]:
        """The finished runs, found or trained."""


def tuned(session: Session, budget: Budget) -> Result:
    """Train in rounds until every method has had its budget.

    Raises:
        CpdError: See :meth:`Session.train`.
    """
    session.tell(SearchBegun(session.task))
    loop = TuningLoop(session, budget)
    loop.run()
    return session.result(by_study(session.task, loop.runs))


class TuningLoop:
    """The rounds of a tuning: each method's sampler proposes settings for each seed, which are trained together.

    Attributes:
        runs: All that were trained, in their order.
    """

    def __init__(self, session: Trains, budget: Budget) -> None:
        self.session = session
        self.budget = budget
        self.runs: list[Run] = []
        spaces = {method: space_of(session.task, method) for method in session.task.methods}
        self.studies = [Study(session.task, *cell, spaces[cell[0]]) for cell in cells(session.task)]

    def run(self) -> None:
        """Train until all is spent, or nothing more can be trained or stored."""
        while asked := [(study, key, point) for study in self.studies for key, point in study.propose()]:
            keys = with_ids(self.session.task, [key for _, key, _ in asked])
            trained = self.session.train(keys)
            self.runs += trained
            if len(trained) < len(keys) or self.session.recording.error is not None:
                return
            by = decided_by(self.runs, self.session.task.judge)
            for study, own in itertools.groupby(zip(asked, trained, strict=True), key=lambda pair: pair[0][0]):
                study.observe([(point, run) for (_, _, point), run in own], by)


def cells(task: Task) -> list[tuple[str, Mapping[str, float], int]]:
    """Each method at each choice of levels, with each seed."""
    swept = {name: task.levels.get(name, (bound.level,)) for name, bound in task.constraints.items()}
    levels = [dict(zip(swept, values, strict=True)) for values in itertools.product(*swept.values())]
    return [(method, own, seed) for own in levels for method in task.methods for seed in task.seeds]


class Study:
    """The tuning of one method with one seed at one choice of levels, independent of all others."""

    def __init__(
        self, task: Task, method: str, levels: Mapping[str, float], seed: int, space: MethodSpace | GridSpace
    ) -> None:
        assert task.budget is not None
        self.key = RunKey(method, {}, levels, seed)
        self._task, self._space, self._budget = task, space, task.budget
        word = canonical_json([method, dict(levels), seed])
        self._sampler: Sampler = sampler(self._budget.sampler, space.space, word)
        self._given: set[str] = set()

    @property
    def most(self) -> int:
        """Trainings that it will have had at its end."""
        return int(min(self._budget.trainings, size(self._space.space)))

    def propose(self) -> list[tuple[RunKey, Point]]:
        """The runs of the next round; none once the budget is spent or the space has no others."""
        left = self._budget.trainings - len(self._given)
        count = min(left, self._budget.parallel) if self._sampler.learns else left
        found: list[tuple[RunKey, Point]] = []
        missed = 0
        while len(found) < count and missed < TRIES:
            points = self._sampler.propose(count - len(found))
            if not points:
                break
            new = [(replace(self.key, setting=self._space.setting(point)), point) for point in points if point]
            fresh = [pair for pair in new if self._take(pair[0])]
            missed = 0 if fresh else missed + len(points)
            found += fresh
        return found

    def observe(self, ended: Sequence[tuple[Point, Run]], by: On) -> None:
        """Tell the sampler what came of its points."""
        self._sampler.observe([told_of(point, run, self._task, by) for point, run in ended])

    def _take(self, key: RunKey) -> bool:
        """Count a setting; False of one that was counted before."""
        word = canonical_json(dict(key.setting))
        if word in self._given:
            return False
        self._given.add(word)
        return True


def told_of(point: Point, run: Run, task: Task, by: On) -> Told:
    """What a sampler is told of a run: its objective, and how far each constraint is beyond its tolerance.

    Of one that grew beyond any sensible size, as of one that failed, nothing: a model would fit that number alone.
    """
    from cpd.verdict.growth import growth

    objective = judged_objective(run, by)
    if run.status is not Status.COMPLETED or objective is None or not growth(run).isdisjoint(UNSOUND):
        return Told(point, None)
    found = []
    for name, bound in task.constraints.items():
        value = finite(judged_outcome(run, name, by).value)
        values = value if isinstance(value, list) else [value]
        found.append(_worst(values, level_of(run.key, name, bound), bound, dtype_of(run.key, task.train.dtype)))
    known = [violation for violation in found if violation is not None]
    return Told(point, objective, tuple(known) if len(known) == len(found) else ())


def _worst(values: Sequence[float | None], level: float, bound: Bound, dtype: str) -> float | None:
    known = [beyond(value, level, bound, dtype) for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None
