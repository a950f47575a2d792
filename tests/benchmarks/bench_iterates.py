"""Which iterate to judge: ``python bench_iterates.py [--seeds 20] [--share 1.0]``.

Three problems whose multipliers never rest (``rate`` with dual_lr 100, sparsity, a parity gap on minibatches), each
trained once for each seed, on a split of its own: half of the examples are held out. The last iterate, the mean of the
last tenth, the best feasible one and the best mixture are judged side by side: in how many of the seeds the constraints
hold on the data that were trained on, and on those that were not, and at what objective. The table is Markdown.
``--share`` shortens all trainings.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import measuring  # noqa: F401  before torch: it lets idle threads sleep

from cpd.run import commands
from cpd.run.options import Options
from cpd.spec.overrides import Overrides
from cpd.verdict.document import RunRow
from cpd.verdict.judgement import judge

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A problem.

    Attributes:
        text: Its sweep.
        steps: Steps, or epochs, of a training.
        budget: Which of both.
    """

    text: str
    steps: int
    budget: str = "steps"


CASES: Mapping[str, Case] = {
    "rate, dual_lr 100": Case(
        """
        task: rate
        arguments: {points_per_class: 200}
        methods: {lagrangian: {dual_lr: 100}}
        """,
        10_000,
    ),
    "sparsity, dual_lr 1": Case(
        """
        task: sparsity
        methods: {lagrangian: {dual_lr: 1, restart: true}}
        """,
        100,
        "epochs",
    ),
    "parity on minibatches, dual_lr 1": Case(
        f"""
        problem: {HERE / "parity.py"}:Parity
        objective: cross_entropy
        constraints: {{parity: {{level: 0.05, sense: "<=", tolerance: 0.01}}}}
        train: {{steps: 4000, batch_size: 50, optimizer: {{name: Adam, lr: 0.01}}}}
        methods: {{lagrangian: {{dual_lr: 1}}}}
        """,
        4_000,
    ),
}
DATA = ("trained on", "held out")
JUDGED = ("last", "mean of the last tenth", "best feasible", "mixture")


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--share", type=float, default=1.0, help="of the steps")
    asked = parser.parse_args()
    feasible = (f"feasible, {data}" for data in DATA)
    columns = ("task", "judged", *feasible, "objective, held out", "worst violation, held out")
    print(f"| {' | '.join(columns)} |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, case in CASES.items():
        found = [judged(case, seed, asked.share) for seed in range(asked.seeds)]
        for which in JUDGED:
            print(line(name, which, [rows[which] for rows in found]), flush=True)


def judged(case: Case, seed: int, share: float) -> dict[str, tuple[RunRow, RunRow]]:
    """The run of a seed by what is judged of it, each by both kinds of data: those trained on first."""
    budget = f"train.{case.budget}={max(1, round(share * case.steps))}"
    held_out = ("held_out.share=0.5", f"held_out.seed={seed}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "case.yaml")
        path.write_text("\n".join(line.strip() for line in case.text.strip().splitlines()))

        def runs(*words: str) -> list[tuple[RunRow, RunRow]]:
            overrides = Overrides(set=(budget, *held_out, *words), seeds=str(seed))
            result = commands.sweep(str(path), overrides, Options(keep=False, jobs=1))
            sides = [judge(result.task, result.finished, on=on)["runs"] for on in ("training", "held_out")]
            return list(zip(*sides, strict=True))

        last, best, mixture = runs("train.select=last,best_feasible,mixture")
        (mean,) = runs("train.average=0.1")
    return dict(zip(JUDGED, (last, mean, best, mixture), strict=True))


def line(name: str, which: str, rows: Sequence[tuple[RunRow, RunRow]]) -> str:
    """One line of the table."""
    trained, held = (sum(row[side]["feasible"] for row in rows) for side in (0, 1))
    sides: list[Any] = [row[1].get("held_out") for row in rows]
    objectives = [side["objective"] for side in sides if side]
    worst = [largest(side) for side in sides if side]
    spread = f"{statistics.fmean(objectives):.4f} ± {statistics.stdev(objectives):.4f}" if len(objectives) > 1 else "-"
    return (
        f"| {name} | {which} | {trained}/{len(rows)} | {held}/{len(rows)} | {spread} | {max(worst, default=0):+.4f} |"
    )


def largest(side: Any) -> float:
    """The largest violation of a run's constraints."""
    flat = [one["violation"] for one in side["constraints"].values()]
    return float(max(v for one in flat for v in (one if isinstance(one, list) else [one])))


if __name__ == "__main__":
    main()
