"""From a finished training to plain runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cpd.engine.cohort import Cohort
from cpd.engine.counting import out_of_memory
from cpd.engine.divergence import broken_gradients, finite_parameters, reason
from cpd.engine.loading import user_traceback
from cpd.engine.recorder import on_host
from cpd.engine.stacked import Stacked, stacked_rows
from cpd.engine.steppers.alone import Alone
from cpd.engine.training import Training, norm_interval
from cpd.engine.tree import mapped, take
from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Curves, Run, RunKey, Series, Status, finite_or_none


def finished_runs(training: Training) -> list[Run]:
    """Measure every run of a finished training and turn it into plain numbers.

    A run's seconds are its share of the training's time.
    """
    count = 1 if training.prepared.padded else len(training.keys)
    seconds = training.seconds / count
    return [run for cohort in training.cohorts for run in _measured(training, cohort, seconds)]


def _measured(training: Training, cohort: Cohort, seconds: float) -> list[Run]:
    measured, raised = _judged(training, cohort)
    kept = on_host(cohort.tree.recorded)
    finals = _finals(training, cohort, measured)
    count = 1 if training.prepared.padded else len(cohort.keys)
    runs = (_run(training, cohort.keys[r], r, finals, kept, seconds) for r in range(count))
    return [run if r not in raised else _unmeasured(run, raised[r]) for r, run in enumerate(runs)]


def _judged(training: Training, cohort: Cohort) -> tuple[Stacked, dict[int, str]]:
    """The finished models' numbers; NaN for those whose measure raises, and what it raises."""
    prepared, models = training.prepared, cohort.step.models(cohort.tree.state)
    own = training.stepper.python if isinstance(training.stepper, Alone) and cohort is training.going else None
    try:
        return prepared.measured(models, own), {}
    except CpdError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
    alone = replace(prepared, stack=prepared.stack.alone())
    rows: list[Stacked | None] = []
    raised = {}
    for r in range(models.runs):
        try:
            rows.append(alone.measured(take(models, [r]), own and [own[r]]))
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            rows.append(None)
            raised[r] = user_traceback(error)
    components = sum(prepared.stack.sizes.values())
    nothing = cohort.step.levels.new_full((1, components), float("nan"))
    missing = next((row for row in rows if row), Stacked(nothing[:, 0], nothing, nothing, {}, {}, {}, {}))
    missing = Stacked(*mapped(lambda leaf: torch.full_like(leaf, float("nan")), missing))
    return stacked_rows([row or missing for row in rows]), raised


def _unmeasured(run: Run, error: str) -> Run:
    """A run whose measure raised: what its training recorded is kept."""
    return replace(run, status=Status.FAILED, objective=None, error=error)


def _finals(training: Training, cohort: Cohort, measured: Stacked) -> dict[str, Any]:
    step, tree = cohort.step, cohort.tree
    state = tree.state
    largest = tree.norms.nan_to_num(0, 0, 0).max(1).values
    relative = torch.where(largest > 0, tree.norms[:, -1] / largest, torch.zeros_like(largest))
    host: dict[str, Tensor] = {
        "objective": measured.objective,
        "surrogate": measured.surrogate,
        "strict": measured.strict,
        "multiplier": step.groups.multipliers(state.methods, measured.strict),
        "gradient_norm": relative,
        "active": state.active,
        "pruned": tree.pruned,
        "steps": state.steps,
        "cause": state.cause,
        "held": state.held,
    }
    numbers = {n: t.detach().cpu().tolist() for n, t in host.items()}
    every = norm_interval(training.steps)
    numbers["finite"] = finite_parameters(state)
    numbers["broken"] = broken_gradients(tree.norms, every, numbers["steps"], step.stack.names)
    return numbers | {"metrics": {n: t.detach().cpu().tolist() for n, t in measured.metrics.items()}}


def _run(
    training: Training, key: RunKey, r: int, finals: Mapping[str, Any], kept: Mapping[str, Tensor], seconds: float
) -> Run:
    stack = training.prepared.stack
    columns = _columns(stack.sizes)
    finite = finals["active"][r] and all(map(math.isfinite, [finals["objective"][r], *finals["strict"][r]]))
    if finals["pruned"][r]:
        curves = _curves(training, r, kept, columns)
        return Run(key, Status.PRUNED, steps=finals["steps"][r], seconds=seconds, curves=curves)
    constraints = {
        n: ConstraintOutcome(
            value=_numbers(finals["strict"][r], columns[n]),
            surrogate=_numbers(finals["surrogate"][r], columns[n]),
            multiplier=_multiplier(_numbers(finals["multiplier"][r], columns[n])),
            tail=_series(training.recorder.tail_of(kept["tail"][r], finals["steps"][r]), columns[n]),
            gradient_norm=finite_or_none(finals["gradient_norm"][r][k]),
            held=training.recorder.share(finals["held"][r][k], finals["steps"][r]),
            tolerance=training.constraints[n].tolerance,
        )
        for k, n in enumerate(stack.names)
    }
    return Run(
        key=key,
        status=Status.COMPLETED if finite else Status.DIVERGED,
        objective=finite_or_none(finals["objective"][r]) if finite else None,
        constraints=constraints,
        metrics={n: finite_or_none(v[r]) for n, v in finals["metrics"].items()},
        steps=finals["steps"][r],
        seconds=seconds,
        error=None if finite else reason(finals, r, stack.sizes),
        curves=_curves(training, r, kept, columns),
    )


def _curves(training: Training, r: int, kept: Mapping[str, Tensor], columns: Mapping[str, int | slice]) -> Curves:
    multipliers = kept["multipliers"][r]
    moved = {n: c for n, c in columns.items() if multipliers[:, c].isfinite().any()}
    return Curves(
        steps=training.recorder.marks,
        objective=_series(kept["objective"][r], ...),
        constraints={n: _series(kept["strict"][r], c) for n, c in columns.items()},
        multipliers={n: _series(multipliers, c) for n, c in moved.items()},
    )


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
