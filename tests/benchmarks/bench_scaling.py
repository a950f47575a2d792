"""What more runs in one program cost: ``python bench_scaling.py [--repetitions 3] [--device cpu]``.

Figure 2's runs, repeated to 1, 4, 16, 64, 256 and 1,024, each number in a process of its own: seconds of the training
loop with everything compiled, peak memory, and the cost of a run. Exits 1 when 64 runs cost 4 times one run or more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measuring import Measured, machine, run, script, skipped, table, verdicts

RUNS = (1, 4, 16, 64, 256, 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--engine", default="compiled")
    arguments = parser.parse_args()
    if skipped(arguments.device):
        return 0
    seconds, memory = Measured(), Measured()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(arguments.repetitions):
            for runs in RUNS:
                words = ("figure2", arguments.engine, "--runs", str(runs), "--device", arguments.device)
                done = run(*script("cpd_loop.py", *words), folder=Path(name)).json
                seconds.add(str(runs), done["seconds"])
                memory.add(str(runs), done["memory"])
    print(f"{machine()}, 10,000 steps of the rate problem, medians of {arguments.repetitions}\n")
    rows = []
    for runs in RUNS:
        loop, peak = seconds.median(str(runs)), memory.median(str(runs))
        rows.append((f"{runs:,}", f"{loop:.2f} s", f"{1000 * loop / runs:.1f} ms", f"{peak:.0f} MiB"))
    print(table(("runs fused", "loop", "for each run", "peak memory"), rows), end="\n\n")
    return verdicts({"64 fused runs against one": (seconds.ratio("64", "1"), 4, False)})


if __name__ == "__main__":
    sys.exit(main())
