"""From a finished training to plain runs."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cpd.engine.cohort import Cohort
from cpd.engine.divergence import broken_gradients, finite_parameters, reason
from cpd.engine.judging import judged, unmeasured
from cpd.engine.measuring import judged_at_kept
from cpd.engine.recorder import on_host
from cpd.engine.seen import unseen
from cpd.engine.stacked import Stacked
from cpd.engine.training import Training, norm_interval
from cpd.outcome import ConstraintOutcome, Curves, MeasuredCurves, Run, RunKey, Series, Status, finite_or_none


def finished_runs(training: Training) -> list[Run]:
    """Measure every run of a finished training and turn it into plain numbers.

    A run's seconds are its share of the training's time; where runs may end early, by its steps.
    """
    runs = [run for cohort in training.cohorts for run in _measured(training, cohort)]
    ends = training.measuring is not None and training.measuring.stop is not None
    shares = [max(1, run.steps) if ends else 1 for run in runs]
    return [
        replace(run, seconds=training.seconds * share / sum(shares)) for run, share in zip(runs, shares, strict=True)
    ]


def _measured(training: Training, cohort: Cohort) -> list[Run]:
    measured, raised = _judged(training, cohort)
    kept = on_host(cohort.tree.recorded)
    finals = _finals(training, cohort, measured)
    count = 1 if training.prepared.padded else len(cohort.keys)
    runs = [_run(training, cohort.keys[r], r, finals, kept) for r in range(count)]
    failed = {r: error for r, error in raised.items() if not finals["kept"][r]}
    return [run if r not in failed else _unmeasured(run, failed[r]) for r, run in enumerate(runs)]


def _judged(training: Training, cohort: Cohort) -> tuple[Stacked, dict[int, str]]:
    """The finished models' numbers; none of those that are judged at an iterate of which they are known."""
    models = cohort.step.judged(cohort.tree.state)
    if judged_at_kept(cohort.tree.along, cohort.tree.state).all():
        return unmeasured(training.prepared, models), {}
    return judged(training.prepared, models, training.python if cohort is training.going else None)


def _unmeasured(run: Run, error: str) -> Run:
    """A run whose measure raised, or shows nothing of a constraint: what its training recorded is kept."""
    return replace(run, status=Status.FAILED, objective=None, error=error)


def _finals(training: Training, cohort: Cohort, measured: Stacked) -> dict[str, Any]:
    step, tree = cohort.step, cohort.tree
    state = tree.state
    largest = tree.norms.nan_to_num(0, 0, 0).max(1).values
    relative = torch.where(largest > 0, tree.norms[:, -1] / largest, torch.zeros_like(largest))
    relative = torch.where(tree.norms[:, -1] < 0, torch.full_like(relative, float("nan")), relative)
    host: dict[str, Tensor] = {
        "objective": measured.objective,
        "surrogate": _judged_only(measured.surrogate, measured.observed),
        "strict": measured.recorded,
        "multiplier": step.groups.multipliers(state.methods, measured.strict),
        "gradient_norm": relative,
        "active": state.active,
        "pruned": tree.pruned,
        "steps": state.steps,
        "cause": state.cause,
        "held": state.held,
    }
    host |= {"seen": state.seen[0]} if state.seen else {}
    host |= {"observed": measured.observed} if measured.observed is not None else {}
    numbers: dict[str, Any] = {n: t.detach().cpu().tolist() for n, t in host.items()}
    every = norm_interval(training.steps)
    numbers["finite"] = finite_parameters(state)
    numbers["broken"] = broken_gradients(tree.norms, every, numbers["steps"], step.stack.names)
    numbers["metrics"] = {n: t.detach().cpu().tolist() for n, t in measured.metrics.items()}
    return _with_kept(training, cohort, numbers)


def _with_kept(training: Training, cohort: Cohort, numbers: dict[str, Any]) -> dict[str, Any]:
    """With the numbers of the iterates that are judged, where those are not the last ones."""
    state, along = cohort.tree.state, cohort.tree.along
    numbers["kept"] = judged_at_kept(along, state).tolist()
    numbers["ended"] = cohort.tree.ended.tolist()
    numbers["selected"] = [None] * len(cohort.keys)
    numbers["along"] = None if along is None else on_host(along.curves)
    if along is None or along.kept is None:
        return numbers
    found = {n: t.cpu().tolist() for n, t in along.kept.numbers.items()}
    steps = along.kept.step.tolist()
    for name in training.prepared.metrics:
        numbers["metrics"].setdefault(name, [math.nan] * len(cohort.keys))
    for r in (r for r, is_kept in enumerate(numbers["kept"]) if is_kept):
        for name in ("objective", "surrogate", "strict", "multiplier"):
            numbers[name][r] = found[name][r]
        for k, name in enumerate(training.prepared.metrics):
            numbers["metrics"][name][r] = found["metrics"][r][k]
        numbers["selected"][r] = steps[r] if along.kept.models else None
    return numbers


def _run(training: Training, key: RunKey, r: int, finals: Mapping[str, Any], kept: Mapping[str, Tensor]) -> Run:
    stack = training.prepared.stack
    columns = _columns(stack.sizes)
    goes_on, done = finals["active"][r], finals["steps"][r]
    is_judged = goes_on and not finals["kept"][r] and math.isfinite(finals["objective"][r])
    nothing = unseen(finals["observed"][r], stack.sizes) if is_judged and "observed" in finals else None
    finite = all(map(math.isfinite, [finals["objective"][r], *finals["strict"][r]]))
    finite = finite and (goes_on or finals["kept"][r])
    early = finite and not goes_on
    curves = _curves(training, r, kept, finals, columns)
    curves = curves.until(done) if early else curves
    if finals["pruned"][r]:
        return Run(key, Status.PRUNED, steps=done, curves=curves)
    constraints = {
        n: ConstraintOutcome(
            value=_numbers(finals["strict"][r], columns[n]),
            surrogate=_numbers(finals["surrogate"][r], columns[n]),
            multiplier=_multiplier(_numbers(finals["multiplier"][r], columns[n])),
            tail=curves.last_tenth(n, done) if early else _tail(training, r, kept, done, columns[n]),
            gradient_norm=finite_or_none(finals["gradient_norm"][r][k]),
            held=None if early else _held(training, finals, r, k),
            tolerance=training.constraints[n].tolerance,
        )
        for k, n in enumerate(stack.names)
    }
    run = Run(
        key=key,
        status=Status.COMPLETED if finite else Status.DIVERGED,
        objective=finite_or_none(finals["objective"][r]) if finite else None,
        constraints=constraints,
        metrics={n: finite_or_none(v[r]) for n, v in finals["metrics"].items()},
        steps=done,
        error=_said(finals, r, stack.sizes, finite),
        curves=curves,
        selected_step=finals["selected"][r],
        ended_early=finals["ended"][r],
    )
    return _unmeasured(run, nothing) if nothing else run


def _held(training: Training, finals: Mapping[str, Any], r: int, k: int) -> float | None:
    """The share of the steps at which a constraint held, of those of the last tenth at which it was observed."""
    held = training.recorder.share(finals["held"][r][k], finals["steps"][r])
    if held is None or "seen" not in finals:
        return held
    seen = finals["seen"][r][k]
    return finals["held"][r][k] / seen if seen else None


def _judged_only(values: Tensor, observed: Tensor | None) -> Tensor:
    return values if observed is None else torch.where(observed, values, torch.full_like(values, float("nan")))


def _said(finals: Mapping[str, Any], r: int, sizes: Mapping[str, int], finite: bool) -> str | None:
    """Why a run diverged, also where an iterate from before that is judged."""
    if finite and (finals["active"][r] or finals["ended"][r]):
        return None
    why = reason(finals, r, sizes)
    return f"{why}; judged at step {finals['selected'][r]:,}, its best that was measured" if finite else why


def _curves(
    training: Training,
    r: int,
    kept: Mapping[str, Tensor],
    finals: Mapping[str, Any],
    columns: Mapping[str, int | slice],
) -> Curves:
    multipliers = kept["multipliers"][r]
    moved = {n: c for n, c in columns.items() if multipliers[:, c].isfinite().any()}
    return Curves(
        steps=training.recorder.marks,
        objective=_series(kept["objective"][r], ...),
        constraints={n: _series(kept["strict"][r], c) for n, c in columns.items()},
        multipliers={n: _series(multipliers, c) for n, c in moved.items()},
        measured=_along(training, r, finals, columns),
    )


def _along(
    training: Training, r: int, finals: Mapping[str, Any], columns: Mapping[str, int | slice]
) -> MeasuredCurves | None:
    """What was measured while the run was trained."""
    if training.measuring is None:
        return None
    along, marks = finals["along"], training.measuring.marks
    marks = marks[: bisect_right(marks, finals["steps"][r])]
    found = {name: curve[r, : len(marks)] for name, curve in along.items()}
    return MeasuredCurves(
        steps=marks,
        objective=_series(found["objective"], ...),
        constraints={n: _series(found["strict"], c) for n, c in columns.items()},
        surrogates={n: _series(found["surrogate"], c) for n, c in columns.items()},
        metrics={n: _series(found["metrics"], k) for k, n in enumerate(training.measuring.metrics)},
    )


def _tail(training: Training, r: int, kept: Mapping[str, Tensor], done: int, column: int | slice) -> Series:
    return _series(training.recorder.tail_of(kept["tail"][r], done), column)


def _series(points: Tensor, column: Any) -> Series:
    """Recorded points ``[points, C]`` of one constraint, packed."""
    return Series(points[..., column].numpy().copy())  # not the whole batch's


def _columns(sizes: Mapping[str, int]) -> dict[str, int | slice]:
    """Where each constraint stands among the components: a scalar's index, a vector's slice."""
    columns: dict[str, int | slice] = {}
    at = 0
    for name, size in sizes.items():
        columns[name] = at if size == 1 else slice(at, at + size)
        at += size
    return columns


def _numbers(row: list[float], column: int | slice) -> Any:
    if isinstance(column, slice):
        return [finite_or_none(x) for x in row[column]]
    return finite_or_none(row[column])


def _multiplier(value: Any) -> Any:
    """None for a method without multipliers, whose every number is missing."""
    flat = value if isinstance(value, list) else [value]
    return None if all(x is None for x in flat) else value
