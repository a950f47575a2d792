"""Check a task without training it: contract, gradients, and whether all ways to do a step give the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.counting import out_of_memory
from cpd.engine.foresight import Foreseen, foresee
from cpd.engine.generators import kept_random
from cpd.engine.groups import described
from cpd.engine.items import Stream
from cpd.engine.loading import data_notes
from cpd.engine.minibatches import total_steps
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder, check_device
from cpd.engine.replay import Replay
from cpd.engine.seen import unseen
from cpd.engine.stacked import Stacked
from cpd.engine.steppers.captured import Captured
from cpd.engine.tracebacks import first_line
from cpd.engine.training import Training
from cpd.engine.tree import named, take
from cpd.errors import CpdError

EMPTY_GROUP = "; where its group may be empty in a minibatch, cpd.share(p, of=group) leaves it out there"
LOOKED_THROUGH = 64
"""Minibatches of the first epoch that are evaluated, for a value that is not finite in one of them."""


@dataclass(frozen=True)
class Checked:
    """What was looked at, whether it is well, and what was found."""

    check: str
    ok: bool
    found: str


def check(batch: Batch, runs: int = 1, foretold: Callable[[Foreseen], str] | None = None) -> list[Checked]:
    """Evaluate and measure the first run's model, alone and fused, make some steps of it, and say what was found.

    Args:
        batch: Of the first run.
        runs: How many there are in all.
        foretold: Says how they would train; None to leave that out.

    Raises:
        CpdError: The problem breaks its contract.
        ProblemRaised: The user's code raised.
    """
    with kept_random(check_device(batch.device)), ExitStack() as closers:
        builder = Builder(batch)
        group = next(iter(builder.groups()))
        assert isinstance(group, Prepared), "a run alone that has no model raises"
        closers.callback(group.batches.close)
        training = Training.begin(group, batch.constraints, batch.train)
        notes = data_notes(batch.problem)
        found = [Checked("data", True, "; ".join([_data(group.data), *notes])), Checked("model", True, _model(group))]
        found += [*_evaluations(group), _gradients(group), *_judged(group, batch)]
        refused = [note for note in builder.notes if not group.stack.fused and "one at a time" in note]
        same = f"fusable: all settings train as one program; one run alone has its numbers on {_compared(group)}"
        found += [Checked("fusing", True, "; ".join(refused) or same), Checked("engine", True, _engine(training))]
        found += [Checked("note", True, note) for note in builder.notes if note not in [*refused, *notes]]
        found += [Checked("schedule", True, _schedule(training))] if training.going.step.recipe.tables else []
        found.append(Checked("steps", True, _steps(group, batch)))
        return found if foretold is None else [*found, Checked("plan", True, foretold(foresee(training, batch, runs)))]


def foreseen(batch: Batch, runs: int) -> Foreseen:
    """What a training is going to be, from some steps of the first run's; nothing is checked.

    Raises:
        CpdError: The problem breaks its contract.
        ProblemRaised: The user's code raised.
    """
    with kept_random(check_device(batch.device)), ExitStack() as closers:
        group = next(iter(Builder(batch).groups()))
        assert isinstance(group, Prepared), "a run alone that has no model raises"
        closers.callback(group.batches.close)
        return foresee(Training.begin(group, batch.constraints, batch.train), batch, runs)


def _data(data: Any) -> str:
    if data is None:
        return "none"
    if isinstance(data, Stream):
        many = "items in an order of their own" if data.examples is None else f"{data.examples:,} items"
        return f"{many}, read while they are trained on"
    return ", ".join(_leaf(name, t) for name, t in named(data))


def _leaf(name: str, t: Tensor) -> str:
    """An entry of the data; its name where it has one."""
    own = "" if name.isdigit() else f"{name} "
    return f"{own}{list(t.shape)} {str(t.dtype).removeprefix('torch.')}"


def _model(group: Prepared) -> str:
    model = group.stack.model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return f"{type(model).__name__}, {trained:,} trained parameters"


def _evaluations(group: Prepared) -> Iterator[Checked]:
    """The numbers of the first evaluation, of the first epoch where one of them is not finite, and of ``measure``."""
    at = _evaluated(group, group.batches.sample())
    broken = _broken(group)
    columns = dict(zip(group.stack.names, torch.split(at.recorded[0], list(group.stack.sizes.values())), strict=True))
    values = "; ".join(f"{n} = {_numbers(v)}" for n, v in columns.items()) + " at the start"
    values += "".join(f"; {said}" for said in _unshown(group))
    objective = f"{at.objective[0].item():.4g} at the start"
    yield Checked("objective", "the objective" not in broken, broken.get("the objective", objective))
    of_constraints = [said for name, said in broken.items() if name != "the objective"]
    yield Checked("constraints", not of_constraints, "; ".join(of_constraints) or values)
    judged = group.measured(take(group.models, [0]), most=1)
    nothing = None if judged.observed is None else unseen(judged.observed[0].tolist(), group.stack.sizes)
    unwell = [name for name, values in _by_name(group, judged).items() if not values.isfinite().all()]
    if nothing is not None:
        yield Checked("measure", False, nothing)
    elif unwell and not broken:
        yield Checked("measure", False, f"measure() gives {', '.join(unwell)} that is not finite at the start")
    lost = [f"{n} is not finite at the start" for n, value in judged.metrics.items() if not value.isfinite().all()]
    yield Checked("metrics", True, "; ".join([", ".join(judged.metrics) or "none", *lost]))


def _judged(group: Prepared, batch: Batch) -> Iterator[Checked]:
    """How many examples decide, by which intervals are as narrow as they are."""
    held_out = group.held_out is not None and batch.judge != "training"
    if group.data is None:
        return
    try:
        yield Checked("judged", *described(group, batch, held_out))
    except Exception as error:  # the first part was measured before; that of another one may raise
        if isinstance(error, CpdError) or out_of_memory(error):
            raise
        yield Checked("judged", False, f"measure() raised {type(error).__name__}: {first_line(error)}")


def _evaluated(group: Prepared, batch: Any) -> Stacked:
    """One run alone at its start."""
    with group.untouched():
        group.surroundings.restore()
        return group.stack.alone().evaluate(take(group.models, [0]).trained(), batch)


def _first_epoch(group: Prepared) -> Iterator[Stacked]:
    """One run alone at its start, on the minibatches of the first epoch, or the first of them."""
    order, batches = group.batches.state(), group.batches.each
    for _ in range(min(batches.in_epoch, LOOKED_THROUGH)):
        yield _evaluated(group, batches.next())
    group.batches.restore(*order)


def _broken(group: Prepared) -> dict[str, str]:
    """What is not finite, and in which minibatch of the first epoch."""
    found: dict[str, str] = {}
    in_parts = group.batches.batch_size is not None
    for k, at in enumerate(_first_epoch(group), start=1):
        where = f"in minibatch {k} of the first epoch" if in_parts else "at the start"
        for name, values in _by_name(group, at).items():
            if not values.isfinite().all():
                hint = "" if name == "the objective" or not in_parts else EMPTY_GROUP
                found.setdefault(name, f"{name} is not finite {where}{hint}")
    return found


def _unshown(group: Prepared) -> Iterator[str]:
    """Which constraints have no value in how many minibatches of the first epoch."""
    if not group.stack.partial:
        return
    shown = [_shown(group, at) for at in _first_epoch(group)]
    for name, size in group.stack.sizes.items():
        counts = [counts[name] for counts in shown]
        empty = sum(count == 0 for count in counts)
        if size > 1:
            yield f"a minibatch shows {sum(counts) / len(counts):.0f} of the {size:,} of {name} on average"
        elif empty:
            yield f"{name} has no example, and is left out, in {empty} of {len(counts)} minibatches"


def _by_name(group: Prepared, at: Stacked) -> dict[str, Tensor]:
    """Objective and constraints, surrogate and strict values together."""
    both = torch.cat([at.surrogate, at.strict])
    columns = torch.split(both, list(group.stack.sizes.values()), dim=1)
    return {"the objective": at.objective, **dict(zip(group.stack.names, columns, strict=True))}


def _shown(group: Prepared, at: Stacked) -> dict[str, int]:
    """How many components of each constraint a batch shows."""
    observed = torch.ones_like(at.strict[0]) if at.observed is None else at.observed[0]
    parts = torch.split(observed, list(group.stack.sizes.values()))
    return {name: int(part.sum()) for name, part in zip(group.stack.names, parts, strict=True)}


def _numbers(values: torch.Tensor) -> str:
    shown = ", ".join("no example" if x != x else f"{x:.4g}" for x in values[:4].tolist())
    more = ", ..." if len(values) > 4 else ""
    return f"{shown}" if len(values) == 1 else f"[{shown}{more}] ({len(values)} constraints)"


def _gradients(group: Prepared) -> Checked:
    """Whether the gradients of the objective and of each constraint reach the parameters, and are finite there."""
    norms: dict[str, float | None] = {}
    shown = {"the objective"}
    reached: set[str] = set()
    names = ["the objective", *group.stack.names]
    for name in names:
        at = _evaluated(group, group.batches.sample())
        parts = {"the objective": at.objective, **_surrogates(group, at)}
        shown |= {n for n, count in _shown(group, at).items() if count}
        gradients = at.gradients(parts[name].sum())
        there = {n: g for n, g in gradients.items() if g is not None}
        reached |= there.keys()
        norms[name] = max((float(g.abs().max()) for g in there.values()), default=None)
    broken = [n for n, norm in norms.items() if norm is not None and not norm < float("inf")]
    if broken:
        return Checked("gradients", False, f"the gradient of {', '.join(broken)} is not finite at the start")
    constant = [n for n, norm in norms.items() if norm is None]
    flat = [n for n, norm in norms.items() if norm == 0 and n in shown]
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
    stepper, before = Captured(training.going.step), training.going
    training.prepared.surroundings.restore()
    found = Replay(training).tried(stepper, 2)
    training.going, training.stepper = before, training.written()
    if stepper.note is not None:
        return stepper.note
    if found is not None:
        return f"captured steps are not used: {found.what}"
    return "two captured steps have the numbers of one run alone"


def _schedule(training: Training) -> str:
    """The step-size of the first step and of the last, of each group of parameters that has its own."""
    recipe = training.going.step.recipe
    ends = [recipe.options(recipe.start, torch.tensor(step)) for step in (0, training.steps - 1)]
    first, last = ([f"{options['lr'][0].item():.4g}" for options in end] for end in ends)
    rates = dict.fromkeys(f"{a} at the first step, {b} at the last" for a, b in zip(first, last, strict=True))
    return "step-size " + "; ".join(rates)


def _steps(group: Prepared, batch: Batch) -> str:
    return f"{total_steps(batch.train, group.data):,} steps, {'random' if group.draws else 'no random'} numbers drawn"
