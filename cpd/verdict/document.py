"""The verdict on finished runs: contract 3's document, computed when shown from stored strict values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cpd.outcome import ConstraintOutcome, Run, Status
from cpd.verdict.diagnosis import SENTENCES, diagnose
from cpd.verdict.feasibility import Bound, feasible_share, finite, holds, violation
from cpd.verdict.summary import summarise

__all__ = ["SENTENCES", "Judged", "diagnose", "document"]


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
    def constraints(self) -> Mapping[str, Any]:
        """Level, sense and tolerance of each constraint."""

    @property
    def train(self) -> Any:
        """The training recipe, with its dtype."""


def document(
    task: Judged,
    runs: Sequence[Run],
    *,
    gap: float = 0.05,
    search: Mapping[str, Any] | None = None,
    summary: bool = True,
) -> dict[str, Any]:
    """Judge runs and lay them out as the JSON object that other programs read.

    Args:
        task: Its constraints carry the tolerances to judge by; levels come from each run.
        runs: In the order they are to be shown.
        gap: How far above the best feasible mean objective a setting may be and still be useful, relative to it.
        search: A bisection's record, if there was one; numbers that are not finite become None.
        summary: Whether to add the summary of methods.

    Returns:
        ``{task, objective, constraints, runs}`` and, where asked for, ``summary`` and ``search``. Every number is
        finite or None.
    """
    rows = [_row(run, task.constraints, task.train.dtype) for run in runs]
    judged: dict[str, Any] = {
        "task": task.name,
        "objective": task.objective,
        "constraints": {
            n: {"level": float(c.level), "sense": str(c.sense), "tolerance": float(c.tolerance)}
            for n, c in task.constraints.items()
        },
        "runs": rows,
    }
    if summary:
        judged["summary"] = summarise(rows, gap)
    if search is not None:
        judged["search"] = _plain(search)
    return judged


def _row(run: Run, bounds: Mapping[str, Bound], dtype: str) -> dict[str, Any]:
    levels = {n: float(run.key.levels.get(n, b.level)) for n, b in bounds.items()}
    completed = run.status is Status.COMPLETED
    objective = finite(run.objective) if completed else None
    outcomes = {n: run.constraints.get(n, ConstraintOutcome()) for n in bounds}
    held = [holds(finite(o.value), levels[n], bounds[n], dtype) for n, o in outcomes.items()]
    diagnosis = diagnose(run, bounds, dtype=dtype)
    return {
        "id": run.key.id,
        "method": run.key.method,
        "setting": _plain(run.key.setting),
        "levels": levels,
        "seed": run.key.seed,
        "status": run.status.value,
        "feasible": objective is not None and all(held),
        "objective": objective,
        "constraints": {n: _constraint(o, levels[n], bounds[n], dtype) for n, o in outcomes.items()},
        "metrics": {n: finite(x) for n, x in run.metrics.items()},
        "steps": run.steps,
        "seconds": finite(run.seconds),
        "diagnosis": diagnosis.value if diagnosis else None,
        "error": run.error,
    }


def _constraint(outcome: ConstraintOutcome, level: float, bound: Bound, dtype: str) -> dict[str, Any]:
    value = finite(outcome.value)
    return {
        "value": value,
        "surrogate": finite(outcome.surrogate),
        "violation": violation(value, level, bound.sense),
        "multiplier": finite(outcome.multiplier),
        "feasible_share": feasible_share(outcome.tail, level, bound, dtype),
    }


def _plain(value: Any) -> Any:
    """JSON's own types: mappings as dicts, sequences as lists, None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
