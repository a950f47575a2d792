"""Seeds that change nothing: runs of a setting that trained alike, number for number, are evidence of one training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cpd.outcome import ConstraintOutcome, Run, Status
from cpd.verdict.document import RunRow
from cpd.verdict.settings import grouped


def same_seeds(runs: Sequence[Run], rows: Sequence[RunRow]) -> dict[int, int]:
    """The runs that trained as an earlier one of their setting did.

    Runs that end in the same numbers from different starts are no such runs: all that was recorded on the way is
    compared. Of a run without a recorded way nothing is said.

    Args:
        runs: Of one document.
        rows: Theirs, in the same order.

    Returns:
        By the place of a run, the seed of the first run that it is the same as.
    """
    known = [k for k, run in enumerate(runs) if run.status is Status.COMPLETED and run.curves is not None]
    settings = grouped(known, lambda k: [rows[k]["method"], rows[k]["setting"], rows[k]["levels"]])
    found: dict[int, int] = {}
    for places in settings:
        firsts: list[int] = []
        for place in places:
            first = next((k for k in firsts if _alike(runs[k], runs[place])), None)
            if first is None:
                firsts.append(place)
            elif runs[first].key.seed != runs[place].key.seed:
                found[place] = runs[first].key.seed
    return found


def _alike(one: Run, other: Run) -> bool:
    """Whether two runs have the same numbers, those that are quick to compare first."""
    quick = (one.objective, one.steps, one.metrics) == (other.objective, other.steps, other.metrics)
    return quick and _numbers(replace(one, key=other.key, seconds=other.seconds, model=other.model)) == _numbers(other)


def _numbers(run: Run) -> Run:
    """A run without its evidence, which is drawn anew for every run."""
    held_out = run.held_out and replace(run.held_out, constraints=_without_evidence(run.held_out.constraints))
    return replace(run, constraints=_without_evidence(run.constraints), held_out=held_out)


def _without_evidence(outcomes: Mapping[str, ConstraintOutcome]) -> dict[str, ConstraintOutcome]:
    return {name: replace(outcome, evidence=None) for name, outcome in outcomes.items()}
