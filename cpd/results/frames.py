"""Stored runs as a pandas table."""

from __future__ import annotations

from pathlib import Path

import pandas

from cpd.results import history
from cpd.results.result import Result
from cpd.store.store import open_store
from cpd.views.tables.records import to_frame


def frame(result: Result) -> pandas.DataFrame:
    """One row per run of a result."""
    return to_frame(result.document)


def load_runs(path: str | Path | None = None, sweep: str | None = None) -> pandas.DataFrame:
    """Stored runs as a table: one row per run, with the id of its sweep in the column ``sweep``.

    Args:
        path: The store; default: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder.
        sweep: An id, a unique prefix, a task's name or ``last``; None for every sweep.

    Raises:
        StoreError: There is no store there, or it cannot be read.

    Example:
        >>> result = cpd.sweep(**line)
        >>> cpd.load_runs(sweep="last").groupby("method").size().to_dict()
        {'lagrangian': 1, 'penalized': 2}
    """
    with open_store(path, "read") as store:
        names = [store.resolve(sweep)] if sweep is not None else [info.id for info in store.sweeps()]
        frames = [frame(history.result(store.load(name, curves=True))).assign(sweep=name) for name in names]
    return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()
