"""Twelve trainings of a convolutional network, against joblib: ``python bench_convolutions.py [--repetitions 3]``.

Scikit-learn's digits, two convolutions with and without BatchNorm, twelve coefficients of one constraint: one
``cpd sweep``, as a command and from Python, against a plain PyTorch loop over joblib with one thread and one process
for each core, as a script and without what its start takes. Interleaved, medians; ratios within a repetition. The
seconds on a core are those of all processes. Exits 1 when a sweep is slower.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from pathlib import Path

from measuring import HERE, Measured, Process, cpd, machine, run, script, table, verdicts

COEFFICIENTS = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]

TASK = """
problem: {problem}:Digits
arguments: {{norm: {norm}}}
objective: cross_entropy
constraints: {{eights: {{level: 0.1, sense: "<=", tolerance: 0.01}}}}
train: {{epochs: {epochs}, batch_size: {batch_size}, optimizer: {{name: Adam, lr: 0.001}}}}
seeds: [0]
methods: {{penalized: {{coefficient: {{values: {coefficients}}}}}}}
"""


def own_seconds() -> float:
    """Of all processes that have ended, on their cores."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Ways:
    """Every way to train the twelve, timed.

    Args:
        folder: Where specs are written and commands run.
        epochs: Of each training.
        batch_size: Of its minibatches.
        jobs: Options of ``cpd sweep``: none for what it chooses.
    """

    def __init__(self, folder: Path, epochs: int, batch_size: int, jobs: str | None) -> None:
        self.folder, self.epochs, self.batch_size, self.jobs = folder, epochs, batch_size, jobs
        self.walls, self.cores, self.inner = Measured(), Measured(), Measured()
        self.losses: dict[str, list[float]] = {}

    def repetition(self, norm: bool, counted: bool) -> None:
        """Every way once, of one network."""
        name = "with BatchNorm" if norm else "without"
        spec = self.folder / f"digits{int(norm)}.yaml"
        parts = {"problem": HERE / "convolutions.py", "norm": str(norm).lower(), "coefficients": COEFFICIENTS}
        spec.write_text(TASK.format(**parts, epochs=self.epochs, batch_size=self.batch_size))
        jobs = () if self.jobs is None else ("--jobs", self.jobs)
        numbers = ("--epochs", str(self.epochs), "--batch-size", str(self.batch_size))
        plain = script("joblib_convolutions.py", *numbers, *(["--norm"] if norm else []))
        inside = script("cpd_convolutions.py", str(spec), *([] if self.jobs is None else [f"jobs={self.jobs}"]))
        ways = {
            f"joblib, {name}": (*plain, "--coefficients", *map(str, COEFFICIENTS), "--jobs", str(cores())),
            f"cpd sweep, {name}": cpd("sweep", str(spec), "--no-store", "--format", "json", *jobs),
            f"cpd from Python, {name}": inside,
        }
        for way, words in ways.items():
            before = own_seconds()
            done = run(*words, folder=self.folder, codes=(0, 3))
            if counted:
                self.walls.add(way, done.seconds)
                self.cores.add(way, own_seconds() - before)
                self._keep(way, done)

    def _keep(self, way: str, done: Process) -> None:
        if way.startswith("cpd sweep"):
            self.losses[way] = [each["objective"] for each in done.json_document["runs"]]
            return
        self.inner.add(way, done.json["seconds"])
        self.losses[way] = done.json["losses"]


def cores() -> int:
    """How many cores there are to use."""
    return len(os.sched_getaffinity(0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--jobs", help="of cpd sweep [default: as many as help]")
    parser.add_argument("--norm", choices=["with", "without", "both"], default="both")
    given = parser.parse_args()
    norms = {"with": [True], "without": [False], "both": [True, False]}[given.norm]
    with tempfile.TemporaryDirectory() as name:
        ways = Ways(Path(name), given.epochs, given.batch_size, given.jobs)
        for k in range(given.repetitions + 1):  # the first one fills the file caches
            for norm in norms:
                ways.repetition(norm, counted=k > 0)
            print(f"repetition {k} of {given.repetitions} done", file=sys.stderr)
    return report(ways, ["with BatchNorm" if norm else "without" for norm in norms])


def report(ways: Ways, names: list[str]) -> int:
    """Print the table and say what falls short."""
    rows, wanted = [], {}
    for name in names:
        for way in (f"joblib, {name}", f"cpd sweep, {name}", f"cpd from Python, {name}"):
            inner = f"{ways.inner.median(way):.2f} s" if way in ways.inner.values else ""
            times = f"{ways.walls.ratio(f'joblib, {name}', way):.2f}x"
            loss = f"{sum(ways.losses[way]) / len(ways.losses[way]):.4f}"
            rows.append((way, f"{ways.walls.median(way):.2f} s", inner, f"{ways.cores.median(way):.1f} s", times, loss))
        ratio = ways.walls.ratio(f"joblib, {name}", f"cpd sweep, {name}")
        wanted[f"whole command, {name}, against joblib"] = (ratio, 1.0, True)
        ratio = ways.inner.ratio(f"joblib, {name}", f"cpd from Python, {name}")
        wanted[f"without the start, {name}, against joblib"] = (ratio, 1.0, True)
    print(f"{len(COEFFICIENTS)} trainings of {ways.epochs} epochs, minibatches of {ways.batch_size}; {machine()}\n")
    print(table(("way", "whole process", "without its start", "on cores", "against joblib", "mean loss"), rows))
    print()
    return min(1, verdicts(wanted))


if __name__ == "__main__":
    sys.exit(main())
