"""Stored sweeps of many settings under many constraints, not trained: ``python wide_sweeps.py PATH [METHOD ...]``."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.run import commands
from cpd.spec.models import Constraint, Task, task_to_json
from cpd.store.records import SweepRecord
from cpd.store.store import open_store

NAMES = tuple(f"requirement_{k:02d}" for k in range(12))

WORST = "requirement_07"
"""Violated by more settings than any other."""

HYPERPARAMETERS = {"penalized": "coefficient", "lagrangian": "dual_lr"}


def value(k: int) -> float:
    """The hyperparameter of the setting in this place."""
    return float(f"{1e-4 * 1.01**k:.8g}")


def objective(k: int, of: int) -> float:
    """The lowest lies at 0.637 of the grid."""
    return 1.0 + abs(k / of - 0.637)


def amounts(k: int, of: int) -> dict[str, float]:
    """Values at the level 1: the last third of the settings holds all, the worst one is missed by the others most."""
    missing = max(0.0, 0.6 - k / of)
    return {name: 0.9 + missing * (2 if name == WORST else j / 20) for j, name in enumerate(NAMES)}


def runs(method: str, count: int) -> list[Run]:
    """A run for each setting; every hundredth diverged."""
    found = []
    for k in range(count):
        key = RunKey(
            method, {HYPERPARAMETERS[method]: value(k)}, dict.fromkeys(NAMES, 1.0), 1, f"c1:{method[0]}{k:015x}"
        )
        outcomes = {name: ConstraintOutcome(v, v, 0.5) for name, v in amounts(k, count).items()}
        metrics: dict[str, float | None] = {"accuracy": 0.5 + 0.4 * math.sin(k) ** 2}
        diverged = k % 100 == 99
        found.append(
            Run(key, Status.DIVERGED, steps=40) if diverged else
            Run(key, Status.COMPLETED, objective(k, count), outcomes, metrics, 100, 0.5)
        )  # fmt: skip
    return found


def task(methods: Sequence[str], count: int) -> Task:
    """What they are runs of."""
    bounds = {name: Constraint(level=1.0, sense="<=", tolerance=0.001) for name in NAMES}
    settings = {m: tuple({HYPERPARAMETERS[m]: value(k)} for k in range(count)) for m in methods}
    changed = {"name": "wide", "constraints": bounds, "objective": "cost", "methods": settings}
    return commands.load("rate").model_copy(update=changed)


def store(path: Path, count: int = 1000, methods: Sequence[str] = ("lagrangian",)) -> str:
    """A store with one such sweep; its id."""
    spec = task_to_json(task(methods, count))
    with open_store(path, "write") as opened:
        sweep = opened.begin_sweep(SweepRecord("sweep", "wide", "", spec))
        for method in methods:
            opened.add_runs(sweep, runs(method, count))
        opened.end_sweep(sweep, 0)
    return sweep


if __name__ == "__main__":
    store(Path(sys.argv[1]), methods=sys.argv[2:] or ("lagrangian",))
