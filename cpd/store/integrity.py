"""Whether a store is whole: its file, every row of it, and the files beside it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cpd.errors import StoreError
from cpd.store import judgements
from cpd.store.model_content import content_of
from cpd.store.packing import DamagedError
from cpd.store.queries import RECORD
from cpd.store.records import SweepInfo, stored_sweep
from cpd.store.rows import COLUMNS, from_row, with_curves, with_tails
from cpd.store.store import Store

AT_ONCE = 200
"""Rows that are read at once."""

MOST_FOUND = 100
"""Problems of the file itself that SQLite is asked for."""

_RUNS = f"""
    SELECT {", ".join(f"runs.{name}" for name in COLUMNS)}, recordings.tails, recordings.curves, runs.number
    FROM runs LEFT JOIN recordings ON recordings.run = runs.number
    WHERE runs.number > ? ORDER BY runs.number LIMIT {AT_ONCE}
"""
_UNSHOWN = "SELECT count(*) FROM runs WHERE NOT EXISTS (SELECT 1 FROM sweep_runs WHERE sweep_runs.run = runs.id)"

RESTORE = "restore the file from a copy; what can be read is exported with cpd export SWEEP --to FILE.csv"
AGAIN = "train it again: the sweep's command with --fresh; or restore the file from a copy"


@dataclass(frozen=True)
class Finding:
    """What one look at a store came to.

    Attributes:
        what: Was looked at.
        count: How many of it.
        problems: A line for each that is not whole.
        fix: What to do.
        notes: What is well, but worth knowing.
    """

    what: str
    count: int
    problems: Sequence[str] = ()
    fix: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether all of it is whole."""
        return not self.problems


def findings(store: Store) -> Iterator[Finding]:
    """Look at all of a store, one thing after the other; nothing is changed."""
    looks = {"pages of the file": _file, "sweeps": _sweeps, "runs": _runs, "judgements": _judgements, "models": _models}
    if work_folder(store.place).is_dir():
        looks["folders of programs"] = _folders
    for what, look in looks.items():
        try:
            yield look(store)
        except StoreError as error:
            yield Finding(what, 0, [error.message], RESTORE)


def counted(count: int, word: str) -> str:
    """``1 run``, ``2,000 runs``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _file(store: Store) -> Finding:
    """SQLite's own look at its pages, indices and references."""
    found = [str(line) for (line,) in store.file.rows(f"PRAGMA integrity_check({MOST_FOUND})") if line != "ok"]
    lost = store.file.rows("PRAGMA foreign_key_check")
    found += [f"{table}: a row refers to one of {parent} that is not there" for table, _, parent, _ in lost]
    (pages,) = store.file.rows("PRAGMA page_count")[0]
    return Finding("pages of the file", pages, found, RESTORE)


def _sweeps(store: Store) -> Finding:
    infos, problems = store.sweeps(), []
    for info in infos:
        problems += _record(store, info)
    return Finding("sweeps", len(infos), problems, RESTORE)


def _record(store: Store, info: SweepInfo) -> list[str]:
    try:
        rows = store.file.rows(RECORD, [info.id])
        stored_sweep(info, rows[0], [])
    except IndexError:
        return [f"sweep {info.id} has no spec"] if info.id in {one.id for one in store.sweeps()} else []
    except (DamagedError, json.JSONDecodeError) as error:
        return [f"{error} is not as it was written"]
    return []


def _runs(store: Store) -> Finding:
    """Every run's row, tails and curves, against the checksums that were written with them."""
    count, problems, last = 0, list[str](), -1
    while rows := store.file.rows(_RUNS, [last]):
        for *row, tails, curves, _ in rows:
            problems += _run(row, tails, curves)
        count, last = count + len(rows), rows[-1][-1]
    (unshown,) = store.file.rows(_UNSHOWN)[0]
    notes = [f"{counted(unshown, 'run')} of no sweep: found again by a sweep that asks for the same"]
    return Finding("runs", count, problems, AGAIN, notes if unshown else ())


def _run(row: Sequence[object], tails: bytes | None, curves: bytes | None) -> list[str]:
    try:
        run = from_row(tuple(row))
        if tails is None:
            return [f"run {row[0]}: its recording is missing"]
        with_curves(with_tails(run, tails), curves)
    except (DamagedError, ValueError, KeyError, TypeError, zlib.error) as error:
        return [f"{error} is not as it was written" if isinstance(error, DamagedError) else f"run {row[0]}: {error}"]
    return []


def _judgements(store: Store) -> Finding:
    count, problems = 0, []
    for info in store.sweeps():
        try:
            names = [one.name for one in judgements.listed(store, info.id)]
        except StoreError as error:
            problems.append(error.message)
            continue
        count += len(names)
        for name in names:
            try:
                judgements.load(store, info.id, name)
            except StoreError as error:
                problems.append(error.message)
    return Finding("judgements", count, problems, "judge again: cpd judge SWEEP --fresh; or restore the file")


def _models(store: Store) -> Finding:
    """Every file of weights, against the checksum in it and the run whose name it bears."""
    names, problems = sorted(store.models.sizes()), []
    for run in names:
        path = store.models.file(run)
        try:
            content_of(path, run)
        except StoreError as error:
            if path.exists():  # a sweep that goes on prunes them
                problems.append(f"{path.name} {error.message}")
    known = store.finished(names)
    orphans = sum(name not in known for name in names)
    left = len(list(store.models.folder.glob(".*"))) if store.models.folder.is_dir() else 0
    notes = (
        [f"{counted(orphans, 'file')} of no run of this store: cpd gc removes what no sweep keeps"] if orphans else []
    )
    notes += [f"{counted(left, 'file')} half written, or being written: cpd gc removes what was left"] if left else []
    fix = "remove the file, and train the run again: the sweep's command with --keep-models all"
    return Finding("models", len(names), problems, fix, notes)


def work_folder(store: Path) -> Path:
    """Where runs that are programs have their folders: beside the store."""
    return store.parent / ("work" if store.stem == "runs" else f"{store.stem}-work")


def _folders(store: Store) -> Finding:
    """The folders of runs that are programs: whether there is a run to each."""
    names = sorted(path.name for path in work_folder(store.place).iterdir() if path.is_dir())
    stored = {str(run).replace(":", "-") for (run,) in store.file.rows("SELECT id FROM runs")}
    planned = {str(run).replace(":", "-") for (run,) in store.file.rows("SELECT run FROM sweep_runs")}
    orphans = [name for name in names if name not in stored | planned]
    notes = [f"{counted(len(orphans), 'folder')} of no run of this store, e.g. {orphans[0]}"] if orphans else []
    return Finding("folders of programs", len(names), (), "", notes)
