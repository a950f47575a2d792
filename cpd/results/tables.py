"""A document as data frames: one row a run, a setting, a method, or an iteration of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas

from cpd.verdict.averages import mean
from cpd.verdict.document import Document, is_number
from cpd.verdict.searching import searched_name, tried
from cpd.views.tables.lines import Line, best_line, entry_of, is_useful, lines
from cpd.views.tables.records import Record, records
from cpd.views.tables.search_verdict import reported_iteration

RUN = ("id", "method", "seed", "status", "feasible", "objective", "steps", "seconds", "diagnosis", "error")
"""Columns of a table of no runs."""

SETTING = ("method", "seeds", "completed", "feasible", "useful", "best", "objective")
"""Columns of a table of no settings."""

NAMED = ("setting.", "levels.")
"""The columns that say which setting a run is of."""

OF_A_SEED = ("seed", "same_as_seed")
"""Numbers of which a mean says nothing."""


def runs_table(document: Document) -> pandas.DataFrame:
    """One row a run, in the order of the spec: ``setting.dual_lr``, ``constraints.g.value`` ..."""
    return _table(records(document), RUN)


def settings_table(document: Document) -> pandas.DataFrame:
    """One row a setting at its levels: ``feasible``, ``useful``, ``best``, and numbers as means over its seeds.

    The means are over the seeds that completed, each training once; ``feasible`` is so for every seed.
    """
    every = records(document)
    flat = {id(run): record for run, record in zip(document["runs"], every, strict=True)}
    numeric = [name for name in (every[0] if every else {}) if name not in OF_A_SEED and _is_numeric(name, every)]
    rows = [_setting(document, line, [flat[id(run)] for run in line.runs], numeric) for line in lines(document)]
    return _table(rows, SETTING)


def summary_table(document: Document) -> pandas.DataFrame:
    """One row a method, and a choice of levels where they are swept; one row of a search: how it ended, and where."""
    if "search" in document:
        return pandas.DataFrame([_search(document)])
    return _table([dict(_flat("", entry)) for entry in document.get("summary", [])], ("method", "settings"))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    return pandas.DataFrame(list(rows)) if rows else pandas.DataFrame(columns=list(columns))


def _setting(document: Document, line: Line, own: Sequence[Record], numeric: Sequence[str]) -> dict[str, Any]:
    """A row: which setting, its verdicts, and the mean of each number."""
    counted = [record for record, run in zip(own, line.runs, strict=True) if run in line.finished]
    row: dict[str, Any] = {"method": line.method}
    row |= {name: value for name, value in own[0].items() if name.startswith(NAMED)}
    row |= {
        "seeds": len(line.runs),
        "completed": len(line.finished),
        "feasible": line.all_feasible,
        "useful": is_useful(document, line),
        "best": _is_best(document, line),
    }
    for name in numeric:
        known = [x for record in counted if is_number(x := record[name])]
        row.setdefault(name, mean(known) if known else None)
    return row


def _is_numeric(name: str, every: Sequence[Record]) -> bool:
    """Whether a column has numbers, and nothing else."""
    values = [value for record in every if (value := record[name]) is not None]
    return bool(values) and all(map(is_number, values))


def _is_best(document: Document, line: Line) -> bool:
    """Whether a setting is the best of its method at its levels, or the coefficient that a search found."""
    if "search" in document:
        found = reported_iteration(document) if document["search"]["outcome"] == "solved" else None
        return found is not None and line.given.get(searched_name(document["search"])) == tried(found)
    entry = entry_of(document, line)
    return entry is not None and best_line([line], entry) is line


def _search(document: Document) -> dict[str, Any]:
    search, found = document["search"], reported_iteration(document)
    methods = dict.fromkeys(run["method"] for run in document["runs"])
    at = {key: found[key] if found is not None else None for key in ("coefficient", "value", "objective")}
    named = {key: search[key] for key in ("constraint", "target", "tolerance", "outcome", "trainings")}
    return {"method": ", ".join(methods), **named, **at}


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by dotted path."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, inner in value.items():
        yield from _flat(f"{path}.{key}" if path else str(key), inner)
