"""What says how sure a run's values are, as it is stored: counts beside the numbers, resamples beside the tails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cpd.outcome import ConstraintOutcome, Evidence, HeldOut, Run

PARTS = ("training", "held_out")


def evidence_counts(run: Run) -> dict[str, Any]:
    """``{"evidence": {part: {constraint: counts and sizes}}}``, JSON's own types; empty where there is none."""
    found: dict[str, Any] = {}
    for part, name, evidence in _each(run):
        counted = None if evidence.counted is None else [[float(h), float(n)] for h, n in evidence.counted]
        found.setdefault(part, {})[name] = {"counted": counted, "size": evidence.size}
    return {"evidence": found} if found else {}


def with_counts(run: Run, found: Mapping[str, Any]) -> Run:
    """The run with what :func:`evidence_counts` gave; earlier versions stored none."""

    def of(part: str, name: str, series: Sequence[Any]) -> Evidence | None:
        own = found.get(part, {}).get(name)
        if own is None:
            return None
        counted = own["counted"]
        return Evidence(None if counted is None else [(h, n) for h, n in counted], series, own["size"])

    return _replaced(run, lambda part, name, outcome: of(part, name, []))


def resamples(run: Run) -> dict[str, Sequence[Any]]:
    """The resampled values by a name that is none of a constraint's."""
    start = _start(run)
    return {f"{start}{part}:{name}": e.resampled for part, name, e in _each(run) if len(e.resampled)}


def with_resamples(run: Run, series: Mapping[str, Sequence[Any]]) -> Run:
    """The run with what :func:`resamples` gave."""
    start = _start(run)

    def of(part: str, name: str, outcome: ConstraintOutcome) -> Evidence | None:
        own = series.get(f"{start}{part}:{name}")
        if own is None or outcome.evidence is None:
            return outcome.evidence
        return replace(outcome.evidence, resampled=own)

    return _replaced(run, of)


def _each(run: Run) -> Iterator[tuple[str, str, Evidence]]:
    held = {} if run.held_out is None else run.held_out.constraints
    for part, outcomes in zip(PARTS, (run.constraints, held), strict=True):
        for name, outcome in outcomes.items():
            if outcome.evidence is not None:
                yield part, name, outcome.evidence


def _replaced(run: Run, new: Any) -> Run:
    """The run with other evidence."""

    def outcomes(part: str, old: Mapping[str, ConstraintOutcome]) -> dict[str, ConstraintOutcome]:
        return {name: replace(outcome, evidence=new(part, name, outcome)) for name, outcome in old.items()}

    held: HeldOut | None = run.held_out
    held = None if held is None else replace(held, constraints=outcomes("held_out", held.constraints))
    return replace(run, constraints=outcomes("training", run.constraints), held_out=held)


def _start(run: Run) -> str:
    """What such names begin with, and no constraint's does."""
    start = "evidence:"
    while any(name.startswith(start) for name in run.constraints):
        start = "\0" + start
    return start
