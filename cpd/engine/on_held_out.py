"""Judged models on examples that no run trained on: plain numbers, and what says how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from cpd.engine.evidence import evidence_of
from cpd.engine.judging import judged, mean_of
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.remeasuring import remeasured
from cpd.engine.seen import unseen
from cpd.engine.stacked import Models, Stacked
from cpd.outcome import ConstraintOutcome, Evidence, HeldOut, Run, finite_or_none

Found = TypeVar("Found", Run, HeldOut)


class Missing(NamedTuple):
    """What is said where no example counts for a constraint.

    Attributes:
        example: What one is called.
        fix: What to do.
    """

    example: str = "held-out example"
    fix: str = "hold out more, or keep the groups' shares: held_out: {share: 0.2, stratify: 1}"


def on_held_out(
    prepared: Prepared,
    steps: int,
    parts: Sequence[tuple[Tensor, Models]],
    python: Sequence[PythonState] | None = None,
    missing: Missing | None = None,
) -> tuple[list[HeldOut], dict[int, str]]:
    """What models give on the examples that are not trained on, with the evidence of each constraint.

    Args:
        prepared: What they started from; it has the examples.
        steps: Of their training: the resamples that are measured take a share of its evaluations.
        parts: The models with their shares ``[R]``: several of a mixture, else one with share 1.
        python: What each of them keeps in Python, where that is not the same.
        missing: What to say where no example counts.

    Returns:
        The numbers of each run, and what those raised that could not be measured.
    """
    seen = [(share, *judged(prepared, models, python, held_out=True, keep=True)) for share, models in parts]
    raised = {r: error for share, _, own in seen for r, error in own.items() if share[r] > 0}
    at = mean_of([(share, at) for share, at, _ in seen])
    found = _plain(prepared, at, missing or Missing())
    for (share, models), (_, own_at, _) in zip(parts, seen, strict=True):  # a mixture is no model to draw resamples of
        if (alone := (share == 1).tolist()).count(True):
            evidence = _evidence(prepared, steps, models, python, own_at)
            found = [sure(one, own) if whole else one for one, own, whole in zip(found, evidence, alone, strict=True)]
    return found, raised


def _evidence(
    prepared: Prepared, steps: int, models: Models, python: Sequence[PythonState] | None, at: Stacked
) -> list[dict[str, Evidence]]:
    """What says how sure values on held-out examples are, of every model: of shares their terms, else resamples."""
    shares = evidence_of(prepared.stack.plans, at.terms or {}, models.runs)
    rest = {n: c for n, c in columns_of(prepared.stack.sizes).items() if n not in prepared.stack.plans or not at.terms}
    others = remeasured(prepared, models, python, steps, rest)
    return [{**own, **other} for own, other in zip(shares, others, strict=True)]


def _plain(prepared: Prepared, at: Stacked, missing: Missing) -> list[HeldOut]:
    """Numbers on held-out examples as plain ones, of every model."""
    stack, examples = prepared.stack, prepared.examples(held_out=True)
    places = columns_of(stack.sizes)
    host = {"objective": at.objective, "strict": at.recorded, "surrogate": judged_only(at.surrogate, at.observed)}
    rows = {
        n: t.detach().cpu().tolist() for n, t in {**host, **{f"metric {n}": t for n, t in at.metrics.items()}}.items()
    }
    observed = None if at.observed is None else at.observed.tolist()
    return [
        HeldOut(
            examples=examples,
            objective=finite_or_none(rows["objective"][r]),
            constraints={
                n: ConstraintOutcome(numbers_at(rows["strict"][r], c), numbers_at(rows["surrogate"][r], c))
                for n, c in places.items()
            },
            metrics={n: finite_or_none(rows[f"metric {n}"][r]) for n in at.metrics},
            error=_nothing(observed and observed[r], stack.sizes, missing),
        )
        for r in range(len(rows["objective"]))
    ]


def _nothing(observed: list[bool] | None, sizes: dict[str, int], missing: Missing) -> str | None:
    """Why there is nothing to judge, and what to do."""
    said = unseen(observed, sizes, missing.example)
    return said and f"{said}; {missing.fix}"


def sure(found: Found, evidence: Mapping[str, Evidence]) -> Found:
    """The same numbers, with the evidence of each constraint."""
    return replace(found, constraints={n: replace(c, evidence=evidence.get(n)) for n, c in found.constraints.items()})


def judged_only(values: Tensor, observed: Tensor | None) -> Tensor:
    """Values, NaN where they are not observed."""
    return values if observed is None else torch.where(observed, values, torch.full_like(values, float("nan")))


def columns_of(sizes: Mapping[str, int]) -> dict[str, int | slice]:
    """Where each constraint stands among the components: a scalar's index, a vector's slice."""
    found: dict[str, int | slice] = {}
    at = 0
    for name, size in sizes.items():
        found[name] = at if size == 1 else slice(at, at + size)
        at += size
    return found


def numbers_at(row: list[float], column: int | slice) -> Any:
    """A constraint's numbers in a row of components, None where they are not finite."""
    if isinstance(column, slice):
        return [finite_or_none(x) for x in row[column]]
    return finite_or_none(row[column])
