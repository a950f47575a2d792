"""Tidy data: one flat record per run, at full precision."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from cpd.verdict.document import Document, Plain, RunRow
from cpd.views.printable import one_line, without_controls
from cpd.views.tables.iterates import mixture_text

if TYPE_CHECKING:
    import pandas

Record = dict[str, Plain]

GROUPS = ("setting", "levels", "constraints", "metrics", "held_out", "kkt")
"""The parts of a run whose keys differ from task to task; flattened as ``metrics.accuracy``."""

LEFT_OUT = ("curves", "holds_only_by")
"""The parts of a run that are tables of their own, see :func:`cpd.results.export.points`, or are said in notes."""

SOMETIMES = ("model", "selected_step", "held_out", "examples", "kkt", "verdict", "interval")
"""Columns only where some run has something in them."""

MIXTURE = "mixture"
"""A column of text, likewise."""


def records(document: Document) -> list[Record]:
    """Flatten each run: ``setting.dual_lr``, ``constraints.density.value``, ``constraints.g.violation.0`` ...

    Args:
        document: Contract 3's object.

    Returns:
        One dict per run, all with the same keys in the same order; None where a run lacks a number.
    """
    rows = [dict(_flat(run)) for run in document["runs"]]
    header = _header(document["runs"], rows)
    return [{name: row.get(name) for name in header} for row in rows]


def to_csv(rows: Sequence[Record]) -> str:
    """Records as CSV with a header, ``true``/``false`` for truths, empty for None."""
    out = io.StringIO()
    if rows:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(one_line(name) for name in rows[0])
        writer.writerows([_csv_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def to_frame(document: Document) -> pandas.DataFrame:
    """One row per run as a data frame, columns as in :func:`records`."""
    import pandas

    return pandas.DataFrame.from_records(records(document))


def _header(runs: Sequence[RunRow], rows: Sequence[Record]) -> list[str]:
    """The run's own keys in order, each group's columns of all runs together in its place."""
    names = [n for n in dict.fromkeys(name for row in rows for name in row) if not _is_absent(n, rows)]
    known = {key for run in runs for key, value in run.items() if value is not None}
    every = dict.fromkeys(key for run in runs for key in run)
    keys = [key for key in every if key not in SOMETIMES or key in known]
    found = [name for key in keys for name in names if name == key or (key in GROUPS and name.startswith(f"{key}."))]
    return [name for name in found if name not in GROUPS]


def _is_absent(name: str, rows: Sequence[Record]) -> bool:
    """Whether a column says nothing, or that some runs lack a vector whose components have columns of their own."""
    if any(row.get(name) is not None for row in rows):
        return False
    return name.rpartition(".")[2] in SOMETIMES or any(f"{name}.0" in row for row in rows)


def _flat(run: RunRow) -> Iterable[tuple[str, Plain]]:
    for key, value in cast(Mapping[str, Plain], run).items():
        if key in GROUPS:
            yield from _leaves(key, {} if value is None else value)
        elif key == MIXTURE:
            yield key, mixture_text(run)
        elif key not in LEFT_OUT:
            yield key, value


def _leaves(path: str, value: Plain) -> Iterable[tuple[str, Plain]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list) and path.startswith(("constraints.", "held_out.constraints.")):
        for k, inner in enumerate(value):
            yield from _leaves(f"{path}.{k}", inner)
    else:
        yield path, value


def _csv_cell(value: Plain) -> Plain:
    if isinstance(value, bool):
        return str(value).lower()
    return without_controls(value) if isinstance(value, str) else value
