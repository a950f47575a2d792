"""A task's runs and their ids: a hash of canonical JSON of all that a run's number depends on."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cpd.methods.registry import with_defaults
from cpd.outcome import RunKey
from cpd.spec.models import Task

ENGINE_VERSION = 1
"""Part of every run's id: raised when the engine's numbers change beyond rounding."""


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
    """What every run of a task has in common and its number depends on."""
    problem = task.problem
    file, _, name = problem.target.rpartition(":")
    return {
        # The name of a file, not its folder: a project that is moved keeps its runs.
        "problem": f"{file.replace(chr(92), '/').rpartition('/')[2]}:{name}",
        "source": hashlib.sha256(problem.source.encode()).hexdigest(),
        "arguments": problem.arguments,
        "senses": {n: c.sense for n, c in task.constraints.items()},
        "order": list(task.constraints),
        "train": task.train.model_dump(),
        "engine": ENGINE_VERSION,
    }


def _id(key: RunKey, shared: dict[str, Any]) -> str:
    setting = with_defaults(key.method, key.setting)
    own = {"method": key.method, "setting": setting, "levels": dict(key.levels), "seed": key.seed}
    return "c1:" + hashlib.sha256(canonical_json({**shared, **own}).encode()).hexdigest()[:16]


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
