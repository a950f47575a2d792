"""The search for a coefficient: rounds of trainings, what they gave, and what the end means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cpd.outcome import Run, RunKey, Status
from cpd.run.events import IterationEnded
from cpd.run.execution import Session
from cpd.run.target import fixed_setting
from cpd.search.bisection import propose
from cpd.search.bracket import State, observe, start
from cpd.search.ending import Outcome, outcome
from cpd.search.several_ending import Ending
from cpd.search.strategies import STRATEGIES
from cpd.spec.identity import with_ids
from cpd.spec.models import Search, Task
from cpd.spec.searched import DEFAULT, Searched, not_searchable
from cpd.spec.searched import searched_of as named_in
from cpd.verdict.document import Document, Iteration, RunRow, SearchBlock
from cpd.verdict.feasibility import EPSILON
from cpd.verdict.judged import On, decided_by, judged_run
from cpd.verdict.judgement import judge
from cpd.verdict.searching import averaged, is_whole, mean_of, reported, violated


class SearchLoop:
    """The rounds of a search: propose coefficients, train them with every seed, observe their values.

    Attributes:
        runs: All that were trained.
        iterations: A line for each coefficient.
        pruned: Whether some were given up: their side of the target is known, not their value.
    """

    def __init__(self, session: Session, search: Search, parallel: int) -> None:
        self.session = session
        self.search = search
        self.parallel = parallel
        self.runs: list[Run] = []
        self.iterations: list[Iteration] = []
        self.pruned = False
        self._rows: list[RunRow] = []
        self._name = searched_of(session.task).name

    def run(self) -> Outcome | Ending | None:
        """Train until there is an outcome; None where a training failed or nothing more can be stored."""
        state = self._start()
        while (end := outcome(state)) is None:
            sizes = propose(state, STRATEGIES[self.search.strategy])
            coefficients = [state.signed(size) for size in sizes]
            trained = self._judged(self.session.train(keys_at(self.session.task, coefficients)))
            values = self._values(trained, coefficients)
            state = observe(state, {size: values[state.signed(size)] for size in sizes})
            if any(run.status is Status.FAILED for run in trained) or self.session.recording.error is not None:
                return None
        return end

    def block(self, end: Outcome | Ending | None) -> SearchBlock:
        """The search as contract 3 has it; ``end`` is None before its end."""
        block = self._block(end.kind if end is not None else "out_of_budget")
        seeds = len(self.session.task.seeds)
        if block["outcome"] == "solved" and (best := reported(block, seeds)) and not is_whole(best, seeds):
            block["outcome"] = "infeasible"
        return block

    def _block(self, ended: str) -> SearchBlock:
        """What every search has: what was sought, how it ended, and its iterations."""
        search = self.search
        block: SearchBlock = {
            "constraint": search.constraint or "",
            "target": search.target,
            "tolerance": search.tolerance,
            "outcome": ended,
            "trainings": len(self.runs),
            "iterations": list(self.iterations),
        }
        if search.hyperparameter is not None:
            block["hyperparameter"] = search.hyperparameter
        return block

    def _start(self) -> State:
        search, dtype = self.search, self.session.task.train.dtype
        below = search.low < 0
        return start(
            search.target,
            -search.high if below else search.low,
            -search.low if below else search.high,
            negative=below,
            tolerance=search.tolerance,
            max_trainings=search.max_trainings,
            parallel=self.parallel,
            spacing=EPSILON[dtype] / 2,
        )

    def _judged(self, trained: Sequence[Run]) -> list[Run]:
        """The runs of a round, with the numbers by which it is searched."""
        new = [run for run in trained if run not in self.runs]
        self.runs += new
        self._rows += judge(self.session.task, new, summary=False, on=self._by)["runs"]
        return [judged_run(run, self._by) for run in trained]

    @property
    def _by(self) -> On:
        """The data that decide."""
        return decided_by(self.runs, self.session.task.judge)

    def _values(
        self, trained: Sequence[Run], coefficients: Sequence[float]
    ) -> dict[float, float | list[float | None] | None]:
        """The values of a round, shown as they are known: one for each seed, or where those given up stood then."""
        values: dict[float, float | list[float | None] | None] = {}
        shown = len(self.iterations)
        for c in coefficients:
            values[c] = self._observed(c, [run for run in trained if run.key.setting[self._name] == c])
        document = self._document()
        for row in self.iterations[shown:]:
            self.session.tell(IterationEnded(row, document))
        return values

    def _observed(self, coefficient: float, own: Sequence[Run]) -> float | list[float | None] | None:
        name, target = self.search.constraint or "", self.search.target
        row = _iteration(own, coefficient, name, len(self.iterations) + 1)
        task = self.session.task
        if broken := violated(own, task.constraints, name, task.train.dtype):
            row["violated"] = broken
        stood = _stood(own, name) if any(run.status is Status.PRUNED for run in own) else None
        if stood is not None:
            self.pruned = True
            row["pruned"] = "above" if stood > target else "below"
        self.iterations.append(row)
        return seed_values(own, name) if stood is None else stood

    def _document(self) -> Document:
        """The search so far, judged."""
        found = judge(self.session.task, [], search=self.block(None), summary=False, on=self._by)
        return {**found, "runs": list(self._rows)}


def searched_of(task: Task) -> Searched:
    """The hyperparameter that a task is searched along; the penalty coefficient of one that says nothing."""
    return named_in(task.search)


def keys_at(task: Task, coefficients: Sequence[float | list[float]]) -> list[RunKey]:
    """The runs with these values of the hyperparameter that is searched, or one of each constraint; every seed."""
    levels = {n: c.level for n, c in task.constraints.items()}
    found = searched_of(task)
    others = fixed_setting(task, found) if task.program is not None or found != DEFAULT else {}
    keys = [RunKey(found.method, {**others, found.name: c}, levels, seed) for c in coefficients for seed in task.seeds]
    return with_ids(task, keys)


def _iteration(runs: Sequence[Run], coefficient: float, constraint: str, number: int) -> Iteration:
    """One line of the search: means over the seeds that completed; None where none did, or one was given up."""
    whole = not any(run.status in (Status.PRUNED, Status.FAILED) for run in runs)
    good = [run for run in runs if run.status is Status.COMPLETED] if whole else []
    seed_values(good, constraint)
    found = averaged(good, constraint)
    return {
        "iteration": number,
        "coefficient": coefficient,
        "value": found["value"],
        "objective": found["objective"],
        "metrics": found["metrics"],
        "spread": found["spread"],
        "seeds": len(good),
    }


def seed_values(runs: Sequence[Run], constraint: str) -> list[float | None]:
    """Each run's own value, None where it gave none."""
    done = (run.constraints[constraint].value if run.status is Status.COMPLETED else None for run in runs)
    return [_scalar(value, constraint) for value in done]


def _stood(runs: Sequence[Run], constraint: str) -> float | None:
    """Mean of the constraint's last values, of finished and of given up runs."""
    last = [
        next((v for v in reversed(run.curves.constraints[constraint]) if v is not None), None) if run.curves else None
        for run in runs
    ]
    return mean_of([_scalar(value, constraint) for value in last])


def _scalar(value: Any, constraint: str) -> float | None:
    if isinstance(value, list):  # found in the store, so that no training has refused it
        raise not_searchable(constraint, len(value))
    return None if value is None else float(value)
