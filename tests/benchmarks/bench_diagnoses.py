"""How often diagnoses are right of runs whose state is known: ``python tests/benchmarks/bench_diagnoses.py``.

Prints false alarms and misses of each diagnosis, in the zoo that its rules were chosen on and in another one, with
other constants and seeds, and every run of which something wrong was said. Exits 1 above 5 % of either in one of them,
where constraints that fight are not those that are named, or where a minibatch's noise counts as violation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from zoo import Found, observe, rates, tally, zoo

MOST = 0.05


def table(found: Sequence[Found]) -> str:
    """One line for each diagnosis."""
    rows = [f"{'truth, or what was said':44} {'true':>6} {'missed':>7} {'said':>6} {'false':>6}"]
    rows += [
        f"{name:44} {counts['true']:6} {counts['missed']:7} {counts['said']:6} {counts['false']:6}"
        for name, counts in sorted(tally(found).items())
    ]
    return "\n".join(rows)


def visit(seed: int, *, thin: bool) -> bool:
    """Print what is found in one zoo, and say whether it is good enough."""
    started = time.perf_counter()
    found = [one for specimen in zoo(seed, thin=thin) for one in observe(specimen)]
    false, missed = rates(found)
    beside = [one for one in found if not one.well_told]
    print(f"\nzoo {seed}: {len(found)} runs in {time.perf_counter() - started:.0f} s\n\n{table(found)}\n")
    for one in found:
        if not one.right or not one.well_told:
            print(f"  {one}")
    print(f"false alarms {100 * false:.1f} %, misses {100 * missed:.1f} %, wrong names or held % of {len(beside)}")
    return max(false, missed) <= MOST and not beside


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1000], help="a zoo each; rules were chosen on 0")
    parser.add_argument("--thin", action="store_true", help="a specimen of each kind")
    arguments = parser.parse_args()
    good = [visit(seed, thin=arguments.thin) for seed in arguments.seeds]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
