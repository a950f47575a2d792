"""Compare what cpd trains with a plain PyTorch loop, on random problems: ``python -m tests.fuzz --problems 300``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from fuzz_cases import compose
from fuzz_trials import ENGINES, SWEPT, Outcome, compared, resumed, shrunk, warmed


def main() -> int:
    """Run the trials; print a line for each that fails, and how to run it again."""
    given = _arguments()
    numbers = given.only or range(given.start, given.start + given.problems)
    counts: Counter[str] = Counter()
    warmed()
    for outcome in _outcomes(given, list(numbers)):
        counts[outcome.verdict] += 1
        if outcome.fails or given.verbose or (given.told and outcome.verdict in ("said", "refused")):
            _print(outcome, given)
    print(", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items())))
    return 1 if counts["SILENT"] or counts["BROKEN"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--problems", type=int, default=300, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, default=0, help="others of each number")
    parser.add_argument("--only", type=int, nargs="+", help="these numbers alone")
    parser.add_argument(
        "--engines", nargs="+", choices=[*ENGINES, *SWEPT], default=["eager", "eager alone", "captured", "auto"]
    )
    parser.add_argument("--resume", action="store_true", help="interrupt and resume, bit by bit")
    parser.add_argument("--shrink", action="store_true", help="look for the smallest problem that fails")
    parser.add_argument("--told", action="store_true", help="show what cpd refused or said too")
    parser.add_argument("--verbose", action="store_true", help="show every trial")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    return parser.parse_args()


def _outcomes(given: argparse.Namespace, numbers: list[int]) -> Iterator[Outcome]:
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("fork")) as pool:
        for outcomes in pool.map(_of_case, [(given, number) for number in numbers]):
            yield from outcomes


def _of_case(job: tuple[argparse.Namespace, int]) -> list[Outcome]:
    given, number = job
    case = compose(number, given.seed)
    if given.resume:
        return [resumed(case, engine, given.seed) for engine in given.engines]
    return compared(case, given.engines)


def _print(outcome: Outcome, given: argparse.Namespace) -> None:
    """One line on what, one on how to see it again, and the notes."""
    case = compose(outcome.number, given.seed)
    if outcome.fails and given.shrink and not given.resume:
        case = shrunk(case, outcome)
    resume = " --resume" if given.resume else ""
    notes = "; ".join(dict.fromkeys(note[:120] for note in outcome.notes))
    again = f"--seed {given.seed} --only {outcome.number} --engines '{outcome.engine}'{resume}"
    print(f"{outcome.verdict} [{case.lead}] {outcome.engine}: {outcome.what[:300]}  ({again})")
    if given.verbose or outcome.fails:
        print(f"    {case}\n    notes: {notes or 'none'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
