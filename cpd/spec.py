"""YAML -> validated objects; canonical JSON; a run's id."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cpd.outcome import RunKey

ENGINE_VERSION = 1
"""Part of every run's id: raised when the engine's numbers change beyond rounding."""

OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")
"""Optimizers of ``torch.optim`` that act element by element, so that runs stay apart when fused."""

Registry = Mapping[str, Mapping[str, Any]]
"""Method name -> hyperparameter name -> its declaration; the first hyperparameter is the swept one."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Constraint(_Frozen):
    """A constraint's level, sense and tolerance.

    Attributes:
        level: What the value is compared with.
        sense: ``<=``, ``>=`` or ``==``.
        tolerance: Largest violation that still counts as feasible, in the value's unit.
    """

    level: float
    sense: Literal["<=", ">=", "=="]
    tolerance: float = Field(default=1e-3, ge=0)


class Optimizer(_Frozen):
    """The models' optimizer: a name of ``torch.optim`` and its options."""

    name: str = "SGD"
    options: dict[str, Any] = Field(default_factory=dict)


class Train(_Frozen):
    """The training recipe.

    Attributes:
        steps: Steps of a training; or give ``epochs``.
        epochs: Passes over the data.
        batch_size: Examples in a minibatch; None for all.
        optimizer: Of the models.
        dtype: ``float32`` or ``float64``.
    """

    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=1)
    optimizer: Optimizer = Optimizer()
    dtype: Literal["float32", "float64"] = "float32"


class ProblemSource(_Frozen):
    """Where a problem comes from.

    Attributes:
        target: As written: ``package.module:Class`` or ``file.py:Class``.
        path: Absolute path of ``file.py``; None for a module.
        source: The module's text; it travels with the sweep and enters the run's id.
        arguments: For the class.
    """

    target: str
    path: str | None
    source: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Search(_Frozen):
    """A search for the penalty coefficient that brings a constraint's value to a target."""

    constraint: str | None = None
    target: float
    low: float = Field(default=1e-3, gt=0)
    high: float = Field(default=1.0, gt=0)
    tolerance: float = Field(default=0.01, gt=0)
    strategy: Literal["bisection", "illinois"] = "bisection"
    max_trainings: int = Field(default=40, ge=2)


class Task(_Frozen):
    """A task or sweep, ready to run.

    Attributes:
        name: The file's stem.
        place: The file as the user typed it: prefix of errors.
        text: The file as written, the task's after the sweep's.
        methods: Method -> its settings in grid order, as given (defaults left out).
        levels: Swept levels; constraints that are not named keep their own.
        notes: What the user should know, e.g. duplicates left out.
    """

    name: str
    place: str
    text: str
    description: str = ""
    problem: ProblemSource
    objective: str
    constraints: dict[str, Constraint]
    train: Train
    seeds: tuple[int, ...] = (0,)
    methods: dict[str, tuple[dict[str, Any], ...]]
    levels: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    search: Search | None = None
    notes: tuple[str, ...] = ()


def runs(task: Task, registry: Registry) -> list[RunKey]:
    """Every run of a task: levels, then methods, then settings, then seeds, the seeds changing fastest."""
    own = {name: (c.level,) for name, c in task.constraints.items()}
    swept = {name: task.levels.get(name, level) for name, level in own.items()}
    keys = [
        RunKey(method, setting, dict(zip(swept, levels, strict=True)), seed)
        for levels in itertools.product(*swept.values())
        for method, settings in task.methods.items()
        for setting in settings
        for seed in task.seeds
    ]
    return with_ids(task, keys, registry)


def with_ids(task: Task, keys: Iterable[RunKey], registry: Registry) -> list[RunKey]:
    """The same runs with their ids."""
    shared = _shared_identity(task)
    return [replace(key, id=_id(task, key, registry, shared)) for key in keys]


def _shared_identity(task: Task) -> dict[str, Any]:
    """What every run of a task has in common and its number depends on."""
    problem = task.problem
    file, _, name = problem.target.rpartition(":")
    return {
        "problem": f"{file.replace(chr(92), '/').rpartition('/')[2] if problem.path else file}:{name}",
        "source": hashlib.sha256(problem.source.encode()).hexdigest(),
        "arguments": problem.arguments,
        "senses": {n: c.sense for n, c in task.constraints.items()},
        "order": list(task.constraints),
        "train": task.train.model_dump(),
        "engine": ENGINE_VERSION,
    }


def run_id(task: Task, key: RunKey, registry: Registry) -> str:
    """Hash of canonical JSON of all that changes a run's number.

    Not part of it: tolerance, names, tables, device, and who shares the batch.
    """
    return _id(task, key, registry, _shared_identity(task))


def _id(task: Task, key: RunKey, registry: Registry, shared: dict[str, Any]) -> str:
    defaults = {name: h.default for name, h in registry[key.method].items()}
    own = {"method": key.method, "setting": {**defaults, **key.setting}, "levels": dict(key.levels), "seed": key.seed}
    return "c1:" + hashlib.sha256(canonical_json({**shared, **own}).encode()).hexdigest()[:16]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces in which equal values have equal text: 1 is 1.0, -0.0 is 0.0.

    Raises:
        ValueError: NaN or an infinity.
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def _canonical(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        if math.isfinite(value) and float(value).is_integer() and abs(value) < 2**53:
            return int(value)
        return value
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items()}
    return [_canonical(v) for v in value]


def task_to_json(task: Task) -> dict[str, Any]:
    """A task as plain JSON values."""
    return task.model_dump(mode="json")


def task_from_json(value: dict[str, Any]) -> Task:
    """The task again."""
    return Task.model_validate(value)
