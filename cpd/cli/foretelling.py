"""``--dry-run``: what would train, how much of it is stored, and how long the rest would take."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from cpd.cli.console import say
from cpd.cli.streams import for_data
from cpd.views.printable import one_line

if TYPE_CHECKING:
    from cpd.cli.options import Shared
    from cpd.run.batches import Kind
    from cpd.run.forecast import Forecast
    from cpd.spec.models import Task


def foretell(kind: Kind, task: Task, shared: Shared, parallel: int = 1) -> None:
    """Print what a command would train, and train nothing."""
    from cpd.run.forecast import forecast
    from cpd.views.tables.render import print_rows

    with for_data():
        found = forecast(kind, task, shared.options, parallel)
    rows = [{**asdict(one), "to_train": one.runs - one.stored} for one in found.methods]
    form = shared.output.form
    if form == "json":
        print(json.dumps({"task": task.name, "command": kind, "methods": rows, **_totals(found)}, indent=2))
        return
    if form == "table":
        print(f"{in_words(found)}\n")
    elif not shared.output.quiet:
        say(in_words(found))
    print_rows(rows, form, "methods", sys.stdout)


def in_words(found: Forecast) -> str:
    """All of it in one sentence."""
    from cpd.run.foresight import time_in_words

    train = found.task.train
    each = f" of {train.steps:,} steps" if train.steps is not None else f" of {train.epochs:g} epochs"
    each = "" if found.task.program is not None else each
    left = found.runs - found.stored
    most = "at most " if found.at_most and left else ""
    took = f"{most}{time_in_words(found.seconds)}, {found.source}" if found.seconds is not None else found.source
    todo = f"{most}{left:,} to train: {took}" if left else "none to train"
    name = one_line(found.task.name)
    all_of_it = f"{most}{found.runs:,} {'run' if found.runs == 1 else 'runs'}{each}"
    return f"{name}: {all_of_it}, {found.stored:,} of them stored, {todo}; nothing was trained"


def _totals(found: Forecast) -> dict[str, object]:
    train, trains = found.task.train, found.task.program is None
    return {
        "runs": found.runs,
        "stored": found.stored,
        "to_train": found.runs - found.stored,
        "steps": train.steps if trains else None,
        "epochs": train.epochs,
        "seconds": found.seconds,
        "at_most": found.at_most,
    }
