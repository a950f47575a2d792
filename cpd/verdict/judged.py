"""Which data decide a verdict, training's or held-out examples, and a run's numbers on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, HeldOut, Run, Status, finite_or_none
from cpd.verdict.document import ConstraintRow, Document, HeldOutRow, RunRow
from cpd.verdict.feasibility import Bound, finite, holds, level_of, violation

On = Literal["training", "held_out"]
"""The data that decide."""

DATA: tuple[On, ...] = ("training", "held_out")


def decided_by(runs: Sequence[Run], asked: On | None = None) -> On:
    """The data that decide: those that are asked for, or else held-out examples where some run was measured on them.

    Raises:
        CpdError: Held-out examples are asked for, and no run was measured on any.
    """
    known = any(run.held_out is not None for run in runs)
    if asked == "held_out" and not known and any(run.status is Status.COMPLETED for run in runs):
        hint = "add held_out: 0.2 to the task, or write held_out(self) in the problem"
        raise CpdError("no run was measured on held-out examples", place="judge", hint=hint)
    return asked or ("held_out" if known else "training")


def judged_outcome(run: Run, name: str, on: On) -> ConstraintOutcome:
    """The outcome of a constraint whose ``value`` decides; without numbers where the run has none on these data."""
    if on == "training":
        return run.constraints.get(name, ConstraintOutcome())
    return (run.held_out or HeldOut()).constraints.get(name, ConstraintOutcome())


def judged_objective(run: Run, on: On) -> float | None:
    """The objective that decides, None of a run that did not complete."""
    if run.status is not Status.COMPLETED:
        return None
    return finite_or_none(run.objective if on == "training" else (run.held_out or HeldOut()).objective)


def is_held(run: Run, bounds: Mapping[str, Bound], dtype: str, on: On) -> bool:
    """Whether a run completed, and every constraint holds on the data that decide."""
    return judged_objective(run, on) is not None and all(
        holds(finite(judged_outcome(run, name, on).value), level_of(run.key, name, bound), bound, dtype)
        for name, bound in bounds.items()
    )


def as_judged(run: Run, on: On) -> Run:
    """A run as these data show it: failed where no example of them counts for some constraint."""
    error = run.held_out.error if on == "held_out" and run.held_out is not None else None
    if error is None or run.status is not Status.COMPLETED:
        return run
    return replace(run, status=Status.FAILED, objective=None, error=error)


def judged_run(run: Run, on: On) -> Run:
    """A run whose objective, values and metrics are those that decide; all else stays the training's."""
    run = as_judged(run, on)
    if on == "training":
        return run
    held = run.held_out or HeldOut()
    found = {name: (outcome, judged_outcome(run, name, on)) for name, outcome in run.constraints.items()}
    constraints = {
        name: replace(own, value=other.value, surrogate=other.surrogate, evidence=other.evidence)
        for name, (own, other) in found.items()
    }
    return replace(run, objective=judged_objective(run, on), constraints=constraints, metrics=held.metrics)


def held_out_row(run: Run, levels: Mapping[str, float], bounds: Mapping[str, Bound]) -> HeldOutRow | None:
    """A run's numbers on held-out examples; None without any."""
    if run.held_out is None:
        return None
    found = {name: judged_outcome(run, name, "held_out") for name in bounds}
    return {
        "objective": finite_or_none(run.held_out.objective),
        "constraints": {
            name: {
                "value": (value := finite(outcome.value)),
                "surrogate": finite(outcome.surrogate),
                "violation": violation(value, levels[name], bounds[name].sense),
            }
            for name, outcome in found.items()
        },
        "metrics": {name: finite_or_none(number) for name, number in run.held_out.metrics.items()},
        "examples": run.held_out.examples,
    }


def judged_rows(rows: Sequence[RunRow], on: str) -> list[RunRow]:
    """Rows whose objective, values, violations and metrics are those that decide; all else stays the training's."""
    return [judged_row(row, on) for row in rows]


def judged_row(row: RunRow, on: str) -> RunRow:
    """One such row."""
    if on == "training":
        return row
    held = row.get("held_out")
    own = {name: _judged_constraint(constraint, name, held) for name, constraint in row["constraints"].items()}
    objective, metrics = (held["objective"], held["metrics"]) if held is not None else (None, {})
    return {**row, "objective": objective, "constraints": own, "metrics": metrics}


def judged_document(document: Document) -> Document:
    """A document whose runs have the numbers that decide."""
    return {**document, "runs": judged_rows(document["runs"], judges(document))}


def _judged_constraint(own: ConstraintRow, name: str, held: HeldOutRow | None) -> ConstraintRow:
    found = held["constraints"].get(name) if held is not None else None
    if found is None:
        return {**own, "value": None, "surrogate": None, "violation": None}
    return {**own, **found}


def judges(document: Document) -> str:
    """Which data decide the verdicts of a document."""
    return document.get("judge", "training")
