"""Models trained by the engine, tensors and all, and how they are compared with a plain loop's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import model_problems
import plain_loop
import pytest
import torch
from plain_loop import LEVEL, Feature, Finished
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.checkpointing import Keeper
from cpd.engine.cost import threads_for
from cpd.engine.generators import kept_random
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder
from cpd.engine.results import finished_runs
from cpd.engine.steppers.choice import choose
from cpd.engine.train import Hooks, Interrupted, run_spans
from cpd.engine.training import Training
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, ProblemSource, Train

KEYS = (
    RunKey("penalized", {"coefficient": 0.5}, {"value": LEVEL}, 1),
    RunKey("lagrangian", {"dual_lr": 0.05}, {"value": LEVEL}, 1),
    RunKey("lagrangian", {"dual_lr": 0.3}, {"value": LEVEL}, 1),
)


def source(kind: str, arguments: dict[str, Any], module: Any = model_problems) -> ProblemSource:
    """A problem of a module that stands beside this one."""
    path = Path(module.__file__)
    return ProblemSource(
        target=f"{path.name}:{kind}", path=str(path), source=path.read_text(), arguments=dict(arguments)
    )


def batch_of(
    kind: str,
    arguments: dict[str, Any],
    feature: Feature,
    steps: int = 200,
    dtype: str = "float32",
    module: Any = model_problems,
    **options: Any,
) -> Batch:
    """A batch of a model and a recipe."""
    train = Train.model_validate({"steps": steps, "dtype": dtype, **feature.train})
    keys = options.pop("keys", KEYS)
    constraints = {"value": Constraint(level=LEVEL, sense="<=")}
    return Batch(source(kind, arguments, module), constraints, train, keys, **options)


def trained(batch: Batch, hooks: Hooks | None = None) -> tuple[list[Finished], list[str]]:
    """Train a batch: what each run came to, in the order of its keys, and the notes."""
    found: dict[str, Finished] = {}
    with kept_random(torch.device(batch.device)):
        builder = Builder(batch)
        notes = builder.notes
        keeper = Keeper(batch, notes.append)
        for group in builder.groups():
            assert isinstance(group, Prepared), group
            training = Training.begin(group, batch.constraints, batch.train, batch.prune)
            keeper.resume(training)
            with threads_for(group):
                notes += run_spans(training, choose(batch, training), hooks or Hooks(), keeper)
            keeper.ended(training)
            found |= {str(k): f for k, f in _finished(training)}
    return [found[str(key)] for key in batch.keys], list(dict.fromkeys(notes))


def _finished(training: Training) -> list[tuple[RunKey, Finished]]:
    runs = {str(run.key): run for run in finished_runs(training)}
    found = []
    for cohort in training.cohorts:
        models = cohort.step.judged(cohort.tree.state)
        tensors = {**models.parameters, **models.buffers, **models.fixed}
        for row, key in enumerate(cohort.keys[:1] if training.prepared.padded else cohort.keys):
            run = runs[str(key)]
            assert run.objective is not None, run.error
            assert run.curves is not None
            value = run.constraints["value"]
            numbers: dict[str, Any] = {"objective": run.objective, "value": value.value, **run.metrics}
            if value.multiplier is not None:
                numbers["multiplier"] = value.multiplier
            own = {n: t[row].detach().clone() for n, t in tensors.items()}
            found.append((key, Finished(numbers, own, [float(x) for x in run.curves.objective if x is not None])))
    return found


def plainly(batch: Batch, key: RunKey, feature: Feature, module: Any = model_problems) -> Finished:
    """The same run in a plain loop."""
    problem = getattr(module, batch.problem.target.partition(":")[2])(**batch.problem.arguments)
    assert batch.train.steps is not None
    return plain_loop.train_plainly(problem, key, batch.train.steps, getattr(torch, batch.train.dtype), feature)


def apart(found: Finished, expected: Finished) -> dict[str, float]:
    """How far two runs are apart, relative to the largest number of each kind; whole numbers are equal or not."""
    far = {name: abs(found.numbers[name] - value) / max(abs(value), 0.1) for name, value in expected.numbers.items()}
    names = expected.tensors.keys() & found.tensors.keys()
    far |= {name: _far(found.tensors[name], expected.tensors[name]) for name in names}
    if len(found.objectives) == len(expected.objectives):
        far["objectives"] = _far(*(torch.tensor(x.objectives, dtype=torch.float64) for x in (found, expected)))
    return far


def _far(a: Tensor, b: Tensor) -> float:
    if not b.is_floating_point():
        return 0.0 if torch.equal(a, b) else float("inf")
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    return float((a - b).abs().max() / b.abs().max().clamp_min(0.1)) if b.numel() else 0.0


def interrupted(batch: Batch, after: int = 6) -> None:
    """Train until it is asked to stop; its checkpoint is left."""
    calls = iter(range(10**6))
    with pytest.raises(Interrupted):
        trained(batch, Hooks(stop=lambda: next(calls) > after))


def same(one: Finished, other: Finished) -> bool:
    """Whether two runs are the same bit by bit."""
    alike = all(torch.equal(t, other.tensors[n]) for n, t in one.tensors.items())
    return alike and one.numbers == other.numbers and one.objectives == other.objectives


def farthest(found: Sequence[Finished], expected: Sequence[Finished]) -> tuple[float, str]:
    """The largest difference of all runs', and what differs."""
    each = [(far, name) for a, b in zip(found, expected, strict=True) for name, far in apart(a, b).items()]
    return max(each)
