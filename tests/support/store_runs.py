"""Runs to store, and a process that stores them: ``python store_runs.py PATH FIRST COUNT BATCH``.

The process says ``ready`` once the store is open, and the number of each batch's first run when its commit returned.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cpd.errors import StoreError
from cpd.outcome import ConstraintOutcome, Curves, Run, RunKey, Status
from cpd.store.records import SweepRecord
from cpd.store.store import Store, open_store

RECORD = SweepRecord("sweep", "rate", "problem: x\n", {"problem": {"source": "x = 1"}, "methods": ["b", "a"]})

ELSEWHERE = "choose another file with --store PATH or CPD_STORE"


def identity(number: int) -> str:
    return f"c1:{number:016x}"


def ids(*numbers: int) -> list[str]:
    return [identity(number) for number in numbers]


def add(store: Store, *runs: Run, **options: Any) -> str:
    """Store runs as those of a sweep of their own; its id."""
    sweep = store.begin_sweep(RECORD)
    store.add_runs(sweep, runs, **options)
    return sweep


def make_run(number: int, status: Status = Status.COMPLETED, **changed: Any) -> Run:
    """A run with a scalar and a vector constraint, points that are missing, tails and curves."""
    parts: dict[str, Any] = {
        "objective": number / 3,
        "constraints": {
            "rate": ConstraintOutcome(0.7, 0.1 + 0.2, -0.0, [0.5, None, 1 / 3], 0.25),
            "parts": ConstraintOutcome([1.0, None], [0.5, 2.5], None, [[1.0, 2.0], [None, number / 7]]),
        },
        "metrics": {"accuracy": 0.9, "unknown": None},
        "steps": 1000,
        "seconds": 1.5,
        "curves": Curves([0, 500, 999], [1.0, None, 0.5], {"rate": [0.1, 0.2, 0.3], "parts": [[1.0, 2.0]] * 3}, {}),
    }
    key = RunKey("lagrangian", {"dual_lr": 0.1, "update": "alternating"}, {"rate": 0.7, "parts": 0.1}, 1)
    return Run(
        key=RunKey(key.method, key.setting, key.levels, key.seed, identity(number)), status=status, **(parts | changed)
    )


def fill(path: Path, count: int) -> str:
    """A closed store with one sweep of ``count`` runs."""
    with open_store(path, "write") as store:
        sweep = store.begin_sweep(RECORD)
        store.add_runs(sweep, [make_run(number) for number in range(count)])
    return sweep


def refusal(question: Callable[[], Any]) -> str:
    """The one line that a user sees."""
    import pytest  # not at the top: the writing process starts faster without

    with pytest.raises(StoreError) as caught:
        question()
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def writer(path: Path, first: int, count: int, batch: int) -> subprocess.Popen[str]:
    """This file as a process."""
    command = [sys.executable, __file__, str(path), str(first), str(count), str(batch)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main(path: Path, first: int, count: int, batch: int) -> None:
    with open_store(path, "write") as store:
        import numpy as np  # noqa: F401  # what packs curves: a process that has trained has loaded it long before

        print("ready", flush=True)
        sweep = store.begin_sweep(RECORD)
        store.link(sweep, [identity(number) for number in range(first, first + count)])
        for start in range(first, first + count, batch):
            store.add_runs(sweep, [make_run(k) for k in range(start, start + batch)])
            print(start, flush=True)
        store.end_sweep(sweep, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
