"""What a run of a program costs beyond it: ``python bench_programs.py [--runs 200] [--repetitions 5]``.

A sweep of programs that print a line and end, one after the other, without what a sweep of one takes, against the same
programs started by a loop of a shell: seconds by the clock and on cores of all processes, for each run. Then the same
two at a time, and, for Python programs that import what all do, what ``import cpd`` and ``cpd.result`` take beyond a
printed line: that is the program's own. Interleaved, medians of differences within a repetition. Exits 1 when a run
costs 20 ms or more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from measuring import Measured, cpd, machine, run, table, verdicts

LIMIT = 20.0
"""Milliseconds that a run may cost."""

PRINTED = '{"loss": 1.5, "density": 0.25}'

SHELL = f"echo '{PRINTED}'\n"

PYTHON = {
    "python, a printed line": "import json, re, typing\nprint(json.dumps({'loss': 1.5, 'density': 0.25}))\n",
    "python, cpd.result": "import json, re, typing\nimport cpd\ncpd.result(loss=1.5, density=0.25)\n",
}

TASK = """\
command: {command}
objective: loss
constraints: {{density: "<= 0.5"}}
methods: {{penalized: {{coefficient: {{values: {values}}}}}}}
"""


class Cost(NamedTuple):
    """Milliseconds: by the clock, and on cores of all processes."""

    wall: float
    cores: float


def timed(words: Sequence[str], folder: Path) -> Cost:
    """A command, with all that it starts."""
    before = os.times()
    done = run(*words, folder=folder)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(1000 * done.seconds, 1000 * used)


def sweep(program: Path, interpreter: str, runs: int, jobs: int) -> Cost:
    """A sweep that starts a program so many times, in a new store."""
    with tempfile.TemporaryDirectory(dir=program.parent) as name:
        command = json.dumps([interpreter, str(program), "{coefficient}"])
        Path(name, "task.yaml").write_text(TASK.format(command=command, values=list(range(1, runs + 1))))
        return timed(cpd("sweep", "task.yaml", "--jobs", str(jobs), "--quiet"), Path(name))


def loop(program: Path, interpreter: str, runs: int) -> Cost:
    """A shell that starts the same program as often."""
    started = f'for k in $(seq {runs}); do "$0" "$1" $k >>log.txt; done'
    return timed(("bash", "-c", started, interpreter, str(program)), program.parent)


def each(many: Cost, few: Cost, runs: int) -> Cost:
    """What one of the runs took by which two commands differ."""
    return Cost((many.wall - few.wall) / runs, (many.cores - few.cores) / runs)


def repetition(folder: Path, runs: int, python_runs: int) -> dict[str, Cost]:
    """Everything once: what a run of each kind took."""
    shell = folder / "program.sh"
    shell.write_text(SHELL)
    found = {"loop": each(loop(shell, "sh", runs), Cost(0, 0), runs)}
    for jobs in (1, 2):
        one = sweep(shell, "sh", jobs, jobs)
        found[f"--jobs {jobs}"] = each(sweep(shell, "sh", runs + jobs, jobs), one, runs)
    for number, (name, text) in enumerate(PYTHON.items()):
        program = folder / f"program{number}.py"
        program.write_text(text)
        one = sweep(program, sys.executable, 1, 1)
        found[name] = each(sweep(program, sys.executable, python_runs + 1, 1), one, python_runs)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    walls, cores = Measured(), Measured()
    with tempfile.TemporaryDirectory() as name:
        for k in range(given.repetitions + 1):
            if not k:
                repetition(Path(name), 2, 1)  # the file caches
                continue
            found = repetition(Path(name), given.runs, max(1, given.runs // 4))
            printed, said = (found[way] for way in PYTHON)
            beyond = {way: (found[way], found["loop"]) for way in ("--jobs 1", "--jobs 2")}
            for way, (these, those) in {**beyond, "cpd.result": (said, printed)}.items():
                walls.add(way, these.wall - those.wall)
                cores.add(way, these.cores - those.cores)
            walls.add("loop", found["loop"].wall)
            cores.add("loop", found["loop"].cores)
    print(f"{given.runs} programs, {machine()}, medians of {given.repetitions}\n")
    names = {
        "loop": "a shell's loop, in all",
        "--jobs 1": "cpd sweep, beyond the loop",
        "--jobs 2": "cpd sweep --jobs 2, beyond the loop",
        "cpd.result": "import cpd and cpd.result, beyond a printed line",
    }
    rows = [(names[way], f"{walls.median(way):.1f} ms", f"{cores.median(way):.1f} ms") for way in names]
    print(table(("for each run", "by the clock", "on cores"), rows), end="\n\n")
    costs = {way: (walls.median(way), LIMIT, False) for way in ("--jobs 1", "--jobs 2")}
    return min(1, verdicts({f"{names[way]} (ms)": cost for way, cost in costs.items()}))


if __name__ == "__main__":
    sys.exit(main())
