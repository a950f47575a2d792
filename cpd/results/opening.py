"""A stored sweep as the result that its command returned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cpd.errors import options_as_arguments
from cpd.results import history
from cpd.results.result import Result
from cpd.store.records import SweepInfo
from cpd.store.store import open_store
from cpd.verdict.gap import Gap
from cpd.verdict.judged import On


def open(  # noqa: A001 (its name is cpd.open)
    sweep: str = "last",
    store: str | Path | None = None,
    *,
    tolerance: float | None = None,
    gap: Gap | None = None,
    judge: On | None = None,
    confidence: float | str | None = None,
    judgement: str | None = None,
) -> Result:
    """Open a stored sweep: the same result that its command returned, judged anew where that is asked for.

    Of a sweep that still runs, or was stopped, it has the runs that are done, and a note.

    Args:
        sweep: An id, the start of one, a task's name for its newest, or ``last``.
        store: The store; default: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder.
        tolerance: Judge every constraint at this tolerance instead of the task's.
        gap: Judge usefulness with this gap instead: ``"5%"`` or a number.
        judge: Judge by these data instead: ``training`` or ``held_out``.
        confidence: How sure a verdict on examples is to be instead: 0.95 or ``"95%"``.
        judgement: The name of a judgement of its kept models on other examples, see :func:`cpd.judge`.

    Raises:
        CpdError: No such sweep or judgement, or a value that is none.
        StoreError: The store cannot be read.

    Example:
        >>> result = cpd.sweep(**line)
        >>> opened = cpd.open("last", tolerance=0.5)
        >>> opened.id == result.id
        True
    """
    with options_as_arguments("cpd.open()"):
        sweep = str(sweep)
        running = _is_running(sweep, store)  # asked first: one that ends in between is seen to have ended
        stored, result = history.load(sweep, store, tolerance, gap, judge, confidence, judgement)
    note = _note(stored.info, running)
    return replace(result, notes=[*result.notes, note]) if note else result


def _is_running(sweep: str, store: str | Path | None) -> bool:
    with open_store(store, "read") as opened:
        return opened.is_running(opened.resolve(sweep))


def _note(info: SweepInfo, running: bool) -> str | None:
    """What is to be known of a sweep that did not come to its end."""
    if info.ended is not None:
        return None
    done = info.completed + info.diverged + info.failed
    how = "the sweep still runs" if running else "the sweep was stopped before its end"
    return f"{how}: {done:,} of {info.runs:,} planned runs are done"
