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
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from cpd.methods.registry import REGISTRY, with_defaults
from cpd.outcome import RunKey
from cpd.spec.models import Task

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
    return with_ids(task, keys)


def with_ids(task: Task, keys: Iterable[RunKey]) -> list[RunKey]:
    """The same runs with their ids."""
    shared = _shared_identity(task)
    return [replace(key, id=_id(key, shared)) for key in keys]


def run_id(task: Task, key: RunKey) -> str:
    """Hash of canonical JSON of all that changes a run's number.

    Not part of it: tolerance, names, tables, device, and who shares the batch.
    """
    return _id(key, _shared_identity(task))


def _shared_identity(task: Task) -> dict[str, Any]:
    """The part of an id that all runs of a task share."""
    problem = task.problem
    file, _, name = problem.target.rpartition(":")
    later = {"modules": {path: _hash(text) for path, text in problem.modules.items()}, "depends": problem.depends}
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


def _id(key: RunKey, shared: Mapping[str, Any]) -> str:
    own = {"method": key.method, "setting": _setting(key), "levels": dict(key.levels), "seed": key.seed}
    return f"c1:{digest({**shared, **own})[:16]}"


def _setting(key: RunKey) -> dict[str, Any]:
    defaults = {name: h.default for name, h in REGISTRY[key.method].hyperparameters.items()}
    return _written(with_defaults(key.method, key.setting), defaults, METHODS.get(key.method, {}), key.method)


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


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces in which equal values have equal text: 1 is 1.0, -0.0 is 0.0.

    Raises:
        ValueError: NaN or an infinity.
        TypeError: Something that is no plain value, such as a set or an array.
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def _canonical(value: Any) -> Any:
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {_canonical_key(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def _canonical_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a string, not {key!r}")
    return key
