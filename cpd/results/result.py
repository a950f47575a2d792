"""The result of a command, fresh or stored: runs in, contract 3's document and an exit code out; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cpd.errors import StoreError
from cpd.outcome import Recorded, Run, Status
from cpd.spec.models import Task
from cpd.verdict.document import Document, SearchBlock
from cpd.verdict.gap import CONFIDENCE, GAP, Gap
from cpd.verdict.judged import as_judged, decided_by
from cpd.verdict.judgement import judge
from cpd.verdict.settings import any_feasible


@dataclass(frozen=True)
class Result:
    """The result of a sweep, a comparison or a search: the same object that the command line prints.

    Attributes:
        finished: The runs, in the order of the spec.
        gap: How far above the mark an objective is still useful: a share of the spread of feasible ones, or a number.
        search: The search block of contract 3, for a bisection.
        advice: What the end of a search means, and what to do.
        found: Runs that the store had already.
        id: The sweep's id in the store, or None.
        notes: What the user should know.
        store_error: Why storing ended midway.
        confidence: How sure a verdict on examples is to be.
    """

    task: Task
    finished: list[Run]
    gap: Gap = GAP
    search: SearchBlock | None = None
    advice: str | None = None
    found: int = 0
    id: str | None = None
    notes: list[str] = field(default_factory=list)
    store_error: StoreError | None = None
    confidence: float = CONFIDENCE

    @cached_property
    def document(self) -> Document:
        """Contract 3's object, as ``--format json`` prints it."""
        searched = self.search is not None
        return judge(
            self.task,
            self.finished,
            gap=self.gap,
            search=self.search,
            summary=not searched,
            on=self.task.judge,
            confidence=self.confidence,
        )

    @property
    def curves(self) -> list[Recorded | None]:
        """The recorded points of each run, in the order of the document's runs."""
        return [None if run.curves is None else run.curves.plain() for run in self.finished]

    @property
    def failures(self) -> list[Run]:
        """The failed runs, those included of which the judged data show no example of some constraint."""
        by = decided_by(self.finished, self.task.judge)
        return [run for run in (as_judged(run, by) for run in self.finished) if run.status is Status.FAILED]

    @property
    def exit_code(self) -> int:
        """0 done; 1 some run failed; 3 no setting is feasible or the search missed its target; 4 not all stored."""
        if self.store_error is not None:
            return 4
        if self.failures:
            return 1
        if self.search is not None:
            return 0 if self.search["outcome"] == "solved" else 3
        return 0 if any_feasible(self.document["runs"]) else 3
