"""From a finished training to plain runs."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cpd.engine.certificates import certified
from cpd.engine.cohort import Cohort
from cpd.engine.divergence import broken_gradients, finite_parameters, reason
from cpd.engine.evidence import evidence_of
from cpd.engine.judging import judged, unmeasured
from cpd.engine.measuring import HELD_OUT, is_mixture, judged_at_kept, judged_models, judged_parts, mixture
from cpd.engine.on_held_out import columns_of, judged_only, numbers_at, on_held_out, sure
from cpd.engine.recorder import on_host
from cpd.engine.seen import unseen
from cpd.engine.stacked import Stacked
from cpd.engine.training import Training, norm_interval
from cpd.outcome import (
    ConstraintOutcome,
    Curves,
    Ending,
    MeasuredCurves,
    Run,
    RunKey,
    Series,
    Status,
    finite_or_none,
)
from cpd.spec.recipes import train_of
from cpd.verdict.feasibility import dtype_of, feasible_share


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
    finals["kkt"] = certified(training, cohort, measured.surrogate, finals)
    count = 1 if training.prepared.padded else len(cohort.keys)
    runs = [_run(training, cohort.keys[r], r, finals, kept) for r in range(count)]
    failed = {r: error for r, error in raised.items() if not finals["kept"][r]}
    runs = [run if r not in failed else _unmeasured(run, failed[r]) for r, run in enumerate(runs)]
    runs = [replace(run, examples=training.prepared.examples()) for run in runs]
    runs = _with_evidence(training, cohort, measured, runs)
    return runs if training.prepared.held_out is None else _with_held_out(training, cohort, runs)


def _with_evidence(training: Training, cohort: Cohort, measured: Stacked, runs: list[Run]) -> list[Run]:
    """The runs with what says how sure their values are; models that are judged at an earlier iterate are looked at."""
    step, state, along = cohort.step, cohort.tree.state, cohort.tree.along
    if not training.prepared.stack.shares or training.prepared.data is None or is_mixture(along):
        return runs
    if judged_at_kept(along, state).any():
        python = training.python if cohort is training.going else None
        measured, _ = judged(training.prepared, judged_models(step, state, along), python, keep=True)
    found = evidence_of(training.prepared.stack.plans, measured.terms or {}, len(runs))
    return [run if run.status is not Status.COMPLETED else sure(run, own) for run, own in zip(runs, found, strict=True)]


def _with_held_out(training: Training, cohort: Cohort, runs: list[Run]) -> list[Run]:
    """The runs with what their judged models give on held-out examples, of those that have come to their end."""
    python = training.python if cohort is training.going else None
    parts = judged_parts(cohort.step, cohort.tree.state, cohort.tree.along)
    found, raised = on_held_out(training.prepared, training.steps, parts, python)
    return [
        run
        if run.status is not Status.COMPLETED
        else _unmeasured(run, raised[r])
        if r in raised
        else replace(run, held_out=found[r])
        for r, run in enumerate(runs)
    ]


def _judged(training: Training, cohort: Cohort) -> tuple[Stacked, dict[int, str]]:
    """The finished models' numbers; none of those that are judged at an iterate of which they are known."""
    models = cohort.step.judged(cohort.tree.state)
    tree = cohort.tree
    if judged_at_kept(tree.along, tree.state, mixture(tree.along, cohort.step)).all():
        return unmeasured(training.prepared, models), {}
    return judged(training.prepared, models, training.python if cohort is training.going else None, keep=True)


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
        "surrogate": judged_only(measured.surrogate, measured.observed),
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
    numbers["checked"] = None if tree.checked is None else on_host({"strict": tree.checked})["strict"]
    numbers["finite"] = finite_parameters(state)
    ends = training.ends if cohort is training.going else None
    numbers["ends"] = ends and {n: t.cpu().tolist() for n, t in ends._asdict().items()}
    numbers["broken"] = broken_gradients(tree.norms, every, numbers["steps"], step.stack.names)
    numbers["metrics"] = {n: t.detach().cpu().tolist() for n, t in measured.metrics.items()}
    return _with_kept(training, cohort, numbers)


def _with_kept(training: Training, cohort: Cohort, numbers: dict[str, Any]) -> dict[str, Any]:
    """With the numbers of the iterates that are judged, where those are not the last ones."""
    state, along = cohort.tree.state, cohort.tree.along
    mixed = mixture(along, cohort.step)
    numbers["kept"] = judged_at_kept(along, state, mixed).tolist()
    numbers["mixture"] = [() if mixed is None else mixed.of(r) for r in range(len(cohort.keys))]
    numbers["ended"] = cohort.tree.ended.tolist()
    numbers["selected"] = [None] * len(cohort.keys)
    numbers["along"] = None if along is None else on_host(along.curves)
    if along is not None and along.candidates is not None and mixed is not None:
        found = {n: mixed.mean(t).cpu().tolist() for n, t in along.candidates.numbers.items()}
    elif along is not None and along.kept is not None:
        found = {n: t.cpu().tolist() for n, t in along.kept.numbers.items()}
    else:
        return numbers
    steps = along.kept.step.tolist() if along.kept is not None and along.kept.models else numbers["selected"]
    for name in training.prepared.metrics:
        numbers["metrics"].setdefault(name, [math.nan] * len(cohort.keys))
    for r in (r for r, is_kept in enumerate(numbers["kept"]) if is_kept):
        for name in ("objective", "surrogate", "strict", "multiplier"):
            numbers[name][r] = found[name][r]
        for k, name in enumerate(training.prepared.metrics):
            numbers["metrics"][name][r] = found["metrics"][r][k]
        numbers["selected"][r] = steps[r]
    return numbers


def _run(training: Training, key: RunKey, r: int, finals: Mapping[str, Any], kept: Mapping[str, Tensor]) -> Run:
    stack = training.prepared.stack
    columns = columns_of(stack.sizes)
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
            value=numbers_at(finals["strict"][r], columns[n]),
            surrogate=numbers_at(finals["surrogate"][r], columns[n]),
            multiplier=_multiplier(numbers_at(finals["multiplier"][r], columns[n])),
            tail=curves.last_tenth(n, done) if early else _tail(training, r, kept, done, columns[n]),
            gradient_norm=finite_or_none(finals["gradient_norm"][r][k]),
            held=None if early else _held(training, key, finals, r, k),
            tolerance=training.constraints[n].tolerance,
            checked=[] if early else _checked(training, finals, r, columns[n]),
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
        ending=_ending(finals["ends"], r, stack.sizes) if goes_on else None,
        kkt=finals["kkt"][r],
        mixture=finals["mixture"][r] if finite and finals["kept"][r] else (),
        averaged=train_of(training.recipe, key.setting).average,
    )
    return _unmeasured(run, nothing) if nothing else run


def _held(training: Training, key: RunKey, finals: Mapping[str, Any], r: int, k: int) -> float | None:
    """The share of the steps at which a constraint held, of those of the last tenth at which it was observed.

    Where training is by minibatches, of the points at which it was measured on the judged data.
    """
    if finals["checked"] is not None:
        name, column = list(columns_of(training.prepared.stack.sizes).items())[k]
        dtype = dtype_of(key, training.recipe.dtype)
        points = _checked(training, finals, r, column)
        return feasible_share(points, key.levels[name], training.constraints[name], dtype)
    held = training.recorder.share(finals["held"][r][k], finals["steps"][r])
    if held is None or "seen" not in finals:
        return held
    seen = finals["seen"][r][k]
    return finals["held"][r][k] / seen if seen else None


def _checked(training: Training, finals: Mapping[str, Any], r: int, column: int | slice) -> Sequence[Any]:
    """Strict values of one constraint at the points of the last tenth at which it was measured."""
    if training.checks is None or finals["checked"] is None:
        return []
    return _series(finals["checked"][r, : bisect_right(training.checks.marks, finals["steps"][r])], column)


def _ending(ends: Mapping[str, Any] | None, r: int, sizes: Mapping[str, int]) -> Ending | None:
    """What was seen around a run's last parameters; None where it is not finite."""
    if ends is None:
        return None
    places = [(name, k) for name, size in sizes.items() for k in range(size)]
    kept = [k for k, at in enumerate(ends["chosen"][r]) if at >= 0 and math.isfinite(ends["products"][r][k][k])]
    products = [[ends["products"][r][a][b] for b in kept] for a in kept]
    if not all(math.isfinite(x) for x in [ends["scale"][r], *(x for row in products for x in row)]):
        return None
    recedes = None if ends["recedes"][r] < 0 else bool(ends["recedes"][r])
    return Ending([places[ends["chosen"][r][k]] for k in kept], products, ends["scale"][r], recedes)


def _said(finals: Mapping[str, Any], r: int, sizes: Mapping[str, int], finite: bool) -> str | None:
    """Why a run diverged, also where an iterate from before that is judged."""
    if finite and (finals["active"][r] or finals["ended"][r]):
        return None
    why = reason(finals, r, sizes)
    if not finite:
        return why
    if finals["selected"][r] is None:
        return f"{why}; judged by the mixture of its iterates before"
    return f"{why}; judged at step {finals['selected'][r]:,}, its best that was measured"


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
    own = _measured_curves(marks, found, "", training.measuring.metrics, columns)
    if not training.measuring.held_out:
        return own
    return replace(own, held_out=_measured_curves(marks, found, HELD_OUT, training.measuring.metrics, columns))


def _measured_curves(
    marks: list[int],
    found: Mapping[str, Tensor],
    which: str,
    metrics: tuple[str, ...],
    columns: Mapping[str, int | slice],
) -> MeasuredCurves:
    return MeasuredCurves(
        steps=marks,
        objective=_series(found[f"{which}objective"], ...),
        constraints={n: _series(found[f"{which}strict"], c) for n, c in columns.items()},
        surrogates={n: _series(found[f"{which}surrogate"], c) for n, c in columns.items()},
        metrics={n: _series(found[f"{which}metrics"], k) for k, n in enumerate(metrics)},
    )


def _tail(training: Training, r: int, kept: Mapping[str, Tensor], done: int, column: int | slice) -> Series:
    return _series(training.recorder.tail_of(kept["tail"][r], done), column)


def _series(points: Tensor, column: Any) -> Series:
    """Recorded points ``[points, C]`` of one constraint, packed."""
    return Series(points[..., column].numpy().copy())  # not the whole batch's


def _multiplier(value: Any) -> Any:
    """None for a method without multipliers, whose every number is missing."""
    flat = value if isinstance(value, list) else [value]
    return None if all(x is None for x in flat) else value
