"""Kept models of a sweep judged anew, on other examples: stored beside the sweep, and never in the place of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cpd.errors import CpdError, StoreError, closest
from cpd.outcome import Run
from cpd.store.packing import DamagedError
from cpd.store.records import now
from cpd.store.rows import COLUMNS, from_row, pack_tails, text, to_json, to_row, with_tails
from cpd.store.store import Store

_LIST = """
    SELECT judgements.name, data, judged, made_of, notes, judgements.digest, judgements.number
    FROM judgements JOIN sweeps ON sweeps.number = judgements.sweep
    WHERE sweeps.id = ? ORDER BY judgements.number
"""
_RUNS = f"SELECT {', '.join(COLUMNS)}, resamples FROM judged_runs WHERE judgement = ? ORDER BY position"
_ADD = """
    INSERT INTO judgements (sweep, name, data, judged, made_of, notes, digest)
    SELECT number, ?, ?, ?, ?, ?, ? FROM sweeps WHERE id = ? RETURNING number
"""
_ADD_RUN = f"""
    INSERT INTO judged_runs (judgement, position, {", ".join(COLUMNS)}, resamples)
    VALUES (?, ?, {", ".join("?" * len(COLUMNS))}, ?)
"""
_REMOVE = "DELETE FROM judgements WHERE name = ? AND sweep = (SELECT number FROM sweeps WHERE id = ?)"


@dataclass(frozen=True)
class Judgement:
    """A sweep's kept models as other examples show them.

    Attributes:
        name: By which it is asked for; a sweep has one of each.
        data: What the examples are called.
        made_of: Hashes that say what it was made of: ``examples``, ``definition``, and ``models`` by their runs' ids.
        runs: Those that were judged: key, status, error and ``held_out``, the numbers on these examples.
        notes: What the user should know.
        judged: When, ISO 8601.
    """

    name: str
    data: str
    made_of: Mapping[str, Any]
    runs: Sequence[Run] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)
    judged: str = field(default_factory=now)


def listed(store: Store, sweep: str) -> list[Judgement]:
    """The judgements of a sweep, without their runs, the oldest first.

    Args:
        store: An open one; one of an earlier version has none.
        sweep: A whole id.

    Raises:
        StoreError: What is stored is not what was written.
    """
    return [judgement for judgement, _ in _listed(store, sweep)]


def load(store: Store, sweep: str, name: str) -> Judgement:
    """One judgement with its runs.

    Raises:
        CpdError: The sweep has none of that name.
        StoreError: What is stored is not what was written.
    """
    with store.file.snapshot():
        known = {judgement.name: (judgement, number) for judgement, number in _listed(store, sweep)}
        if name not in known:
            hint = closest(name, known) if known else f"make one: cpd judge {sweep} --data FILE.py:NAME"
            raise CpdError(f"the sweep has no judgement '{name}'", place="--judgement", hint=hint)
        judgement, number = known[name]
        rows = store.file.rows(_RUNS, [number])
    try:
        return replace(judgement, runs=[_run(row) for row in rows])
    except DamagedError as error:
        raise _damaged(store, str(error)) from error


def add(store: Store, sweep: str, judgement: Judgement) -> None:
    """Store a judgement, in the place of one of the same name.

    Raises:
        CpdError: The sweep is gone.
        StoreError: It cannot be written; the one that was there is as it was.
    """
    columns = _columns(judgement)
    rows = [(*to_row(_bare(run)), pack_tails(_bare(run))) for run in judgement.runs]
    with store.file.transaction() as connection:
        connection.execute(_REMOVE, [columns[0], sweep])
        added = connection.execute(_ADD, [*columns, _digest(columns), sweep]).fetchone()
        if added is None:
            raise CpdError(f"the store has no sweep '{sweep}' any more", hint="it was removed; run it again")
        connection.executemany(_ADD_RUN, [(*added, position, *row) for position, row in enumerate(rows)])


def _listed(store: Store, sweep: str) -> list[tuple[Judgement, int]]:
    if not store.file.rows("SELECT 1 FROM sqlite_master WHERE name = 'judgements'"):
        return []
    found = []
    for *columns, digest, number in store.file.rows(_LIST, [sweep]):
        if _digest(columns) != digest:
            raise _damaged(store, f"judgement {columns[0]} of sweep {sweep}")
        name, data, judged, made_of, notes = columns
        found.append((Judgement(name, data, json.loads(made_of), [], json.loads(notes), judged), number))
    return found


def _columns(judgement: Judgement) -> tuple[str, ...]:
    written = [to_json(part) for part in (judgement.made_of, list(judgement.notes))]
    return (text(judgement.name), text(judgement.data), judgement.judged, *map(text, written))


def _digest(columns: Sequence[Any]) -> bytes:
    return hashlib.sha256(json.dumps(list(columns)).encode()).digest()


def _bare(run: Run) -> Run:
    """Of a run what its judgement says."""
    return Run(run.key, run.status, error=run.error, held_out=run.held_out)


def _run(row: tuple[Any, ...]) -> Run:
    return with_tails(from_row(row[:-1]), row[-1])


def _damaged(store: Store, what: str) -> StoreError:
    hint = "judge again with --fresh, or restore the file from a copy"
    return StoreError(f"{what} was changed since it was stored", place=str(store.path), hint=hint)
