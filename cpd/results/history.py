"""Stored sweeps as results again, judged when shown; no torch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import cast

from cpd.errors import CpdError, StoreError
from cpd.outcome import Run, is_dotted
from cpd.results.result import Result
from cpd.results.studies import by_study
from cpd.spec.identity import runs
from cpd.spec.models import Task, task_from_json
from cpd.store import judgements
from cpd.store.judgements import Judgement
from cpd.store.records import StoredSweep
from cpd.store.store import open_store
from cpd.verdict.confidence import read_confidence
from cpd.verdict.document import SearchBlock
from cpd.verdict.gap import CONFIDENCE, GAP, Gap, read_gap
from cpd.verdict.judged import DATA, On, decided_by
from cpd.verdict.searching import searched_again


def load(
    sweep: str,
    store: str | Path | None = None,
    tolerance: float | None = None,
    gap: Gap | None = None,
    judge: On | None = None,
    confidence: float | str | None = None,
    judgement: str | None = None,
) -> tuple[StoredSweep, Result]:
    """Read a stored sweep, and judge it.

    Args:
        sweep: An id, a unique prefix, a task's name for its newest, or ``last``.
        store: The store; default: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder.
        tolerance: Judge every constraint at this tolerance instead of the spec's.
        gap: Judge usefulness with this gap instead of the sweep's.
        judge: Judge by these data instead of the sweep's.
        confidence: How sure a verdict is to be, instead of the sweep's.
        judgement: The name of a judgement of its kept models on other examples, to have in the place of its own.

    Raises:
        CpdError: No such sweep or judgement, or a tolerance or gap that is none.
        StoreError: The store cannot be read, or not by this version.
    """
    check_tolerance(tolerance)
    gap = None if gap is None else read_gap(gap)
    sure = None if confidence is None else read_confidence(confidence)
    if judge is not None and judge not in DATA:
        raise CpdError(f"expected training or held_out, got '{judge}'", place="--judge")
    with open_store(store, "read") as opened:
        found = opened.load(opened.resolve(sweep), curves=True)  # the diagnoses look at them
        other = None if judgement is None else judgements.load(opened, found.info.id, judgement)
        place = opened.place
    if other is not None:
        return found, replace(judged(result(found, tolerance, gap, None, sure), other, judge), store=place)
    if judge == "held_out" and not any(run.held_out for run in found.runs):
        message = "no run of the sweep was measured on held-out examples"
        raise CpdError(message, place="--judge", hint="add held_out: 0.2 to the task, and train it again")
    return found, replace(result(found, tolerance, gap, judge, sure), store=place)


def check_tolerance(tolerance: float | None) -> None:
    """Check a tolerance that is to be judged at.

    Raises:
        CpdError: It is not finite, or below 0.
    """
    if tolerance is not None and not _is_size(tolerance):
        raise CpdError(f"expected a number >= 0, got '{tolerance}'", place="--tolerance")


def _is_size(value: object) -> bool:
    """Whether a value is a number, numpy's included, that is finite and not below 0."""
    try:
        number = -1.0 if isinstance(value, bool | str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return 0 <= number < math.inf


def result(
    stored: StoredSweep,
    tolerance: float | None = None,
    gap: Gap | None = None,
    judge: On | None = None,
    confidence: float | None = None,
) -> Result:
    """A stored sweep as a result, judged at another tolerance or gap, or by other data, if given."""
    try:
        task = task_from_json(dict(stored.record.spec))
    except ValueError as error:
        version = stored.record.versions.get("cpd", "of another version")
        message = f"the sweep was stored by cpd {version}, which describes tasks in another way"
        raise StoreError(message, place=stored.info.id, hint="show it with that version") from error
    if tolerance is not None:
        constraints = {n: c.model_copy(update={"tolerance": tolerance}) for n, c in task.constraints.items()}
        task = task.model_copy(update={"constraints": constraints})
    if judge is not None:
        task = task.model_copy(update={"judge": judge})
    gap = gap if gap is not None else _gap(stored.record.options.get("gap", GAP))
    search = cast(SearchBlock | None, stored.search)
    shown = _as_planned(task, stored)
    if search is not None and judge is not None:
        search = searched_again(search, shown, task.constraints, task.train.dtype, decided_by(shown, judge))
    sure = read_confidence(stored.record.options.get("confidence", CONFIDENCE) if confidence is None else confidence)
    found = Result(task, shown, gap, search, found=stored.found, id=stored.info.id, confidence=sure)
    return replace(found, record=stored.record)


def _of_task(task: Task, run: Run) -> Run:
    """A run that a sampler chose, with those dotted keys alone that the task varies."""
    setting = {key: value for key, value in run.key.setting.items() if not is_dotted(key) or key in task.grids}
    return replace(run, key=replace(run.key, setting=setting))


def judged(found: Result, judgement: Judgement, on: On | None = None) -> Result:
    """A sweep's kept models as other examples show them.

    Args:
        found: The sweep.
        judgement: Its runs' numbers on the examples.
        on: The data that decide; these examples by default.
    """
    by_id = {run.key.id: run for run in judgement.runs}
    shown = [_with(run, by_id[run.key.id]) for run in found.finished if run.key.id in by_id]
    return replace(
        found,
        task=found.task.model_copy(update={"judge": on or "held_out"}),
        finished=shown,
        search=None,
        notes=list(judgement.notes),
        judgement={
            "name": judgement.name,
            "data": judgement.data,
            "examples": str(judgement.made_of.get("examples")),
            "judged": judgement.judged,
        },
    )


def _with(run: Run, other: Run) -> Run:
    """A run with its numbers on other examples, without what was measured on the sweep's own along the way."""
    curves = run.curves
    if curves is not None and curves.measured is not None:
        curves = replace(curves, measured=replace(curves.measured, held_out=None))
    objective = run.objective if other.status is run.status else None
    return replace(
        run, status=other.status, objective=objective, error=other.error, held_out=other.held_out, curves=curves
    )


def _gap(kept: object) -> Gap:
    """A sweep's gap as it was kept; a bare number is a share, of an earlier version."""
    return read_gap(kept if isinstance(kept, str) else f"{100 * float(str(kept)):g}%")


def _as_planned(task: Task, stored: StoredSweep) -> list[Run]:
    """The runs with the dotted keys of this sweep: one that another sweep trained has that one's in the store."""
    if task.budget is not None and stored.search is None:
        return by_study(task, [_of_task(task, run) for run in stored.runs])
    if not task.grids:
        return [replace(run, key=replace(run.key, setting=run.key.hyperparameters)) for run in stored.runs]
    planned = dict(enumerate(runs(task)))
    return [
        replace(run, key=replace(run.key, setting=planned[place].setting)) if place in planned else run
        for place, run in zip(stored.positions, stored.runs, strict=True)
    ]
