"""A task's runs and their ids: a hash of canonical JSON of all that a run's number depends on.

Ids outlive versions of cpd: a field with a default that is added to a recipe or a method leaves stored runs their ids.
So :data:`TRAIN` and :data:`METHODS`, frozen, hold what the first ids were made of, which is written into every id; what
was added later is written only where it differs from its default.

- To add a field or hyperparameter: give it a default that trains as before, and touch nothing here.
- To change the default of one that is in the tables: touch nothing here; what a spec leaves out is written with its new
  value, and is another run, as it should be.
- To change the default of one that was added later: put its *first* default into :data:`FIRST_DEFAULTS`, where it stays
  the value that is left out.
- To remove one that is in the tables: its entry stays, and with it the ids of runs that had the default.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from cpd.methods.registry import REGISTRY, with_defaults
from cpd.outcome import RunKey
from cpd.spec.canonical import canonical_json as canonical_json
from cpd.spec.models import MovingConstraint, Program, Task
from cpd.spec.recipes import problem_of, train_of

ENGINE_VERSION = 1
"""Part of every run's id: raised when the engine's numbers change beyond rounding."""

TRAIN: Mapping[str, Any] = MappingProxyType(
    {
        "steps": None,
        "epochs": None,
        "batch_size": None,
        "optimizer": {"name": "SGD", "options": {}},
        "dtype": "float32",
    }
)
"""The recipe of the first ids. Frozen."""

_MULTIPLIERS = {"update": "alternating", "multiplier_init": 0.0}

METHODS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "penalized": {"coefficient": None},
        "quadratic_penalty": {"coefficient": None, "growth": 1.0},
        "lagrangian": {"dual_lr": None, "dual_optimizer": "SGD", "restart": False, **_MULTIPLIERS},
        "nupi": {"dual_lr": None, "kp": 0.0, "ki": 1.0, "nu": 0.0, "init": "released", **_MULTIPLIERS},
        "augmented_lagrangian": {"dual_lr": None, "penalty": None, "growth": 1.0, **_MULTIPLIERS},
    }
)
"""The hyperparameters of the first ids, by method. Frozen."""

FIRST_DEFAULTS: Mapping[str, Any] = MappingProxyType({})
"""First defaults of what was added later and has another one by now: ``train.FIELD`` or ``METHOD.HYPERPARAMETER``."""


def runs(task: Task) -> list[RunKey]:
    """Every run of a task: levels, methods, grids of the recipe, settings, then seeds, the seeds changing fastest."""
    own = {name: (c.level,) for name, c in task.constraints.items()}
    swept = {name: task.levels.get(name, level) for name, level in own.items()}
    keys = [
        RunKey(
            method,
            {**setting, **dict(zip(task.grids, dotted, strict=True))},
            dict(zip(swept, levels, strict=True)),
            seed,
        )
        for levels in itertools.product(*swept.values())
        for method, settings in task.methods.items()
        for dotted in itertools.product(*task.grids.values())
        for setting in settings
        for seed in task.seeds
    ]
    return with_ids(task, keys)


def settings_in(task: Task, method: str) -> list[dict[str, Any]]:
    """The settings of a method's grids, with the values of those over the recipe and the arguments."""
    recipes = [dict(zip(task.grids, values, strict=True)) for values in itertools.product(*task.grids.values())]
    return [{**setting, **dotted} for dotted in recipes for setting in task.methods[method]]


def with_ids(task: Task, keys: Iterable[RunKey]) -> list[RunKey]:
    """The same runs with their ids."""
    shared = _Shared(task)
    return [replace(key, id=shared.id(key)) for key in keys]


def run_id(task: Task, key: RunKey) -> str:
    """Hash of canonical JSON of all that changes a run's number.

    Not part of it: tolerance, names, tables, device, and who shares the batch.
    """
    return _Shared(task).id(key)


class _Shared:
    """The part of an id that runs share: those of one recipe and of the same arguments, whatever grid they are from."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._all = _shared_identity(task)
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, key: RunKey) -> Mapping[str, Any]:
        """That of a run, made once for all settings of its method."""
        dotted = key.dotted
        if not dotted:
            return self._all
        name = canonical_json(dotted)
        if name not in self._known:
            problem, train = problem_of(self._task.problem, dotted), train_of(self._task.train, dotted)
            recipe = {"train": _fields(train, TRAIN, "train")} if self._task.program is None else {}
            self._known[name] = self._all | {"arguments": problem.arguments, **recipe}
        return self._known[name]

    def id(self, key: RunKey) -> str:
        """A run's id; a program's hyperparameters are its own, and have no defaults that cpd knows."""
        setting = _setting(key) if self._task.program is None else dict(key.hyperparameters)
        own = {"method": key.method, "setting": setting, "levels": dict(key.levels), "seed": key.seed}
        return f"c1:{digest({**self.of(key), **own})[:16]}"


def _shared_identity(task: Task) -> dict[str, Any]:
    """The part of an id that all runs of a task share where nothing of its recipe is gridded."""
    problem = task.problem
    if task.program is not None:
        return _program_identity(task, task.program)
    file, _, name = problem.target.rpartition(":")
    moving = {n: c for n, c in task.constraints.items() if isinstance(c, MovingConstraint)}
    later = {
        "modules": {path: _hash(text) for path, text in problem.modules.items()},
        "depends": problem.depends,
        "held_out": {} if task.held_out is None else _fields(task.held_out, {}, "held_out"),
        "moving": {name: {"from": c.start, "over": c.over} for name, c in moving.items()},
    }
    return {
        # The name of a file, not its folder: a project that is moved keeps its runs.
        "problem": f"{file.replace(chr(92), '/').rpartition('/')[2]}:{name}",
        "source": _hash(problem.source),
        "arguments": problem.arguments,
        "senses": {n: c.sense for n, c in task.constraints.items()},
        "order": list(task.constraints),
        "train": _fields(task.train, TRAIN, "train"),
        "engine": ENGINE_VERSION,
        **{key: value for key, value in later.items() if value},
    }


def _program_identity(task: Task, program: Program) -> dict[str, Any]:
    """The same of a program, which has no recipe: not how long it may take, nor where its folder is."""
    problem = task.problem
    file, _, name = problem.target.rpartition(":")
    found = {
        "command": list(program.words),
        "problem": f"{file.replace(chr(92), '/').rpartition('/')[2]}:{name}" if program.is_function else "",
        "source": _hash(problem.source) if program.is_function else "",
        "modules": {path: _hash(text) for path, text in problem.modules.items()},
        "depends": problem.depends,
        "arguments": problem.arguments,
    }
    judged = {"senses": {n: c.sense for n, c in task.constraints.items()}, "order": list(task.constraints)}
    return {**judged, "objective": task.objective, **{key: value for key, value in found.items() if value}}


def _setting(key: RunKey) -> dict[str, Any]:
    defaults = {name: h.default for name, h in REGISTRY[key.method].hyperparameters.items()}
    return _written(with_defaults(key.method, key.hyperparameters), defaults, METHODS.get(key.method, {}), key.method)


def _fields(part: BaseModel, first: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The fields of a part of a task, and of its parts, as far as they enter an id."""
    fields = type(part).model_fields
    optional = {name: field for name, field in fields.items() if not field.is_required()}
    defaults = {name: _plain(f.get_default(call_default_factory=True), {}, "") for name, f in optional.items()}
    values = {name: _plain(getattr(part, name), first.get(name), f"{place}.{name}") for name in fields}
    return _written(values, defaults, first, place)


def _plain(value: Any, first: Any, place: str) -> Any:
    if isinstance(value, BaseModel):
        return _fields(value, first or {}, place)
    return [_plain(entry, {}, place) for entry in value] if isinstance(value, list | tuple) else value


def _written(
    values: Mapping[str, Any], defaults: Mapping[str, Any], first: Mapping[str, Any], place: str
) -> dict[str, Any]:
    """The values that enter an id: those of the first ids, and of the others those that differ from their default."""
    left_out = {
        name: canonical_json(FIRST_DEFAULTS.get(f"{place}.{name}", default))
        for name, default in defaults.items()
        if name not in first
    }
    return {**first, **{name: value for name, value in values.items() if canonical_json(value) != left_out.get(name)}}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of plain values, in hexadecimal digits."""
    return _hash(canonical_json(value))
