"""The 40 runs of Figure 2, 10,000 steps each, against other ways: ``python bench_figure2.py [--repetitions 3]``.

Whole processes, interleaved, medians; the last column is their quotient, while what is asked for is held against the
median of the ratios within a repetition. The loop is the training alone, in a process that has
everything loaded and compiled, on one core; whole commands have all cores. ``--runs 8`` trains a part of Cooper's and
Optuna's runs and scales their time up, and leaves joblib out; ``--device cuda`` trains cpd's on a GPU. Needs the extra
``bench``. Exits 1 when a ratio falls short.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measuring import Measured, cpd, machine, run, script, skipped, table, verdicts


def repetition(loops: Measured, wholes: Measured, folder: Path, runs: int, device: str) -> None:
    """Every way once."""
    scale = 40 / runs
    ways = {"loop": "Cooper, one run after another", "optuna": "Cooper in Optuna"}
    ways |= {"joblib": "Cooper over joblib, both cores"} if runs == 40 else {}
    for way, name in ways.items():
        words = script("cooper_figure2.py", "--runs", str(runs), "--with", way)
        done = run(*words, folder=folder, one_core=way != "joblib", OMP_NUM_THREADS="1")
        own = done.json["seconds"]
        loops.add(name, own * scale)
        wholes.add(name, done.seconds - own + own * scale)
    by_hand = run(*script("manual_figure2.py"), folder=folder, one_core=True, OMP_NUM_THREADS="1")
    loops.add("PyTorch batched by hand, gradient by hand", by_hand.json["seconds"])
    wholes.add("PyTorch batched by hand, gradient by hand", by_hand.seconds)
    done = run(*script("jax_figure2.py"), folder=folder, one_core=True, OMP_NUM_THREADS="1")
    loops.add("JAX vmap + scan", done.json["seconds"])
    wholes.add("JAX vmap + scan", done.seconds)
    for engine in ("eager", "captured", "compiled"):
        done = run(*script("cpd_loop.py", "figure2", engine, "--device", device), folder=folder, one_core=True)
        loops.add(f"cpd, {engine}", done.json["seconds"])
    for seeds in ("1", "10"):
        command = cpd("sweep", "figure2", "--no-store", "--seeds", f"0:{seeds}", "--device", device)
        wholes.add(f"cpd sweep figure2, {seeds} seed(s)", run(*command, folder=folder).seconds)
    stored = cpd("sweep", "figure2", "--fresh", "--device", device)
    wholes.add("cpd sweep figure2, stored", run(*stored, folder=folder).seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if skipped(arguments.device):
        return 0
    loops, wholes = Measured(), Measured()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seeds in ("1", "10"):  # the first start compiles; it is told apart
            first = run(*cpd("sweep", "figure2", "--no-store", "--seeds", f"0:{seeds}"), folder=folder)
            print(f"first start, {seeds} seed(s), compiling where nothing is kept yet: {first.seconds:.1f} s")
        run(*script("cpd_loop.py", "figure2", "compiled"), folder=folder)
        for k in range(arguments.repetitions):
            repetition(loops, wholes, folder, arguments.runs, arguments.device)
            print(f"repetition {k + 1} of {arguments.repetitions} done", file=sys.stderr)
    return report(loops, wholes)


def report(loops: Measured, wholes: Measured) -> int:
    """Print the tables and say what falls short."""
    slow = "Cooper, one run after another"
    print(f"\n{machine()}, medians\n")
    ways = list(dict.fromkeys([*loops.values, *wholes.values]))
    rows = []
    for way in ways:
        loop = f"{loops.median(way):.2f} s" if way in loops.values else ""
        whole = f"{wholes.median(way):.1f} s" if way in wholes.values else ""
        of = loops if loop else wholes
        times = f"{of.median(slow) / of.median(way):.0f}x"
        rows.append((way, loop, whole, times))
    print(table(("way", "loop", "whole command", "against Cooper"), rows), end="\n\n")
    ten = "cpd sweep figure2, 10 seed(s)"
    return verdicts(
        {
            "loop, compiled, against Cooper": (loops.ratio(slow, "cpd, compiled"), 150, True),
            "whole command, second start, against Cooper": (
                wholes.ratio(slow, "cpd sweep figure2, stored"),
                30,
                True,
            ),
            "loop, compiled, over JAX": (loops.ratio("cpd, compiled", "JAX vmap + scan"), 1.5, False),
            "10 seeds, whole command, against 10 times Cooper": (10 * wholes.ratio(slow, ten), 100, True),
        }
    )


if __name__ == "__main__":
    sys.exit(min(1, main()))
