"""Which levels of a constraint the runs of a document reached: those are not out of reach for the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from cpd.outcome import Run, Status
from cpd.verdict.feasibility import Bound, dtype_of, feasible_share, finite, holds, level_of

OFTEN = 0.1
"""A run that held its constraint at this share of its last steps has reached the level, wherever it ended."""


def reached_by(runs: Sequence[Run], bounds: Mapping[str, Bound], dtype: str) -> Callable[[str, float], bool]:
    """Ask whether some completed run reached a level of a constraint, whatever level it was trained at.

    Args:
        runs: Of one document.
        bounds: Sense and tolerance of each constraint.
        dtype: Of the values of runs that have none of their own.
    """

    @cache
    def reached(name: str, level: float) -> bool:
        return any(_reached(run, name, level, bounds[name], dtype) for run in runs if run.status is Status.COMPLETED)

    return reached


def _reached(run: Run, name: str, level: float, bound: Bound, dtype: str) -> bool:
    outcome = run.constraints.get(name)
    if outcome is None:
        return False
    dtype = dtype_of(run.key, dtype)
    if holds(finite(outcome.value), level, bound, dtype):
        return True
    own = level_of(run.key, name, bound)
    as_strict = {"<=": own <= level, ">=": own >= level}.get(bound.sense, own == level)
    return as_strict and (feasible_share(outcome.last_values, own, bound, dtype) or 0.0) >= OFTEN
