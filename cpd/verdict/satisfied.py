"""Of many constraints, how many hold in a run: each component of a vector is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cpd.outcome import Run
from cpd.verdict.document import Document, RunRow
from cpd.verdict.feasibility import Bound, finite, holds
from cpd.verdict.judged import On, judged_objective, judged_outcome

Counts = tuple[int | None, int]
"""How many hold, None of a run that came to no result; and of how many."""

MANY = 4
"""Of more constraints than these it is said how many hold, and the worst one is named."""


def satisfied(run: Run, levels: Mapping[str, float], bounds: Mapping[str, Bound], dtype: str, on: On) -> Counts | None:
    """How many constraints of a run hold, and how many there are; None where these are few.

    Args:
        run: Its values on the data that decide.
        levels: The run's own, of each constraint.
        bounds: Sense and tolerance of each.
        dtype: Of the values.
        on: The data that decide.
    """
    values = {name: finite(judged_outcome(run, name, on).value) for name in bounds}
    parts = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    of = sum(map(len, parts.values()))
    if of <= MANY:
        return None
    if judged_objective(run, on) is None:
        return None, of
    held = (holds(x, levels[name], bounds[name], dtype) for name, own in parts.items() for x in own)
    return sum(held), of


def counts_satisfied(document: Document) -> bool:
    """Whether there are so many constraints that it is said how many hold."""
    return any("satisfied" in run for run in document["runs"])


def fewest_satisfied(runs: Sequence[RunRow]) -> tuple[int, int] | None:
    """How many constraints hold in the run of a setting in which the fewest do, of how many; None where none finished.

    Args:
        runs: One for each seed.
    """
    found = [(n, run["satisfied_of"]) for run in runs if (n := run.get("satisfied")) is not None]
    return min(found, key=lambda pair: pair[0] - pair[1], default=None)
