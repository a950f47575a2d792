"""How long every command takes to start: ``python bench_startup.py [--repetitions 5]``.

Each command with nothing to compute: its help, what the store has, or what is wrong with a spec. Whole processes,
medians. Exits 1 when ``cpd --help`` takes 0.3 s or more, or a spec alone 0.5 s of user CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measuring import Measured, cpd, machine, run, table, verdicts

COMMANDS = {
    "cpd --help": ("--help",),
    "cpd sweep --help": ("sweep", "--help"),
    "cpd tasks": ("tasks",),
    "cpd schema": ("schema",),
    "cpd runs": ("runs",),
    "cpd show": ("show",),
    "cpd export": ("export", "last", "--to", "runs.csv"),
    "cpd watch --once": ("watch", "--once"),
    "cpd plot": ("plot", "--to", "picture.png"),
    "cpd report": ("report", "--to", "report.html"),
    "cpd check rate": ("check", "rate"),
    "cpd sweep, all found": ("sweep", "rate", "--set", "train.steps=20"),
    "cpd sweep nosuchtask": ("sweep", "nosuchtask"),
    "cpd sweep, misspelt key": ("sweep", "rate", "--set", "trian.steps=1"),
    "cpd check nosuch": ("check", "nosuch"),
    "cpd compare nosuchmethod": ("compare", "nosuchmethod", "x"),
}

OF_A_SPEC = ("cpd schema", *list(COMMANDS)[-4:])
"""Commands that are answered from a spec alone."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    measured, cpu, memory = Measured(), Measured(), Measured()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for k in range(repetitions + 1):
            if k == 0:
                run(*cpd(*COMMANDS["cpd sweep, all found"]), folder=folder, codes=(0, 3))
            for command, words in COMMANDS.items():
                done = run(*cpd(*words), folder=folder, codes=(0, 2, 3))
                if k:  # the first one fills the file cache
                    measured.add(command, done.seconds)
                    cpu.add(command, done.cpu)
                    memory.add(command, done.memory)
    print(f"{machine()}, medians of {repetitions}\n")
    rows = [
        (c, f"{measured.median(c):.2f} s", f"{cpu.median(c):.2f} s", f"{memory.median(c):.0f} MiB") for c in COMMANDS
    ]
    print(table(("command", "start to end", "user CPU", "peak memory"), rows), end="\n\n")
    slowest = max(cpu.median(command) for command in OF_A_SPEC)
    return verdicts(
        {
            "cpd --help (s)": (measured.median("cpd --help"), 0.3, False),
            "a spec alone (s of user CPU)": (slowest, 0.5, False),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
