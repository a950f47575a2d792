"""Check a task without training: one evaluation, names, shapes, gradients, fusable or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cpd.engine.batch import Batch
from cpd.engine.loading import ProblemRaised, data_notes
from cpd.engine.minibatches import total_steps
from cpd.engine.preparing import Builder, Prepared
from cpd.engine.stacked import Stacked
from cpd.engine.training import Training


@dataclass(frozen=True)
class Checked:
    """What was looked at, whether it is well, and what was found."""

    check: str
    ok: bool
    found: str


def check(batch: Batch) -> list[Checked]:
    """Evaluate and measure the first run's model once and say what was found.

    Raises:
        CpdError: The problem breaks its contract.
        ProblemRaised: The user's code raised.
    """
    with torch.random.fork_rng(devices=[]):
        builder = Builder(batch)
        group = next(iter(builder.groups()))
        assert isinstance(group, Prepared), "a run alone that has no model raises"
        notes = data_notes(batch.problem)
        found = [Checked("data", True, "; ".join([_data(group.data), *notes])), Checked("model", True, _model(group))]
        found += _evaluations(group, batch)
        found.append(Checked("gradients", *_gradients(group, batch)))
        fusable = (
            "; ".join(note for note in builder.notes if note not in notes)
            or "fusable: all settings train as one program"
        )
        return [*found, Checked("fusing", True, fusable), Checked("steps", True, _steps(group, batch))]


def _data(data: Any) -> str:
    if data is None:
        return "none"
    return ", ".join(f"{list(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in data)


def _model(group: Prepared) -> str:
    model = group.stack.bound.model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return f"{type(model).__name__}, {trained:,} trained parameters"


def _evaluations(group: Prepared, batch: Batch) -> list[Checked]:
    """The first evaluation has been made by the builder; here are its numbers, and those of ``measure``."""
    stack = group.stack
    group.random.restore()
    at = stack.evaluate(group.models.trained(), group.batches.sample())
    judged = _measured(group, batch)
    columns = dict(zip(stack.names, torch.split(at.strict[0], list(stack.sizes.values())), strict=True))
    values = [f"{n} = {_numbers(v)}" for n, v in columns.items()]
    metrics = ", ".join(judged.metrics) or "none"
    finite = bool(torch.isfinite(at.objective).all() and torch.isfinite(at.strict).all())
    return [
        Checked("objective", finite, f"{at.objective[0].item():.4g} at the start"),
        Checked("constraints", finite, "; ".join(values) + " at the start"),
        Checked("metrics", True, metrics),
    ]


def _measured(group: Prepared, batch: Batch) -> Stacked:
    """Judge the model on all data; a measure of the problem's own has been called by the builder already."""
    problem = group.stack.problem
    try:
        return group.stack.measure(group.models, group.data)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ProblemRaised(f"{type(problem).__name__}.measure()", error, place=batch.problem.target) from error


def _numbers(values: torch.Tensor) -> str:
    shown = ", ".join(f"{x:.4g}" for x in values[:4].tolist())
    more = ", ..." if len(values) > 4 else ""
    return f"{shown}" if len(values) == 1 else f"[{shown}{more}] ({len(values)} constraints)"


def _gradients(group: Prepared, batch: Batch) -> tuple[bool, str]:
    """Whether the objective's and each constraint's gradient reach the parameters."""
    training = Training.begin(group, batch.constraints, batch.train)
    group.random.restore()
    names = list(group.stack.names)
    models = group.models.trained()
    parameters = models.parameters
    at = group.stack.evaluate(models, group.batches.sample())
    if not at.objective.requires_grad:
        return False, "the objective does not depend on the parameters"
    if not at.surrogate.requires_grad:
        return (
            False,
            "no constraint depends on the parameters: return a differentiable surrogate, the true value as strict",
        )
    reached = torch.autograd.grad(at.objective.sum() + at.surrogate.sum(), list(parameters.values()), allow_unused=True)
    unreached = [n for n, g in zip(parameters, reached, strict=True) if g is None]
    norms = training.going.step.gradient_norms(training.state, group.batches.sample())[0]
    flat = [n for n, norm in zip(names, norms.tolist(), strict=True) if norm == 0]
    if flat:
        return False, f"the gradient of {flat[0]} is zero at the start: is its surrogate differentiable?"
    note = f"; not {', '.join(unreached)}" if unreached else ""
    return True, f"objective and {', '.join(names)} reach the parameters{note}"


def _steps(group: Prepared, batch: Batch) -> str:
    return f"{total_steps(batch.train, group.data):,} steps, {'random' if group.draws else 'no random'} numbers drawn"
