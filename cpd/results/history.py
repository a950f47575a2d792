"""Stored sweeps as results again, judged when shown; no torch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import cast

from cpd.errors import CpdError, StoreError
from cpd.outcome import Run
from cpd.results.result import Result
from cpd.spec.identity import runs
from cpd.spec.models import Task, task_from_json
from cpd.store.records import StoredSweep
from cpd.store.store import open_store
from cpd.verdict.document import SearchBlock
from cpd.verdict.gap import GAP


def load(
    sweep: str,
    store: str | Path | None = None,
    tolerance: float | None = None,
    gap: float | None = None,
) -> tuple[StoredSweep, Result]:
    """Read a stored sweep, and judge it.

    Args:
        sweep: An id, a unique prefix, a task's name for its newest, or ``last``.
        store: The store; default: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder.
        tolerance: Judge every constraint at this tolerance instead of the spec's.
        gap: Judge usefulness with this gap instead of the sweep's.

    Raises:
        CpdError: No such sweep, or a tolerance or gap that is none.
        StoreError: The store cannot be read, or not by this version.
    """
    for option, value in (("--tolerance", tolerance), ("--gap", gap)):
        if value is not None and not 0 <= value < math.inf:
            raise CpdError(f"expected a number >= 0, got '{value}'", place=option)
    with open_store(store, "read") as opened:
        found = opened.load(opened.resolve(sweep), curves=True)  # the diagnoses look at them
    return found, result(found, tolerance, gap)


def result(stored: StoredSweep, tolerance: float | None = None, gap: float | None = None) -> Result:
    """A stored sweep as a result, judged at another tolerance or gap if given."""
    try:
        task = task_from_json(dict(stored.record.spec))
    except ValueError as error:
        version = stored.record.versions.get("cpd", "of another version")
        message = f"the sweep was stored by cpd {version}, which describes tasks in another way"
        raise StoreError(message, place=stored.info.id, hint="show it with that version") from error
    if tolerance is not None:
        constraints = {n: c.model_copy(update={"tolerance": tolerance}) for n, c in task.constraints.items()}
        task = task.model_copy(update={"constraints": constraints})
    gap = gap if gap is not None else float(stored.record.options.get("gap", GAP))
    search = cast(SearchBlock | None, stored.search)
    return Result(task, _as_planned(task, stored), gap, search, found=stored.found, id=stored.info.id)


def _as_planned(task: Task, stored: StoredSweep) -> list[Run]:
    """The runs with the dotted keys of this sweep: one that another sweep trained has that one's in the store."""
    if not task.grids:
        return [replace(run, key=replace(run.key, setting=run.key.hyperparameters)) for run in stored.runs]
    planned = dict(enumerate(runs(task)))
    return [
        replace(run, key=replace(run.key, setting=planned[place].setting)) if place in planned else run
        for place, run in zip(stored.positions, stored.runs, strict=True)
    ]
