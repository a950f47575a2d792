"""Remake the table of equal budgets in the README and the docs: ``python docs/make_budget_table.py``.

The penalised method, its coefficient chosen by TPE, against one Lagrangian training, whose dual step-size is the middle
of the task's grid. Each command is printed as a user would type it. Runs are kept in the store of this folder, or in
``CPD_STORE``, so that it goes on where it was stopped. It takes half an hour to an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

PAGES = (ROOT / "README.md", Path(__file__).parent / "equal-budgets.md")

START, END = "<!-- budgets:start -->", "<!-- budgets:end -->"

TRAININGS = {"sparsity": 16, "rate": 16, "fairness": 16, "recall": 16}
"""Of the penalised method for each seed, by task."""

SEEDS = 20

HEADER = (
    "task",
    "method",
    "trainings a seed",
    "to the first useful",
    "their steps",
    "seeds with a useful one",
    "above the best known",
)


def middle(grid: Sequence[float]) -> float:
    """The value in the middle of a grid, the lower of two: how the one dual step-size is chosen."""
    ordered = sorted(value for value in grid if value)
    return ordered[(len(ordered) - 1) // 2]


def dual_lr_of(task: str) -> float:
    """The middle of a bundled task's grid of dual step-sizes."""
    from cpd.spec.reader import load_task

    return middle([setting["dual_lr"] for setting in load_task(task).methods["lagrangian"]])


def command(task: str, trainings: int, seeds: int) -> str:
    """The comparison of a task, as it would be typed."""
    methods = f"--method penalized --method lagrangian --set lagrangian.dual_lr={dual_lr_of(task):g}"
    return f"cpd compare {task} {methods} --budget {trainings} --sampler tpe --parallel 1 --seeds 0:{seeds}"


def document_of(line: str) -> dict[str, Any]:
    """Run a comparison and read its document.

    Raises:
        CalledProcessError: It ended with another code than 0, or 3: nothing feasible is a result.
    """
    print(line, file=sys.stderr, flush=True)
    words = [sys.executable, "-m", *shlex.split(line), "--format", "json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 3):
        raise subprocess.CalledProcessError(done.returncode, line)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of budgets of several tasks as one, in Markdown."""
    lines = ["| " + " | ".join(HEADER) + " |", "| --- | --- |" + " ---: |" * (len(HEADER) - 2)]
    for task, document in documents.items():
        for k, row in enumerate(document["budget"]["methods"]):
            name = f"`{task}`" if k == 0 else ""
            lines.append("| " + " | ".join((name, *_cells(row))) + " |")
    return "\n".join(lines) + "\n"


def written(page: str, content: str) -> str:
    """A page with another table.

    Raises:
        ValueError: It has no place for one.
    """
    if START not in page or END not in page:
        raise ValueError(f"a page has no {START} and {END}")
    before, rest = page.split(START, 1)
    return f"{before}{START}\n{content}{END}{rest.split(END, 1)[1]}"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    method = row["method"] + (", TPE" if row["trainings"] > 1 else ", one training")
    most = f"> {row['trainings']}"
    return (
        method,
        str(row["trainings"]),
        _spread(row["trainings_to_first_useful"], most),
        _spread(row["steps_to_first_useful"], "-"),
        f"{row['useful_seeds']} of {row['seeds']}",
        _spread(row["distance"], "-"),
    )


def _spread(found: Mapping[str, float | None], beyond: str) -> str:
    """The median, and the quartiles where they differ; what lies beyond the budget is more than it."""
    median, low, high = (beyond if found[key] is None else _number(found[key]) for key in ("median", "low", "high"))
    return median if median == low == high else f"{median} ({low} to {high})"


def _number(value: float | None) -> str:
    assert value is not None
    if value >= 1000 or value == math.floor(value):
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def main() -> None:
    """Run the comparisons, print the table, and write it into the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "tasks", nargs="*", metavar="TASK", help=f"[default: {' '.join(TRAININGS)}, written into the pages]"
    )
    parser.add_argument("--budget", type=int, help="trainings a seed [default: those of the pages]")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many [default: {SEEDS}]")
    chosen = parser.parse_args()
    if unknown := set(chosen.tasks) - TRAININGS.keys():
        parser.error(f"no row of {', '.join(sorted(unknown))}; valid: {', '.join(TRAININGS)}")
    lines = [
        (task, command(task, chosen.budget or TRAININGS[task], chosen.seeds)) for task in chosen.tasks or TRAININGS
    ]
    found = table({task: document_of(line) for task, line in lines})
    print(found, end="")
    if (chosen.tasks, chosen.budget, chosen.seeds) == ([], None, SEEDS):
        for page in PAGES:
            page.write_text(written(page.read_text(), found))


if __name__ == "__main__":
    main()
