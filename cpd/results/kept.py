"""Whose weights a sweep keeps, by its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cpd.errors import StoreError
from cpd.outcome import Status
from cpd.results import history
from cpd.store.store import Store
from cpd.verdict.document import Document, RunRow, SummaryRow
from cpd.verdict.searching import runs_reported

Mode = Literal["best", "feasible", "all", "none"]
"""Of which runs: of each method's best setting, every seed; of feasible ones; of all that completed; of none."""

BEST: Mode = "best"
"""What is kept where nobody says."""

OPTION = "keep_models"
"""Under which name a sweep's record has its mode, where that is not :data:`BEST`."""


def wanted(document: Document, mode: Mode) -> set[str]:
    """The ids of the runs whose weights a sweep keeps.

    Args:
        document: Contract 3's object, with a summary or a search.
        mode: As the sweep was asked.
    """
    rows = [row for row in document["runs"] if row["status"] == Status.COMPLETED.value]
    if mode == "none":
        rows = []
    elif mode == "feasible":
        rows = [row for row in rows if row["feasible"]]
    elif mode == "best":
        rows = (
            runs_reported(document["search"], document["runs"]) if "search" in document else _of_summary(document, rows)
        )
    return {row["id"] for row in rows if row["id"] is not None}


def named_by(store: Store, sweep: str) -> set[str]:
    """The ids of the runs whose weights a stored sweep keeps, as far as it has come.

    Raises:
        StoreError: The sweep cannot be read.
    """
    stored = store.load(sweep, curves=True)
    return wanted(history.result(stored).document, stored.record.options.get(OPTION, BEST))


@dataclass(frozen=True)
class Collected:
    """What a collection came to.

    Attributes:
        models: How many were removed.
        freed: Their bytes, and those of files that were never whole.
        running: The sweeps that are under way.
    """

    models: int
    freed: int
    running: list[str]


def collect(store: Store) -> Collected:
    """Remove the weights that no sweep keeps, and what killed processes have left.

    What a sweep shows that is under way stays, and what none shows yet: it may be that sweep's.

    Raises:
        StoreError: The store cannot be read, or a file not be removed.
    """
    sizes = store.models.sizes()
    running = [info.id for info in store.sweeps() if info.ended is None and store.is_running(info.id)]
    shown = store.shown_by(list(sizes))
    keeps = set(sizes) - set().union(*shown.values()) if running else set()
    for sweep, runs in shown.items():
        keeps |= runs if sweep in running else _named(store, sweep, runs)
    gone = sizes.keys() - keeps
    try:
        freed = store.models.remove(gone) + store.models.sweep_stale()
    except OSError as error:
        message = f"a model cannot be removed: {error.strerror or error}"
        raise StoreError(message, place=str(store.models.folder)) from error
    return Collected(len(gone), freed, running)


def _named(store: Store, sweep: str, runs: set[str]) -> set[str]:
    """Those of a sweep's runs whose weights it keeps; all of a sweep that cannot be judged by this version."""
    try:
        return named_by(store, sweep) & runs
    except StoreError:
        return runs


def _of_summary(document: Document, rows: Sequence[RunRow]) -> list[RunRow]:
    """Every seed of each method's best setting, at each choice of levels."""
    return [row for row in rows if any(_is_best(row, of_method) for of_method in document.get("summary", []))]


def _is_best(row: RunRow, best: SummaryRow) -> bool:
    alike = row["method"] == best["method"] and row["setting"] == best["best_setting"]
    return alike and best.get("levels", row["levels"]) == row["levels"]
