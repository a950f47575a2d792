"""What the engines cost: ``python tests/benchmarks/bench_executors.py [--items N]``.

Prints the overhead per batch of loky and of Dask, with items that do nothing and items of 10 ms, on two workers; then
simulates growth: 10,000 items of 1 ms on 64 Dask worker threads, and how long the parent needs for each. Exits 1 when
a batch costs 50 ms or more, or a simulated item 2 ms or more.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from cpd.executors import Done, Engine, Item, Where, engine

BATCH_LIMIT = 50.0
ITEM_LIMIT = 2.0


def sleep(seconds: float) -> float:
    """Work of a known length, which leaves the cores to the engine."""
    time.sleep(seconds)
    return seconds


def timed(up: Engine, seconds: float, items: int) -> tuple[float, float]:
    """Milliseconds per item: by the clock, and of the parent's processor time."""
    begun, worked = time.perf_counter(), time.process_time()
    done = sum(isinstance(event, Done) for event in up.results([Item(seconds)] * items))
    assert done == items
    return 1000 * (time.perf_counter() - begun) / items, 1000 * (time.process_time() - worked) / items


def overhead(name: str, up: Engine, items: int) -> float:
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

    with engine(Where("loky", 2), sleep) as up:
        costs = [overhead("loky", up, 500)]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        engine(Where("dask", address=cluster.scheduler_address), sleep) as up,
    ):
        costs.append(overhead("dask", up, 500))
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=64, dashboard_address=None) as cluster,
        engine(Where("dask", address=cluster.scheduler_address), sleep) as up,
    ):
        wall, parent = timed(up, 0.001, items)
    print(f"dask  {items} items of 1 ms on 64 threads: {wall:.2f} ms an item, {parent:.2f} ms of them the parent's")
    return int(max(costs) >= BATCH_LIMIT or wall >= ITEM_LIMIT)


if __name__ == "__main__":
    # Workers import this file by its name.
    sys.path.insert(0, str(Path(__file__).parent))
    import bench_executors

    sys.exit(bench_executors.main())
