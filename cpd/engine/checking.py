"""Check a task without training it: contract, gradients, and whether all ways to do a step give the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.generators import kept_random
from cpd.engine.loading import data_notes
from cpd.engine.minibatches import Minibatches, total_steps
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder, check_device
from cpd.engine.replay import Replay
from cpd.engine.stacked import Stacked
from cpd.engine.steppers.captured import Captured
from cpd.engine.training import Training
from cpd.engine.tree import take

LOOKED_THROUGH = 64
"""Minibatches of the first epoch that are evaluated, for a value that is not finite in one of them."""


@dataclass(frozen=True)
class Checked:
    """What was looked at, whether it is well, and what was found."""

    check: str
    ok: bool
    found: str


def check(batch: Batch) -> list[Checked]:
    """Evaluate and measure the first run's model, alone and fused, make two steps of it, and say what was found.

    Raises:
        CpdError: The problem breaks its contract.
        ProblemRaised: The user's code raised.
    """
    with kept_random(check_device(batch.device)):
        builder = Builder(batch)
        group = next(iter(builder.groups()))
        assert isinstance(group, Prepared), "a run alone that has no model raises"
        training = Training.begin(group, batch.constraints, batch.train)
        notes = data_notes(batch.problem)
        found = [Checked("data", True, "; ".join([_data(group.data), *notes])), Checked("model", True, _model(group))]
        found += [*_evaluations(group), _gradients(group)]
        refused = [note for note in builder.notes if not group.stack.fused and "one at a time" in note]
        same = f"fusable: all settings train as one program; one run alone has its numbers on {_compared(group)}"
        found += [Checked("fusing", True, "; ".join(refused) or same), Checked("engine", True, _engine(training))]
        found += [Checked("note", True, note) for note in builder.notes if note not in [*refused, *notes]]
        return [*found, Checked("steps", True, _steps(group, batch))]


def _data(data: Any) -> str:
    if data is None:
        return "none"
    return ", ".join(f"{list(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in data)


def _model(group: Prepared) -> str:
    model = group.stack.model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return f"{type(model).__name__}, {trained:,} trained parameters"


def _evaluations(group: Prepared) -> Iterator[Checked]:
    """The numbers of the first evaluation, of the first epoch where one of them is not finite, and of ``measure``."""
    at = _evaluated(group, group.batches.sample())
    broken = _broken(group)
    columns = dict(zip(group.stack.names, torch.split(at.strict[0], list(group.stack.sizes.values())), strict=True))
    values = "; ".join(f"{n} = {_numbers(v)}" for n, v in columns.items()) + " at the start"
    objective = f"{at.objective[0].item():.4g} at the start"
    yield Checked("objective", "the objective" not in broken, broken.get("the objective", objective))
    of_constraints = [said for name, said in broken.items() if name != "the objective"]
    yield Checked("constraints", not of_constraints, "; ".join(of_constraints) or values)
    yield Checked("metrics", True, ", ".join(group.measured(take(group.models, [0])).metrics) or "none")


def _evaluated(group: Prepared, batch: Any) -> Stacked:
    """One run alone at its start."""
    with group.untouched():
        group.surroundings.restore()
        return group.stack.alone().evaluate(take(group.models, [0]).trained(), batch)


def _broken(group: Prepared) -> dict[str, str]:
    """What is not finite, and in which minibatch of the first epoch."""
    batches = Minibatches(group.data, group.batches.batch_size, group.keys[0].seed)
    found: dict[str, str] = {}
    for k in range(1, min(batches.in_epoch, LOOKED_THROUGH) + 1):
        at = _evaluated(group, batches.next())
        where = f"in minibatch {k} of the first epoch" if batches.batch_size is not None else "at the start"
        for name, values in _by_name(group, at).items():
            if not values.isfinite().all():
                found.setdefault(name, f"{name} is not finite {where}")
    return found


def _by_name(group: Prepared, at: Stacked) -> dict[str, Tensor]:
    """Objective and constraints, surrogate and strict values together."""
    both = torch.cat([at.surrogate, at.strict])
    columns = torch.split(both, list(group.stack.sizes.values()), dim=1)
    return {"the objective": at.objective, **dict(zip(group.stack.names, columns, strict=True))}


def _numbers(values: torch.Tensor) -> str:
    shown = ", ".join(f"{x:.4g}" for x in values[:4].tolist())
    more = ", ..." if len(values) > 4 else ""
    return f"{shown}" if len(values) == 1 else f"[{shown}{more}] ({len(values)} constraints)"


def _gradients(group: Prepared) -> Checked:
    """Whether the gradients of the objective and of each constraint reach the parameters, and are finite there."""
    norms: dict[str, float | None] = {}
    reached: set[str] = set()
    names = ["the objective", *group.stack.names]
    for name in names:
        at = _evaluated(group, group.batches.sample())
        parts = {"the objective": at.objective, **_surrogates(group, at)}
        gradients = at.gradients(parts[name].sum())
        there = {n: g for n, g in gradients.items() if g is not None}
        reached |= there.keys()
        norms[name] = max((float(g.abs().max()) for g in there.values()), default=None)
    broken = [n for n, norm in norms.items() if norm is not None and not norm < float("inf")]
    if broken:
        return Checked("gradients", False, f"the gradient of {', '.join(broken)} is not finite at the start")
    constant = [n for n, norm in norms.items() if norm is None]
    flat = [n for n, norm in norms.items() if norm == 0]
    unreached = [n for n in group.models.parameters if n not in reached]
    said = [f"the gradients of {', '.join(n for n in names if n not in constant)} reach the parameters"]
    said += [f"{', '.join(constant)} has no gradient"] if constant else []
    said += [f"the gradient of {', '.join(flat)} is zero at the start"] if flat else []
    said += [f"nothing reaches {', '.join(unreached)}"] if unreached else []
    return Checked("gradients", True, "; ".join(said))


def _surrogates(group: Prepared, at: Stacked) -> dict[str, Tensor]:
    return dict(zip(group.stack.names, torch.split(at.surrogate[0], list(group.stack.sizes.values())), strict=True))


def _compared(group: Prepared) -> str:
    return "all data" if group.batches.batch_size is None else "two minibatches"


def _engine(training: Training) -> str:
    """What two captured steps say when they are compared with those of one run alone."""
    if training.prepared.stateful or not training.prepared.stack.fused:
        return "steps run as they are written"
    stepper = training.stepper = Captured(training.going.step)
    training.prepared.surroundings.restore()
    found = Replay(training).tried(stepper, 2)
    if stepper.note is not None:
        return stepper.note
    if found is not None:
        return f"captured steps are not used: {found.what}"
    return "two captured steps have the numbers of one run alone"


def _steps(group: Prepared, batch: Batch) -> str:
    return f"{total_steps(batch.train, group.data):,} steps, {'random' if group.draws else 'no random'} numbers drawn"
