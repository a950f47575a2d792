"""Batches that the engine's tests train, and how their runs are compared."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_problems import __file__ as PROBLEMS  # noqa: N812

from cpd.engine.batch import Batch
from cpd.engine.preparing import Builder, Prepared
from cpd.engine.train import train
from cpd.engine.training import Training
from cpd.outcome import Run, RunKey
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Train

SGD = Optimizer(name="SGD", options={"lr": 0.05})
ADAM = Optimizer(name="Adam", options={"lr": 0.01})


def source(name: str, **arguments: Any) -> ProblemSource:
    text = Path(PROBLEMS).read_text()
    return ProblemSource(target=f"engine_problems.py:{name}", path=str(PROBLEMS), source=text, arguments=arguments)


def bundled(target: str, **arguments: Any) -> ProblemSource:
    return ProblemSource(target=target, path=None, source="", arguments=arguments)


def recipe(steps: int, batch_size: int | None = None, optimizer: Optimizer = SGD, dtype: str = "float64") -> Train:
    return Train(steps=steps, epochs=None, batch_size=batch_size, optimizer=optimizer, dtype=dtype)


def constraint(level: float, sense: str) -> Constraint:
    return Constraint(level=level, sense=sense, tolerance=1e-3)


QUADRATIC = {"each": constraint(0.5, ">="), "total": constraint(2.0, "==")}


def key(method: str, levels: dict[str, float], seed: int = 1, **setting: Any) -> RunKey:
    return RunKey(method, setting, levels, seed)


def quadratic(keys: list[RunKey], steps: int = 60, kind: str = "Quadratic", **options: Any) -> Batch:
    arguments = options.pop("arguments", {})
    optimizer = options.pop("optimizer", SGD)
    return Batch(source(kind, **arguments), QUADRATIC, recipe(steps, optimizer=optimizer), tuple(keys), **options)


def mixed_keys(seeds: tuple[int, ...] = (1,)) -> list[RunKey]:
    """Every method, several settings and levels."""
    levels = [{"each": 0.5, "total": 2.0}, {"each": 0.25, "total": 1.0}]
    settings: list[tuple[str, dict[str, Any]]] = [
        ("penalized", {"coefficient": 0.3}),
        ("penalized", {"coefficient": [0.1, 0.4]}),
        ("quadratic_penalty", {"coefficient": 2.0, "growth": 1.01}),
        ("lagrangian", {"dual_lr": 0.05}),
        ("lagrangian", {"dual_lr": 0.2, "update": "simultaneous"}),
        ("nupi", {"dual_lr": 0.1, "kp": 2.0}),
        ("augmented_lagrangian", {"dual_lr": 0.1, "penalty": 1.0}),
    ]
    return [RunKey(m, s, level, seed) for seed in seeds for m, s in settings for level in levels]


def numbers(run: Run) -> tuple[Any, ...]:
    """All that a run measured, for comparison bit by bit."""
    return (
        run.status,
        run.objective,
        [(c.value, c.surrogate, c.multiplier, c.tail, c.gradient_norm, c.held) for c in run.constraints.values()],
        run.metrics,
        run.steps,
        run.curves,
    )


def assert_close(one: Run, other: Run, relative: float = 1e-9) -> None:
    """The same run to rounding, curves included."""
    assert one.status is other.status
    assert one.curves is not None
    assert other.curves is not None
    flat_one = [
        one.objective,
        *one.metrics.values(),
        *flat([(c.value, c.surrogate, c.multiplier) for c in one.constraints.values()]),
    ]
    flat_other = [
        other.objective,
        *other.metrics.values(),
        *flat([(c.value, c.surrogate, c.multiplier) for c in other.constraints.values()]),
    ]
    assert flat_one == pytest.approx(flat_other, rel=relative, abs=1e-12, nan_ok=True)
    curves: list[list[float | None]] = [
        [*flat(list(c.constraints.values())), *flat(list(c.multipliers.values())), *c.objective]
        for c in (one.curves, other.curves)
    ]
    assert curves[0] == pytest.approx(curves[1], rel=relative, abs=1e-12)


def flat(values: Any) -> list[float]:
    if isinstance(values, Sequence):
        return [x for value in values for x in flat(value)]
    return [math.nan if values is None else values]


def begun(batch: Batch) -> Training:
    """A training at its first step, of a batch that is one program."""
    (group,) = Builder(batch).groups()
    assert isinstance(group, Prepared)
    return Training.begin(group, batch.constraints, batch.train, batch.prune)


def one_by_one(batch: Batch) -> list[Run]:
    return [train(replace(batch, keys=(key,), fuse=False)).runs[0] for key in batch.keys]


CONCAVE = {"g": constraint(0.5, "==")}
RATE = {"class0_rate": constraint(0.7, ">=")}
DENSITY = {"density": constraint(0.5, "<=")}
BUNDLED = {
    "concave": Batch(
        bundled("cpd.problems.concave:Concave"),
        CONCAVE,
        recipe(200),
        (
            key("penalized", {"g": 0.5}, coefficient=0.4),
            key("nupi", {"g": 0.5}, dual_lr=0.3, kp=40.0, update="simultaneous"),
            key("nupi", {"g": 0.2}, dual_lr=0.3, kp=40.0, update="simultaneous"),
        ),
    ),
    "rate": Batch(
        bundled("cpd.problems.rate:Rate"),
        RATE,
        recipe(200),
        (
            key("penalized", {"class0_rate": 0.7}, coefficient=2.15),
            key("lagrangian", {"class0_rate": 0.7}, dual_lr=0.1),
            key("lagrangian", {"class0_rate": 0.6}, dual_lr=10.0, seed=2),
        ),
    ),
    "sparsity": Batch(
        bundled("cpd.problems.sparsity:Sparsity", hidden=[12, 8]),
        DENSITY,
        recipe(200, batch_size=100, optimizer=ADAM),
        (
            key("penalized", {"density": 0.5}, coefficient=0.5),
            key("lagrangian", {"density": 0.5}, dual_lr=0.1),
            key("lagrangian", {"density": 0.3}, dual_lr=0.1),
        ),
    ),
}

MOMENTUM = Optimizer(name="SGD", options={"lr": 0.1, "momentum": 0.9})
NOISY = quadratic(mixed_keys((1,)), arguments={"noise": 0.1}, optimizer=ADAM)
DROPOUT = Batch(
    source("Classifier"),  # 50 examples in minibatches of 16: an epoch's last one has 2
    {"rate": constraint(0.7, ">=")},
    recipe(60, 16, MOMENTUM),
    tuple(key("nupi", {"rate": 0.7}, dual_lr=e, kp=1.0) for e in (0.1, 0.5)),
)
NORMED = Batch(
    source("Normed"),
    {"rate": constraint(0.7, ">=")},
    recipe(60, 25, ADAM),
    tuple(key("lagrangian", {"rate": 0.7}, dual_lr=e) for e in (0.1, 0.5, 2.0)),
)
GATES = replace(BUNDLED["sparsity"], train=recipe(60, 479, ADAM))
STEPS = {"norm": NORMED, "noise": NOISY, "dropout": DROPOUT, "gates": GATES, "full batch": BUNDLED["rate"]}
"""Every kind of step: with buffers that change, noise drawn by the model, minibatches and dropout, gates, all data."""
