"""The result of a command, fresh or stored: runs in, contract 3's document and an exit code out; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cpd.errors import StoreError
from cpd.outcome import Recorded, Run, Status
from cpd.spec.models import Task
from cpd.verdict.document import Document, SearchBlock
from cpd.verdict.gap import GAP
from cpd.verdict.judgement import judge


@dataclass(frozen=True)
class Result:
    """The result of a sweep, a comparison or a search: the same object that the command line prints.

    Attributes:
        runs: In the order of the spec.
        gap: How far above the best feasible objective a setting is still useful.
        search: The search block of contract 3, for a bisection.
        advice: What the end of a search means, and what to do.
        found: Runs that the store had already.
        id: The sweep's id in the store, or None.
        notes: What the user should know.
        store_error: Why storing ended midway.
    """

    task: Task
    runs: list[Run]
    gap: float = GAP
    search: SearchBlock | None = None
    advice: str | None = None
    found: int = 0
    id: str | None = None
    notes: list[str] = field(default_factory=list)
    store_error: StoreError | None = None

    @cached_property
    def document(self) -> Document:
        """Contract 3's object, as ``--format json`` prints it."""
        return judge(self.task, self.runs, gap=self.gap, search=self.search, summary=self.search is None)

    @property
    def curves(self) -> list[Recorded | None]:
        """The recorded points of each run, in the order of the document's runs."""
        return [None if run.curves is None else run.curves.plain() for run in self.runs]

    @property
    def failures(self) -> list[Run]:
        """The failed runs."""
        return [run for run in self.runs if run.status is Status.FAILED]

    @property
    def exit_code(self) -> int:
        """0 done; 1 some run failed; 3 nothing feasible or the search missed its target; 4 not all stored."""
        if self.store_error is not None:
            return 4
        if self.failures:
            return 1
        if self.search is not None:
            return 0 if self.search["outcome"] == "solved" else 3
        return 0 if any(row["feasible"] for row in self.document["runs"]) else 3
