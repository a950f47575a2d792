"""What the executors cost: ``python tests/benchmarks/bench_executors.py [--items N]``.

Prints the overhead per batch of loky and of Dask, with items that do nothing and items of 10 ms, on two workers; then
simulates growth: 10,000 runs of 1 ms, each with the curves of its 20 steps, on 64 Dask worker threads, and how long the
parent needs for each, storing included: as in a sweep each run is committed when it arrives. Exits 1 when a batch costs
50 ms or more, or a stored run 2 ms or more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench_store import RECORD, identity, template

from cpd.executors.queue import Done, Item
from cpd.executors.start import Executor, Where, start
from cpd.outcome import Curves, Run
from cpd.store.store import Store, open_store

BATCH_LIMIT = 50.0
ITEM_LIMIT = 2.0


def sleep(seconds: float) -> float:
    """Work of a known length, which leaves the cores to the executor."""
    time.sleep(seconds)
    return seconds


def timed(up: Executor, seconds: float, items: int) -> tuple[float, float]:
    """Milliseconds per item: by the clock, and of the parent's processor time."""
    begun, worked = time.perf_counter(), time.process_time()
    done = sum(isinstance(event, Done) for event in up.results([Item(seconds)] * items))
    assert done == items
    return 1000 * (time.perf_counter() - begun) / items, 1000 * (time.process_time() - worked) / items


def trained(number: int) -> Run:
    """A run of 1 ms."""
    time.sleep(0.001)
    return replace(LIKE, key=replace(LIKE.key, id=identity(number)))


def short(run: Run, steps: int = 20) -> Run:
    """The same with the points of a training that ends within a millisecond."""
    curves, outcomes = run.curves, run.constraints
    assert curves is not None
    few = Curves(
        curves.steps[:steps],
        curves.objective[:steps],
        {name: values[:steps] for name, values in curves.constraints.items()},
        {name: values[:steps] for name, values in curves.multipliers.items()},
    )
    constraints = {name: replace(outcome, tail=outcome.tail[:2]) for name, outcome in outcomes.items()}
    return replace(run, steps=steps, constraints=constraints, curves=few)


LIKE = short(template())


def stored(up: Executor, store: Store, runs: int) -> float:
    """Milliseconds per run, each stored as it arrives."""
    sweep = store.begin_sweep(RECORD)
    store.link(sweep, [identity(number) for number in range(runs)])
    begun = time.perf_counter()
    for event in up.results([Item(number) for number in range(runs)]):
        assert isinstance(event, Done)
        store.add_runs(sweep, [event.result])
    taken = time.perf_counter() - begun
    assert len(store.known([identity(number) for number in range(runs)])) == runs
    return 1000 * taken / runs


def overhead(name: str, up: Executor, items: int) -> float:
    """Print and return the largest overhead per batch, in ms: the time beyond the work's own, per worker."""
    timed(up, 0, 2 * up.workers)  # the start of the workers is not a batch's cost
    most = 0.0
    for seconds in (0.0, 0.01):
        wall, _ = timed(up, seconds, items)
        cost = up.workers * wall - 1000 * seconds
        print(
            f"{name:5} {1000 * seconds:4.0f} ms a batch: {cost:6.2f} ms overhead, {1000 / wall:6.0f} batches a second"
        )
        most = max(most, cost)
    return most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    items = parser.parse_args().items
    import distributed

    with start(Where("loky", 2), sleep) as up:
        costs = [overhead("loky", up, 500)]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        start(Where("dask", address=cluster.scheduler_address), sleep) as up,
    ):
        costs.append(overhead("dask", up, 500))
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=64, dashboard_address=None) as cluster,
        start(Where("dask", address=cluster.scheduler_address), trained) as up,
        tempfile.TemporaryDirectory() as folder,
        open_store(Path(folder, "runs.sqlite"), "write") as store,
    ):
        begun = time.process_time()
        wall = stored(up, store, items)
        parent = 1000 * (time.process_time() - begun) / items
    print(
        f"dask  {items} runs of 1 ms on 64 threads: {wall:.2f} ms a stored run, {parent:.2f} ms of it the parent's work"
    )
    return int(max(costs) >= BATCH_LIMIT or wall >= ITEM_LIMIT)


if __name__ == "__main__":
    # Workers import this file by its name.
    sys.path.insert(0, str(Path(__file__).parent))
    import bench_executors

    sys.exit(bench_executors.main())
