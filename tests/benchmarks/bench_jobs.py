"""What a second worker process gains: ``python tests/benchmarks/bench_jobs.py [--epochs N] [--repeat N]``.

Times whole commands, from typing to the last line: 4 seeds of the MNIST sparsity task over 5 penalty coefficients, each
seed one batch of five fused runs. The MNIST files are read from the folder in CPD_DATA. One uncounted round fills the
file caches, then the variants take turns. Exits 1 when ``--jobs 2`` is not 1.8 times as fast as ``--jobs 1``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

RUNS = 4 * 5
ASKED = 1.8

SWEEP = (
    *("sweep", "sparsity-mnist", "--method", "penalized", "--seeds", "0:4"),
    *("--set", "penalized.coefficient=0.01:1:5:log", "--format", "json"),
)


class Variant(NamedTuple):
    """One way to run the sweep."""

    name: str
    jobs: int
    environment: dict[str, str]


class Timing(NamedTuple):
    """Seconds of one command: by the clock, and of all its processes' processor time."""

    wall: float
    processor: float


VARIANTS = (
    Variant("--jobs 1", 1, {}),
    Variant("--jobs 1, one thread", 1, {"OMP_NUM_THREADS": "1"}),
    Variant("--jobs 2", 2, {}),
)


def timed(variant: Variant, epochs: int) -> Timing:
    """Run the command in an empty folder, with a store of its own."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    words = [*SWEEP, "--set", f"train.epochs={epochs}", "--jobs", str(variant.jobs)]
    before, begun = _processor_seconds(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cpd", *words],
            cwd=folder,
            env=inherited | variant.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    wall = time.perf_counter() - begun
    if done.returncode not in (0, 3):  # after so few epochs perhaps nothing is feasible
        sys.exit(done.stderr)
    assert [run["status"] for run in json.loads(done.stdout)["runs"]] == ["completed"] * RUNS
    return Timing(wall, _processor_seconds() - before)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if not os.environ.get("CPD_DATA"):
        print("skipped: name the folder of the MNIST files in CPD_DATA")
        return 0
    timed(VARIANTS[-1], 1)
    taken: dict[str, list[Timing]] = {variant.name: [] for variant in VARIANTS}
    for _ in range(options.repeat):
        for variant in VARIANTS:
            taken[variant.name].append(timed(variant, options.epochs))
    best = statistics.median(timing.wall for timing in taken["--jobs 2"])
    print(
        f"{RUNS} runs of {options.epochs} epochs on {len(os.sched_getaffinity(0))} cores, medians of {options.repeat}"
    )
    print(f"{'':22} {'wall':>8} {'(from - to)':>16} {'processor':>10} {'--jobs 2 gains':>15}")
    for name, timings in taken.items():
        walls = [timing.wall for timing in timings]
        wall, processor = statistics.median(walls), statistics.median(timing.processor for timing in timings)
        spread = f"({min(walls):.1f} - {max(walls):.1f})"
        print(f"{name:22} {wall:6.1f} s {spread:>16} {processor:8.1f} s {wall / best:14.2f}x")
    one = statistics.median(timing.wall for timing in taken["--jobs 1"])
    return int(one / best < ASKED)


if __name__ == "__main__":
    sys.exit(main())
