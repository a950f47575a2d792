"""The search for a coefficient: rounds of trainings, what they gave, and what the end means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cpd.errors import CpdError
from cpd.methods.registry import CONSTRAINED
from cpd.outcome import Run, RunKey, Status
from cpd.results.result import Result
from cpd.run.events import IterationEnded, SearchBegun
from cpd.run.execution import Session
from cpd.search.bisection import propose
from cpd.search.bracket import State, observe, start
from cpd.search.ending import Outcome, outcome
from cpd.search.strategies import STRATEGIES
from cpd.spec.identity import with_ids
from cpd.spec.models import Search, Task
from cpd.verdict.document import Iteration, SearchBlock


def searched(session: Session, search: Search, parallel: int) -> Result:
    """Train in rounds until the search has an outcome."""
    assert search.constraint is not None, "a task that is searched knows of what"
    session.tell(SearchBegun(session.task))
    loop = SearchLoop(session, search, parallel)
    end = loop.run()
    if end is not None and end.kind == "unattainable" and loop.pruned:
        session.say("the search ended on trainings that were given up: they are trained to the end")
        session.train_to_the_end()
        end = loop.run()
    block: SearchBlock = {
        "constraint": search.constraint,
        "target": search.target,
        "tolerance": search.tolerance,
        "outcome": end.kind if end is not None else "out_of_budget",
        "trainings": len(loop.runs),
        "iterations": loop.iterations,
    }
    return session.result(loop.runs, search=block, advice=_advice(session.task, search, end))


class SearchLoop:
    """The rounds of a search: propose coefficients, train them, observe their values.

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

    def run(self) -> Outcome | None:
        """Train until there is an outcome; None where a training failed or nothing more can be stored."""
        state = self._start()
        while (end := outcome(state)) is None:
            coefficients = propose(state, STRATEGIES[self.search.strategy])
            trained = self.session.train(keys_at(self.session.task, coefficients))
            self.runs += [run for run in trained if run not in self.runs]
            state = observe(state, {c: self._value(trained, c) for c in coefficients})
            if any(run.status is Status.FAILED for run in trained) or self.session.recording.error is not None:
                return None
        return end

    def _start(self) -> State:
        search = self.search
        return start(
            search.target,
            search.low,
            search.high,
            tolerance=search.tolerance,
            max_trainings=search.max_trainings,
            parallel=self.parallel,
        )

    def _value(self, trained: Sequence[Run], coefficient: float) -> float | None:
        """The value of a coefficient, shown as it is known; of one that was given up, where it stood then."""
        constraint = self.search.constraint or ""
        own = [run for run in trained if run.key.setting["coefficient"] == coefficient]
        row = _iteration(own, coefficient, constraint, len(self.iterations) + 1)
        stood = _stood(own, constraint) if any(run.status is Status.PRUNED for run in own) else None
        if stood is not None:
            self.pruned = True
            row["pruned"] = "above" if stood > self.search.target else "below"
        self.iterations.append(row)
        self.session.tell(IterationEnded(row))
        return row["value"] if stood is None else stood


def keys_at(task: Task, coefficients: Sequence[float]) -> list[RunKey]:
    """The penalised runs of these coefficients, every seed."""
    levels = {n: c.level for n, c in task.constraints.items()}
    keys = [RunKey("penalized", {"coefficient": c}, levels, seed) for c in coefficients for seed in task.seeds]
    return with_ids(task, keys)


def _iteration(runs: Sequence[Run], coefficient: float, constraint: str, number: int) -> Iteration:
    """One line of the search: means over the seeds; None where a training gave no number."""
    good = [run for run in runs if run.status is Status.COMPLETED]
    whole = bool(runs) and len(good) == len(runs)
    names = good[0].metrics if good else {}
    return {
        "iteration": number,
        "coefficient": coefficient,
        "value": _mean([_scalar(run.constraints[constraint].value) for run in good]) if whole else None,
        "objective": _mean([run.objective for run in good]) if whole else None,
        "metrics": {name: _mean([run.metrics[name] for run in good]) if whole else None for name in names},
    }


def _stood(runs: Sequence[Run], constraint: str) -> float | None:
    """Mean of the constraint's last values, of finished and of given up runs."""
    last = [
        next((v for v in reversed(run.curves.constraints[constraint]) if v is not None), None) if run.curves else None
        for run in runs
    ]
    return _mean([_scalar(value) for value in last])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _scalar(value: Any) -> float | None:
    if isinstance(value, list):
        raise CpdError("is a vector", place="--target", hint="search a scalar constraint")
    return None if value is None else float(value)


def _advice(task: Task, search: Search, end: Outcome | None) -> str | None:
    """Say what the end of a search means and which command to try."""
    if end is None:
        return "The search ended before its outcome."
    if end.kind == "solved":
        return None
    advice = f"{end.sentence} {end.hint[:1].upper()}{end.hint[1:]}."
    if end.kind != "unattainable" or end.bracket is None:
        return advice
    constrained = next((m for m in CONSTRAINED if m in task.methods), "lagrangian")
    levels = f"{search.constraint}={search.target}"
    return f"{advice} Try: cpd sweep {_typed(task)} --method {constrained} --levels {levels}"


def _typed(task: Task) -> str:
    """The word to type for a task: a bundled one's name, else its path."""
    return task.name if task.place in (f"tasks/{task.name}.yaml", f"sweeps/{task.name}.yaml") else task.place
