"""How long the store takes with 100,000 runs: ``python tests/benchmarks/bench_store.py [--runs N]``.

Each question that a user waits for, asked of a freshly opened store, must be answered well under a second; exits 1 if
one is not. The store is filled with sweeps of 40 runs; each run has a tail of 1,000 points and curves of 500.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cpd.outcome import ConstraintOutcome, Curves, Run, RunKey, Status
from cpd.store import Store, SweepRecord, open_store

LIMIT = 1.0
SWEEP = 40
RECORD = SweepRecord("sweep", "rate", "task: rate\n" * 20, {"problem": {"source": "x = 1\n" * 500}})


def identity(number: int) -> str:
    return f"c1:{number:016x}"


def template() -> Run:
    """A run whose numbers look like a training's: trend, oscillation and noise, in single precision."""
    noise = random.Random(0)

    def series(points: int) -> list[float | None]:
        from array import array

        values = (math.exp(-k / 100) + 0.1 * math.sin(k / 7) + noise.gauss(0, 0.01) for k in range(points))
        return list(array("f", values))

    curves = Curves(list(range(0, 10_000, 20)), series(500), {"class0_rate": series(500)}, {"class0_rate": series(500)})
    outcome = ConstraintOutcome(0.7025, 0.71, 2.01, series(1000), 0.3)
    key = RunKey("lagrangian", {"dual_lr": 0.01}, {"class0_rate": 0.7}, 1)
    return Run(key, Status.COMPLETED, 0.31, {"class0_rate": outcome}, {"accuracy": 0.87}, 10_000, 1.5, None, curves)


def fill(store: Store, runs: int) -> None:
    like = template()
    for first in range(0, runs, SWEEP):
        batch = [replace(like, key=replace(like.key, id=identity(k))) for k in range(first, min(first + SWEEP, runs))]
        sweep = store.begin_sweep(RECORD)
        store.link(sweep, [run.key.id or "" for run in batch])
        store.add_runs(sweep, batch)
        store.end_sweep(sweep, 0)


def timed(what: str, question: Callable[[], Any]) -> float:
    started = time.perf_counter()
    question()
    seconds = time.perf_counter() - started
    print(f"{seconds:8.3f} s  {what}", flush=True)
    return seconds


def ask(path: Path, question: Callable[[Store], Any]) -> Any:
    """Open, ask, close: what a command does."""
    with open_store(path, "read") as store:
        return question(store)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.sqlite")
        with open_store(path, "write") as store:
            filling = timed(f"filling with {runs} runs, {SWEEP} a transaction", lambda: fill(store, runs))
        print(f"{1000 * filling / runs:8.3f} ms a run, {path.stat().st_size / runs:.0f} bytes a run")
        middle = ask(path, Store.sweeps)[runs // SWEEP // 2].id
        spread = [identity(k * runs // 1000) for k in range(1000)]
        seconds = [
            timed("list of all sweeps", lambda: ask(path, Store.sweeps)),
            timed("a sweep of 40 runs", lambda: ask(path, lambda store: store.load(store.resolve(middle)))),
            timed("the same with curves", lambda: ask(path, lambda store: store.load(middle, curves=True))),
            timed("which of 1,000 runs are finished", lambda: ask(path, lambda store: store.finished(spread))),
            timed("1,000 known runs with tails", lambda: ask(path, lambda store: store.known(spread))),
        ]
    return int(max(seconds) >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
