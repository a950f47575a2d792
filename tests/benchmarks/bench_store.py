"""What the store costs: ``python tests/benchmarks/bench_store.py [--runs N] [--repeats N]``.

First how long a user waits with 100,000 stored runs, each with a tail of 1,000 points and curves of 500: questions to a
freshly opened store, and whole commands beyond what the same command takes with a store of one sweep. Then what storing
adds to ``cpd sweep figure2``: with and without it in turn, medians. Exits 1 where something falls short.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring

from cpd.outcome import ConstraintOutcome, Curves, Run, RunKey, Status
from cpd.run.commands import load
from cpd.spec.models import task_to_json
from cpd.store.records import SweepRecord
from cpd.store.store import Store, open_store

LIMIT = 1.0
SHARE = 0.05
SWEEP = 40
RATE = load("rate")
RECORD = SweepRecord("sweep", RATE.name, RATE.text, task_to_json(RATE))


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


def seconds(question: Callable[[], Any], repeats: int = 3) -> float:
    """Median time of a question."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        question()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def ask(path: Path, question: Callable[[Store], Any]) -> Any:
    """Open, ask, close: what a command does."""
    with open_store(path, "read") as store:
        return question(store)


def questions(path: Path, runs: int) -> dict[str, float]:
    """Seconds of what commands ask a store of so many runs."""
    middle = ask(path, Store.sweeps)[runs // SWEEP // 2].id
    spread = [identity(k * runs // 1000) for k in range(1000)]
    return {
        "store: list of all sweeps": seconds(lambda: ask(path, Store.sweeps)),
        "store: a sweep of 40 runs": seconds(lambda: ask(path, lambda store: store.load(store.resolve(middle)))),
        "store: the same with curves": seconds(lambda: ask(path, lambda store: store.load(middle, curves=True))),
        "store: which of 1,000 runs are finished": seconds(lambda: ask(path, lambda store: store.finished(spread))),
        "store: 1,000 known runs": seconds(lambda: ask(path, lambda store: store.known(spread))),
    }


COMMAND = ("sweep", "concave", "--method", "penalized", "--set", "train.steps=20", "--format", "json", "--set")
THOUSAND = (*COMMAND, "penalized.coefficient=1e-3:1e1:1000:log")
ONE = (*COMMAND, "penalized.coefficient=1e-3")


def commands(path: Path, runs: int, repeats: int) -> dict[str, float]:
    """Seconds of whole commands on a large store, beyond the same on a store of one sweep of 40 runs."""
    small = path.with_name("small.sqlite")
    with open_store(small, "write") as store:
        fill(store, SWEEP)
    middle = ask(path, Store.sweeps)[runs // SWEEP // 2].id
    folder = path.parent
    for command in (THOUSAND, ONE):
        measuring.run(*measuring.cpd(*command, "--store", str(path)), folder=folder, codes=(0, 3))
    measured = measuring.Measured()
    for _ in range(repeats):
        for name, first, second in (
            ("cpd runs", ("runs", "--store", str(path)), ("runs", "--store", str(small))),
            ("cpd show, 40 runs", ("show", middle, "--store", str(path)), ("show", "--store", str(small))),
            ("cpd sweep, 1,000 runs found", (*THOUSAND, "--store", str(path)), (*ONE, "--store", str(path))),
        ):
            for way, words in ((name, first), (f"{name}: start-up", second)):
                done = measuring.run(*measuring.cpd(*words), folder=folder, codes=(0, 3))
                measured.add(way, done.seconds)
    names = [name for name in measured.values if not name.endswith("start-up")]
    return {name: measured.median(name) - measured.median(f"{name}: start-up") for name in names}


def cost(folder: Path, repeats: int) -> float:
    """What storing adds to the time of Figure 2's sweep, as a share."""
    measured = measuring.Measured()
    sweep = ("sweep", "figure2", "--format", "json")
    for number in range(repeats + 1):
        for way, words in (
            ("stored", (*sweep, "--store", str(folder / f"{number}.sqlite"))),
            ("not stored", (*sweep, "--no-store")),
        ):
            done = measuring.run(*measuring.cpd(*words), folder=folder)
            if number:  # the first compiles, and reads files that are not in memory yet
                measured.add(way, done.seconds)
    rows = [(way, f"{measured.median(way):.2f}") for way in measured.values]
    print(measuring.table(("cpd sweep figure2", "seconds"), rows), flush=True)
    return measured.ratio("stored", "not stored") - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.sqlite")
        with open_store(path, "write") as store:
            filling = seconds(lambda: fill(store, options.runs), repeats=1)
        each = f"{1000 * filling / options.runs:.3f} ms and {path.stat().st_size / options.runs:.0f} bytes a run"
        print(f"{measuring.machine()}; {options.runs:,} runs stored, {SWEEP} a transaction: {each}", flush=True)
        waits = questions(path, options.runs) | commands(path, options.runs, repeats=3)
        share = cost(Path(folder), options.repeats)
    wanted = {f"{name} (s)": (value, LIMIT, False) for name, value in waits.items()}
    wanted["storing figure2, share of its time"] = (share, SHARE, False)
    return int(measuring.verdicts(wanted) > 0)


if __name__ == "__main__":
    sys.exit(main())
