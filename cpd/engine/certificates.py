r"""Residuals of the conditions of Karush, Kuhn and Tucker for finished runs, at the iterate that is judged.

.. math::
    \frac{|\nabla f + \sum_i \lambda_i \nabla g_i|}{\max(|\nabla f(x)|, |\nabla f(x_0)| / 100)}, \qquad
    \max_i [g_i]_+, \qquad \max_i [-\lambda_i]_+, \qquad \sum_i |\lambda_i g_i|

with lambda what takes the multipliers' place, see :meth:`cpd.engine.step.Step.implied`. The first iterate's gradient is
there for runs that no constraint acts on: residual and gradient are the same there, and go to 0 together.

Source: Nocedal and Wright, Numerical Optimization (2006), Theorem 12.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from cpd.engine.cohort import Cohort
from cpd.engine.measuring import is_mixture, judged_at_kept, judged_models
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.slopes import Slopes, slopes
from cpd.engine.stacked import Models
from cpd.engine.step import Step
from cpd.engine.tree import take
from cpd.errors import last_line
from cpd.outcome import Kkt, finite_or_none
from cpd.spec.models import Constraint
from cpd.verdict.certificates import OF_START, is_settled


class Ended(Protocol):
    """A training at its end, see :class:`cpd.engine.training.Training`."""

    prepared: Prepared
    going: Cohort
    constraints: Mapping[str, Constraint]
    notes: list[str]

    @property
    def python(self) -> list[PythonState] | None:
        """What each run keeps in Python, where that is not the same."""


def certified(training: Ended, cohort: Cohort, measured: Tensor, finals: Mapping[str, Any]) -> list[Kkt | None]:
    """The residuals of each run of a cohort; None where its judged model has no finite numbers, or they cannot be had.

    Args:
        training: At its end.
        cohort: Some of its runs.
        measured: Surrogate values of their last models, ``[R, C]``; NaN where these are not measured.
        finals: Of the models that are judged ``objective`` of each run, ``surrogate`` and ``strict`` values of each
            component; whether the run is ``active``, and whether what is judged was ``kept`` on the way.
    """
    strict = torch.tensor(finals["strict"], dtype=torch.float64).reshape(len(cohort.keys), -1)
    ended = zip(finals["objective"], finals["active"], finals["kept"], strict, strict=True)
    sound = [math.isfinite(f) and (on or kept) and bool(v.isfinite().all()) for f, on, kept, v in ended]
    if not any(sound) or is_mixture(cohort.tree.along):
        return [None] * len(sound)
    rows = [r if ok else sound.index(True) for r, ok in enumerate(sound)]
    own = training.python if cohort is training.going else None
    models, python = take(_judged(cohort), rows), own and [own[r] for r in rows]
    if _depends_on_values(training.prepared, cohort, measured):
        nothing = torch.zeros_like(cohort.step.levels)
        measured = slopes(training.prepared, models, nothing, python)[0].values.to(measured.dtype)
    multipliers = _implied(cohort, measured)
    factors = (multipliers * cohort.step.sign)[rows].to(cohort.step.levels.dtype)
    at, raised = slopes(training.prepared, models, factors, python)
    _tell(training.notes, raised)
    start = _at_start(training.prepared, cohort)
    surrogate = torch.tensor(finals["surrogate"], dtype=torch.float64).reshape(strict.shape)[rows]
    apart = at.separate.cpu() | (surrogate != strict[rows]).any(0)
    whose = "surrogate" if bool((apart & ~at.strict.cpu()).any()) else "strict"
    residuals = _Residuals(training, cohort.step, at, start, whose)
    found = [r for r, ok in enumerate(sound) if ok and r not in raised]
    return [residuals.of(r, multipliers[r].double().cpu(), strict[r]) if r in found else None for r in range(len(rows))]


class _Residuals:
    """What runs of a cohort are compared with."""

    def __init__(self, training: Ended, step: Step, at: Slopes, start: Slopes, whose: str) -> None:
        self.step, self.whose = step, whose
        self.slope = at.of_lagrangian.tolist()
        own, first = at.of_objective.tolist(), start.of_objective.tolist()
        self.scale = [
            max([x for x in (a, OF_START * b) if math.isfinite(x)], default=0.0)
            for a, b in zip(own, first, strict=True)
        ]
        self.change = [abs(a - b) for a, b in zip(at.objective.tolist(), start.objective.tolist(), strict=True)]
        tolerances = [training.constraints[n].tolerance for n in step.stack.names]
        widths = step.stack.sizes.values()
        self.tolerance = torch.tensor([t for t, width in zip(tolerances, widths, strict=True) for _ in range(width)])

    def of(self, r: int, multipliers: Tensor, strict: Tensor) -> Kkt:
        """A run's, with its multipliers and strict values ``[C]``."""
        equality = self.step.groups.equality.cpu()
        g = (strict - self.step.levels[r].double().cpu()) * self.step.sign.double().cpu()
        excess = torch.where(equality, g.abs(), g)
        loose = torch.where(equality, 0.0, multipliers.abs() * g.abs())
        beyond = torch.where(equality, 0.0, multipliers.abs() * (g.abs() - self.tolerance).clamp_min(0))
        stationarity = 0.0 if self.slope[r] == 0 else _quotient(self.slope[r], self.scale[r])
        dual = _largest(torch.where(equality, 0.0, -multipliers))
        largest = _largest(multipliers.abs())
        return Kkt(
            stationarity=stationarity,
            primal=_largest(excess),
            dual=dual,
            complementarity=finite_or_none(loose.sum()),
            of=self.whose,
            settled=is_settled(stationarity, dual, largest, finite_or_none(beyond.sum()), self.change[r]),
        )


def _judged(cohort: Cohort) -> Models:
    """The models that are judged, each at its own iterate."""
    step, state, along = cohort.step, cohort.tree.state, cohort.tree.along
    return step.judged(state) if along is None or along.kept is None else judged_models(step, state, along)


def _implied(cohort: Cohort, measured: Tensor) -> Tensor:
    """What takes the multipliers' place where each model is judged, ``[R, C]``."""
    tree = cohort.tree
    last = cohort.step.implied(tree.state.methods, measured)
    if tree.along is None or tree.along.kept is None:
        return last
    kept = judged_at_kept(tree.along, tree.state).unsqueeze(1)
    then = tree.along.kept.numbers["implied"]
    return torch.where(kept, then, last.to(then.dtype))


def _depends_on_values(prepared: Prepared, cohort: Cohort, measured: Tensor) -> bool:
    """Whether what was measured is not what training evaluates, and what acts depends on it."""
    if prepared.stack.calls.methods["measure"] != "measure":
        return False
    step, methods = cohort.step, cohort.tree.state.methods
    here, there = (step.implied(methods, torch.full_like(measured, at)) for at in (0.0, 1.0))
    beside = step.implied(methods, step.levels.to(measured.dtype))
    return not (torch.equal(here, there) and torch.equal(here, beside))


def _at_start(prepared: Prepared, cohort: Cohort) -> Slopes:
    """The slopes of the objective at each run's first iterate, which runs of a seed share."""
    seeds = list(dict.fromkeys(key.seed for key in cohort.keys))
    places = [next(k for k, key in enumerate(prepared.keys) if key.seed == seed) for seed in seeds]
    nothing = cohort.step.levels.new_zeros(len(seeds), cohort.step.levels.shape[1])
    at, _ = slopes(prepared, take(prepared.models, places), nothing)
    own = [seeds.index(key.seed) for key in cohort.keys]
    return at._replace(objective=at.objective[own], of_objective=at.of_objective[own])


def _tell(notes: list[str], raised: Mapping[int, str]) -> None:
    """Say once that there are none."""
    if raised:
        last = last_line(next(iter(raised.values())))
        notes.append(f"evaluate() raises in eval() mode on all training data, so there are no KKT residuals: {last}")


def _largest(values: Tensor) -> float | None:
    """The largest of some numbers and 0."""
    return finite_or_none(values.max().clamp_min(0) + 0.0) if len(values) else 0.0  # no -0.0


def _quotient(number: float, by: float) -> float | None:
    return finite_or_none(number / by) if by > 0 else None
