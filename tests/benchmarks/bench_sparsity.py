"""Time until a coefficient within 0.01 of half the density: ``python bench_sparsity.py [--repetitions 1] [--digits]``.

On MNIST (the folder in CPD_DATA; skipped without one) with the paper's network and 150 epochs: the released procedure,
one training after another with a ``DataLoader`` of picture files, the same with pictures in memory, and ``cpd bisect``;
on scikit-learn's digits, ``cpd bisect`` in several ways. Whole commands, both cores, nothing stored. Needs the extra
``bench``. Exits 1 when MNIST's ratio falls short.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from measuring import Measured, cpd, machine, run, script, table, verdicts

SEARCH = ("--target-density", "0.5", "--no-store", "--format", "json")
MNIST = ("bisect", "sparsity-mnist", "--high", "10", *SEARCH)
DIGITS = ("bisect", "sparsity", *SEARCH)
FAST = ("--strategy", "illinois", "--parallel", "2", "--prune")
RELEASED = "released procedure"
WAYS = {
    "cpd bisect": (),
    "cpd bisect --strategy illinois": ("--strategy", "illinois"),
    f"cpd bisect {' '.join(FAST)}": FAST,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--digits", action="store_true", help="digits alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits(folder, arguments.repetitions)
        if arguments.digits:
            return 0
        if not os.environ.get("CPD_DATA"):
            print("MNIST skipped: CPD_DATA names no folder")
            return 0
        return mnist(folder, arguments.repetitions)


def digits(folder: Path, repetitions: int) -> None:
    """Several ways of cpd; the first start of each compiles."""
    measured, trainings = Measured(), Measured()
    for k in range(repetitions + 1):
        for way, words in WAYS.items():
            done = run(*cpd(*DIGITS, *words), folder=folder)
            name = f"{way}, first start" if k == 0 else way
            measured.add(name, done.seconds)
            trainings.add(name, done.json_document["search"]["trainings"])
    print(f"{machine()}, digits, 64 hidden units, 1,800 steps\n")
    rows = [(way, f"{trainings.median(way):.0f}", f"{measured.median(way):.1f} s") for way in measured.values]
    print(table(("way", "trainings", "whole command"), rows), end="\n\n")


def mnist(folder: Path, repetitions: int) -> int:
    """The released procedure, kinder to it, and cpd."""
    measured, trainings = Measured(), Measured()
    run(*cpd(*MNIST, *FAST, "--set", "train.epochs=10"), folder=folder, codes=(0, 3))  # compiles
    for _ in range(repetitions):
        for way, options in ((RELEASED, []), (f"{RELEASED}, pictures in memory", ["--memory"])):
            done = run(*script("released_sparsity.py", *options), folder=folder)
            measured.add(way, done.seconds)
            trainings.add(way, len(done.json["trainings"]))
        for way, words in WAYS.items():
            done = run(*cpd(*MNIST, *words), folder=folder)
            measured.add(way, done.seconds)
            trainings.add(way, done.json_document["search"]["trainings"])
    print(f"{machine()}, 8,000 MNIST images, 784-300-100-10, 150 epochs of minibatches of 256\n")
    rows = [
        (way, f"{trainings.median(way):.0f}", f"{measured.median(way):.0f} s", f"{measured.ratio(RELEASED, way):.1f}x")
        for way in measured.values
    ]
    print(table(("way", "trainings", "whole command", "sooner"), rows), end="\n\n")
    best = min(WAYS, key=measured.median)
    return min(1, verdicts({"MNIST, sooner than the released procedure": (measured.ratio(RELEASED, best), 4, True)}))


if __name__ == "__main__":
    sys.exit(main())
