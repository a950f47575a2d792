"""The verdict on the data that do not decide, to be shown beside the one that does."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.outcome import Run
from cpd.spec.models import Task
from cpd.verdict.document import Document, JudgementRow, SearchBlock
from cpd.verdict.gap import Gap
from cpd.verdict.judged import On, decided_by
from cpd.verdict.judgement import judge
from cpd.verdict.searching import searched_again
from cpd.verdict.several import several_again


def judged_beside(
    task: Task,
    runs: Sequence[Run],
    gap: Gap,
    search: SearchBlock | None,
    confidence: float,
    judgement: JudgementRow | None = None,
) -> Document | None:
    """Judge runs by the data that do not decide.

    Args:
        task: Says which decide.
        runs: In the order they are to be shown.
        gap: How far above the mark an objective is still useful.
        search: A bisection's record, if there was one.
        confidence: How sure a verdict on examples is to be.
        judgement: What the held-out examples are, where they are others than the sweep's.

    Returns:
        None where no run was measured on held-out examples: there is one verdict.
    """
    if not any(run.held_out for run in runs):
        return None
    on: On = "training" if decided_by(runs, task.judge) == "held_out" else "held_out"
    if search is not None:
        again = several_again if "targets" in search else searched_again
        search = again(search, runs, task.constraints, task.train.dtype, on)
    found = judge(task, runs, gap=gap, search=search, summary=search is None, on=on, confidence=confidence)
    return found if judgement is None else {**found, "judgement": judgement}
