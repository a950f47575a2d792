"""The verdict on finished runs, computed when shown from stored strict values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from cpd.outcome import ConstraintOutcome, Diagnosis, Run, Status, finite_or_none
from cpd.verdict.averages import clamped
from cpd.verdict.certainty import Certainty
from cpd.verdict.certificates import certificate
from cpd.verdict.diagnosis import diagnose, fighters
from cpd.verdict.document import ConstraintRow, Document, RunRow, SearchBlock
from cpd.verdict.feasibility import Bound, dtype_of, feasible_share, finite, holds, level_of, violation
from cpd.verdict.gap import CONFIDENCE, GAP, Gap, read_gap
from cpd.verdict.judged import (
    On,
    as_judged,
    decided_by,
    held_out_row,
    judged_objective,
    judged_outcome,
    judged_rows,
)
from cpd.verdict.reach import reached_by
from cpd.verdict.satisfied import satisfied
from cpd.verdict.seeds import same_seeds
from cpd.verdict.sensitivity import add_sensitivities
from cpd.verdict.summary import summarise
from cpd.verdict.surrogates import only_by


class Recipe(Protocol):
    """The part of a training recipe that a verdict needs."""

    @property
    def dtype(self) -> str:
        """``float32`` or ``float64``."""


class Judged(Protocol):
    """The part of a task that a verdict needs."""

    @property
    def name(self) -> str:
        """The task's name."""

    @property
    def objective(self) -> str:
        """The objective's name."""

    @property
    def constraints(self) -> Mapping[str, Bound]:
        """Level, sense and tolerance of each constraint."""

    @property
    def train(self) -> Recipe:
        """The training recipe."""


def judge(
    task: Judged,
    runs: Sequence[Run],
    *,
    gap: Gap = GAP,
    search: SearchBlock | None = None,
    summary: bool = True,
    on: On | None = None,
    confidence: float = CONFIDENCE,
) -> Document:
    """Judge runs and lay them out as the object that other programs read.

    Args:
        task: Its constraints carry the tolerances to judge by; levels come from each run.
        runs: In the order they are to be shown.
        gap: How far above the mark a mean objective may be and still be useful: a share of the spread of feasible
            objectives, such as ``5%``, or a number.
        search: A bisection's record, if there was one; numbers that are not finite become None.
        summary: Whether to add the summary of methods.
        on: Which data decide; None for held-out examples where the runs were measured on them.
        confidence: How sure a verdict on examples is to be, above 0 and below 1.
    """
    reached = reached_by(runs, task.constraints, task.train.dtype)
    by = decided_by(runs, on)
    rows = [_row(run, task.constraints, dtype_of(run.key, task.train.dtype), reached, by) for run in runs]
    for place, seed in same_seeds(runs, rows).items():
        rows[place]["same_as_seed"] = seed
    certainty = Certainty(task.constraints, task.train.dtype, by)
    for row, run in zip(rows, runs, strict=True):
        certainty.write(row, as_judged(run, by), confidence)
    judged: Document = {
        "task": task.name,
        "objective": task.objective,
        "constraints": {
            n: {"level": float(c.level), "sense": str(c.sense), "tolerance": clamped(float(c.tolerance))}
            for n, c in task.constraints.items()
        },
        "runs": rows,
    }
    add_sensitivities(rows, judged["constraints"])
    if summary:
        judged["summary"] = summarise(judged_rows(rows, by), gap, task.constraints, task.train.dtype)
        judged["gap"] = read_gap(gap)
        certainty.write_summary(judged["summary"], rows, [as_judged(run, by) for run in runs], confidence)
    if search is not None:
        judged["search"] = cast(SearchBlock, _plain(search))
    return {**judged, "judge": by, "confidence": confidence}


def _row(run: Run, bounds: Mapping[str, Bound], dtype: str, reached: Callable[[str, float], bool], on: On) -> RunRow:
    run = as_judged(run, on)
    levels = {n: level_of(run.key, n, b) for n, b in bounds.items()}
    objective = finite_or_none(run.objective) if run.status is Status.COMPLETED else None
    outcomes = {n: run.constraints.get(n, ConstraintOutcome()) for n in bounds}
    held = [holds(finite(judged_outcome(run, n, on).value), levels[n], b, dtype) for n, b in bounds.items()]
    diagnosis = diagnose(run, bounds, dtype=dtype, reached=reached)
    measured = run.curves.measured if run.curves is not None else None
    row: RunRow = {
        "id": run.key.id,
        "method": run.key.method,
        "setting": _plain(run.key.setting),
        "levels": levels,
        "seed": run.key.seed,
        "status": run.status.value,
        "feasible": judged_objective(run, on) is not None and all(held),
        "objective": objective,
        "constraints": {n: _constraint(o, levels[n], bounds[n], dtype) for n, o in outcomes.items()},
        "metrics": {n: finite_or_none(x) for n, x in run.metrics.items()},
        "steps": run.steps,
        "seconds": finite_or_none(run.seconds),
        "diagnosis": diagnosis.value if diagnosis else None,
        "error": run.error,
        "model": run.model,
        "selected_step": run.selected_step,
        "held_out": held_out_row(run, levels, bounds),
        "examples": run.examples,
        "kkt": certificate(run, all(held)),
    }
    if (counts := satisfied(run, levels, bounds, dtype, on)) is not None:
        row["satisfied"], row["satisfied_of"] = counts
    if run.mixture:
        row["mixture"] = [{"step": step, "share": share} for step, share in run.mixture]
    if run.averaged is not None:
        row["averaged"] = run.averaged
    if only := only_by(run, outcomes, levels, bounds, dtype):
        row["holds_only_by"] = only
    if diagnosis is Diagnosis.CONTRADICTORY_CONSTRAINTS:
        row["fighting"] = fighters(run, bounds, dtype)
    return row if measured is None else {**row, "curves": {"measured": measured.plain()}}


def _constraint(outcome: ConstraintOutcome, level: float, bound: Bound, dtype: str) -> ConstraintRow:
    value = finite(outcome.value)
    return {
        "value": value,
        "surrogate": finite(outcome.surrogate),
        "violation": violation(value, level, bound.sense),
        "multiplier": finite(outcome.multiplier),
        "feasible_share": _share(outcome, level, bound, dtype),
    }


def _share(outcome: ConstraintOutcome, level: float, bound: Bound, dtype: str) -> float | None:
    """As counted, all steps; at another tolerance than the run was trained with, of the recorded steps."""
    if outcome.held is not None and outcome.tolerance == bound.tolerance:
        return outcome.held
    return feasible_share(outcome.last_values, level, bound, dtype)


def _plain(value: Any) -> Any:
    """JSON's own types: mappings as dicts, sequences as lists, None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
