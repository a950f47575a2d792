"""The store of runs: one SQLite file, in which nothing computed is lost and by which nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Any

from cpd.errors import CpdError, StoreError
from cpd.outcome import Run
from cpd.store import running, work
from cpd.store.file import Mode, StoreFile
from cpd.store.models import Models
from cpd.store.packing import DamagedError
from cpd.store.queries import (
    ADD_INPUTS,
    ADD_RECORDING,
    ADD_RUN,
    ADD_RUN_INPUTS,
    BEGIN_SWEEP,
    CANDIDATES,
    COUNT_STORED,
    END_SWEEP,
    FINISHED,
    INPUTS,
    KNOWN,
    LINK_COMPUTED,
    LINK_PLANNED,
    NAMES,
    RECORD,
    REMOVE_INPUTS,
    REMOVE_PLANNED,
    REMOVE_RUNS,
    REMOVE_SPECS,
    RENAME_PLANNED,
    RUNS,
    RUNS_AND_CURVES,
    SHOWN,
    SHOWN_ELSEWHERE,
    SHOWN_HERE_ONLY,
    SWEEP,
    SWEEP_OF,
    SWEEPS,
    WORKED_HERE_ONLY,
)
from cpd.store.records import (
    Removed,
    Shown,
    StoredSweep,
    SweepInfo,
    SweepRecord,
    new_sweep_id,
    now,
    record_columns,
    resolved,
    spec_digest,
    stored_sweep,
)
from cpd.store.rows import COLUMNS, from_row, pack_curves, pack_tails, to_json, to_row, with_curves, with_tails
from cpd.store.running import Mark

__all__ = ["Removed", "Store", "StoredSweep", "SweepInfo", "SweepRecord", "default_path", "open_store"]

Files = Mapping[str, Sequence[Any]]
"""Files that runs read, by path, and what is kept of each."""


def default_path() -> Path:
    """Where runs are stored: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder."""
    return Path(os.path.expanduser(os.environ.get("CPD_STORE") or Path(".cpd", "runs.sqlite")))


def open_store(path: str | Path | None, mode: Mode) -> Store:
    """Open the store of runs.

    Args:
        path: None for :func:`default_path`; ``~`` is the home folder.
        mode: ``write`` creates a missing store; ``read`` also works on read-only media.

    Raises:
        CpdError: It is named by what is no path.
        StoreError: It cannot be opened, is not a store, or is a newer cpd's; the file is left as it was.
    """
    if not (path is None or isinstance(path, str | os.PathLike)):
        raise CpdError(f"{path!r} is no path", place="store", hint="give text or a Path")
    return Store(StoreFile(default_path() if path is None else Path(os.path.expanduser(path)), mode))


class Store:
    """An open store, used by one thread; any number of processes may have the same one open.

    Every writing method is one transaction: durable when it returns, and absent if it raises.

    Attributes:
        models: The weights that are kept beside it.
    """

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self.models = Models(file.path, file.place)
        self._marks: dict[str, Mark] = {}

    @property
    def path(self) -> Path:
        """As the user named it."""
        return self._file.path

    @property
    def place(self) -> Path:
        """Where it is, whatever folder the process works in."""
        return self._file.place

    @property
    def file(self) -> StoreFile:
        """The open file."""
        return self._file

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave one portable file, unless another process has it open still."""
        for sweep in list(self._marks):
            self._unmark(sweep)
        self._file.close()

    def finished(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that need no training: completed or diverged. Failed runs are tried again."""
        return {row[0] for row in self._file.rows(FINISHED, [json.dumps(list(ids))])}

    def known(self, ids: Sequence[str], unchanged: Callable[[Files], bool] = lambda files: True) -> dict[str, Run]:
        """The finished runs that were planned under these ids, with all that was recorded of them.

        Args:
            ids: As planned, before it was known what the runs read.
            unchanged: Whether the files that a run read are as they were; asked once of each set of files.

        Returns:
            By the ids that were asked for; a run that read files has an id of its own.
        """
        candidates = self._file.rows(CANDIDATES, {"ids": json.dumps(list(ids))})
        sets = sorted({number for _, _, number in candidates if number is not None})
        files = self._file.rows(INPUTS, [json.dumps(sets)])
        same = {None, *(number for number, written in files if unchanged(json.loads(written)))}
        numbers = {planned: number for planned, number, inputs in candidates if inputs in same}
        rows = self._file.rows(KNOWN, [json.dumps(list(numbers.values()))])
        return dict(zip(numbers, self._runs(rows), strict=True))

    def begin_sweep(self, record: SweepRecord) -> str:
        """Write what is about to be run.

        Returns:
            The sweep's id, such as ``20260131-142530-3f2a``.
        """
        with self._file.transaction() as connection:
            identity = new_sweep_id(record.started)
            while connection.execute("SELECT 1 FROM sweeps WHERE id = ?", [identity]).fetchone():
                identity = new_sweep_id(record.started)
            values = [identity, _spec(connection, record.spec), *record_columns(record)]
            connection.execute(BEGIN_SWEEP, values)
            self._marks[identity] = Mark(self._file.place, identity)
        return identity

    def is_running(self, sweep: str) -> bool:
        """Whether the process that began a sweep works on it still."""
        return running.is_running(self._file.place, sweep)

    def link(self, sweep: str, ids: Sequence[str]) -> set[str]:
        """Let a sweep show these runs after those that it shows already, whether they are finished or still to do.

        Returns:
            Those that are finished: found, with nothing to do.
        """
        with self._file.transaction() as connection:
            number, _ = _sweep(connection, sweep)
            _link(connection, number, ids, computed=False)
            return self.finished(ids)

    def add_runs(
        self,
        sweep: str,
        runs: Sequence[Run],
        *,
        fresh: bool = False,
        planned: Mapping[str | None, str] | None = None,
        inputs: Files | None = None,
    ) -> int:
        """Store runs that a sweep has trained; those that it does not show yet come last in it.

        A result is never changed by a later one of the same id, but takes the place of a failure.

        Args:
            sweep: The id from :meth:`begin_sweep`.
            runs: Their keys have ids.
            fresh: The user asked to train again: a new result takes the old one's place. A failure never does.
            planned: The ids under which the sweep shows them by now, where they read files.
            inputs: The files that they read, as :meth:`known` asks of them.

        Returns:
            How many are new, or took the place of an earlier one.
        """
        packed = [(to_row(run), pack_tails(run), pack_curves(run)) for run in runs]
        with self._file.transaction() as connection:
            number, spec = _sweep(connection, sweep)
            shared = {"spec": spec, "stored": now(), "fresh": fresh}
            added = [_add(connection, shared, row, recording) for row, *recording in packed]
            names = {row[0]: (planned or {}).get(row[0], row[0]) for row, *_ in packed}
            if inputs:
                _add_inputs(connection, inputs, dict(zip(added, names.values(), strict=True)))
            _rename(connection, number, names)
            _link(connection, number, [row[0] for row, *_ in packed], computed=True)
        return len(added) - added.count(None)

    def end_sweep(self, sweep: str, exit_status: int, search: Mapping[str, Any] | None = None) -> None:
        """Write how a sweep ended; ``search`` is a bisection's block of contract 3."""
        values = [now(), int(exit_status), None if search is None else to_json(search), sweep]
        with self._file.transaction() as connection:
            _sweep(connection, sweep)
            connection.execute(END_SWEEP, values)
        self._unmark(sweep)

    def remove(self, sweep: str) -> Removed:
        """Remove a sweep and the runs that no other sweep shows; the file reuses their space, it does not shrink.

        The weights of these runs go with them.
        """
        with self._file.transaction() as connection:
            number, _ = _sweep(connection, sweep)
            (stored,) = connection.execute(COUNT_STORED, [number]).fetchone()
            own = [run for (run,) in connection.execute(SHOWN_HERE_ONLY, {"sweep": number})]
            worked = [run for (run,) in connection.execute(WORKED_HERE_ONLY, {"sweep": number})]
            gone = connection.execute(REMOVE_RUNS, {"sweep": number}).rowcount
            connection.execute("DELETE FROM sweeps WHERE number = ?", [number])
            connection.execute(REMOVE_SPECS)
            connection.execute(REMOVE_INPUTS)
        work.remove(self._file.place, worked)
        return Removed(runs=gone, kept=stored - gone, freed=self._without_models(own))

    def sweeps(self) -> list[SweepInfo]:
        """All sweeps, the newest first."""
        return [SweepInfo(*row) for row in self._file.rows(SWEEPS)]

    def info(self, sweep: str) -> SweepInfo:
        """One sweep's line of :meth:`sweeps`, without reading its runs.

        Raises:
            CpdError: There is no such sweep.
        """
        infos = self._file.rows(SWEEP, [sweep])
        if not infos:
            raise CpdError(f"no sweep '{sweep}'", place=str(self.path))
        return SweepInfo(*infos[0])

    def sweep_of(self, run: str) -> str | None:
        """The newest sweep that shows a finished run; None where none does."""
        found = self._file.rows(SWEEP_OF, [run]) if self.finished([run]) else []
        return str(found[0][0]) if found else None

    def load(self, sweep: str, *, curves: bool = False) -> StoredSweep:
        """A sweep with its finished runs in order, tails included.

        Args:
            sweep: A whole id; :meth:`resolve` finds it.
            curves: Whether to read the recorded curves too.

        Raises:
            CpdError: There is no such sweep.
            StoreError: What is stored is not what was written.
        """
        with self._file.snapshot():
            info = self.info(sweep)
            (record,) = self._file.rows(RECORD, [sweep])
            rows = self._file.rows(RUNS_AND_CURVES if curves else RUNS, [sweep])
        with self._undamaged():
            found = stored_sweep(info, record, self.with_models(self._runs([row[1:] for row in rows])))
        return replace(found, positions=[position for position, *_ in rows])

    def resolve(self, ref: str) -> str:
        """The id of the sweep that a user means.

        Args:
            ref: An id, ``last``, a task's name for its newest, or the start of an id that no other shares.

        Raises:
            CpdError: It means none or several; the message lists what there is.
        """
        return resolved(ref, self._file.rows(NAMES), str(self.path))

    def with_models(self, runs: Sequence[Run]) -> list[Run]:
        """The same runs with the files of their weights, where those are kept; named as the store was."""
        files = self.models.named()
        return [replace(run, model=files[run.key.id]) if run.key.id in files else run for run in runs]

    def shown_by(self, runs: Sequence[str]) -> dict[str, set[str]]:
        """Which of these runs sweeps show, by the ids of the sweeps."""
        found: dict[str, set[str]] = {}
        for sweep, run in self._file.rows(SHOWN, [json.dumps(list(runs))]):
            found.setdefault(sweep, set()).add(run)
        return found

    def model_sizes(self) -> dict[str, int]:
        """Bytes of the models of the runs that each sweep shows; of sweeps that have any."""
        sizes = self.models.sizes()
        return {sweep: sum(sizes[run] for run in runs) for sweep, runs in self.shown_by(list(sizes)).items()}

    def shown_elsewhere(self, sweep: str, runs: Sequence[str]) -> dict[str, list[Shown]]:
        """The other sweeps that show these runs, by run; those that none shows are left out."""
        found: dict[str, list[Shown]] = {}
        running: dict[str, bool] = {}
        for run, other, ended, alike in self._file.rows(
            SHOWN_ELSEWHERE, {"sweep": sweep, "ids": json.dumps(list(runs))}
        ):
            if other not in running:
                running[other] = self.is_running(other)
            found.setdefault(run, []).append(Shown(other, ended is not None, running[other], bool(alike)))
        return found

    def _without_models(self, runs: Sequence[str]) -> int:
        try:
            return self.models.remove(runs)
        except OSError as error:
            message = f"the models of the runs cannot be removed: {error.strerror or error}"
            raise StoreError(message, place=str(self.models.folder), hint="then: cpd gc") from error

    def _unmark(self, sweep: str) -> None:
        if (mark := self._marks.pop(sweep, None)) is not None:
            mark.close()

    def _runs(self, rows: Sequence[tuple[Any, ...]]) -> list[Run]:
        """Rows of a run's columns, its tails, and its curves where they were asked for."""
        width = len(COLUMNS)
        with self._undamaged():
            runs = [with_tails(from_row(row[:width]), row[width]) for row in rows]
            return [with_curves(run, *row[width + 1 :]) for run, row in zip(runs, rows, strict=True)]

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except DamagedError as error:
            hint = "train it again with --fresh, or restore the file from a copy"
            raise StoreError(f"{error} was changed since it was stored", place=str(self.path), hint=hint) from error


def _sweep(connection: Connection, sweep: str) -> tuple[int, int]:
    """The numbers of a sweep and of its spec."""
    found = connection.execute("SELECT number, spec FROM sweeps WHERE id = ?", [sweep]).fetchone()
    if found is None:
        raise CpdError(f"the store has no sweep '{sweep}' any more", hint="it was removed; run it again")
    number, spec = found
    return number, spec


def _spec(connection: Connection, spec: Mapping[str, Any]) -> int:
    """The number of a spec, which is stored once however many sweeps ask for it."""
    written = to_json(spec)
    digest = spec_digest(written)
    connection.execute("INSERT INTO specs (digest, task) VALUES (?, ?) ON CONFLICT DO NOTHING", [digest, written])
    (number,) = connection.execute("SELECT number FROM specs WHERE digest = ?", [digest]).fetchone()
    return int(number)


def _add(
    connection: Connection, shared: Mapping[str, Any], row: tuple[Any, ...], recording: Sequence[Any]
) -> int | None:
    """Store one run, and return its number; None where its result is there already."""
    values = {**dict(zip(COLUMNS, row, strict=True)), **shared}
    stored = connection.execute(ADD_RUN, values).fetchone()
    if stored is None:
        return None
    connection.execute(ADD_RECORDING, [*stored, *recording])
    return int(stored[0])


def _add_inputs(connection: Connection, inputs: Files, planned: Mapping[int | None, str]) -> None:
    """Write what runs read; files that many runs read are written once."""
    written = to_json({path: inputs[path] for path in sorted(inputs)})
    digest = hashlib.sha256(written.encode()).digest()
    connection.execute(ADD_INPUTS, [digest, written])
    connection.executemany(
        ADD_RUN_INPUTS, [(number, name, digest) for number, name in planned.items() if number is not None]
    )


def _rename(connection: Connection, sweep: int, planned: Mapping[str, str]) -> None:
    """Let a sweep show runs in the places that were planned for them."""
    pairs = [{"sweep": sweep, "run": run, "planned": name} for run, name in planned.items() if run != name]
    connection.executemany(RENAME_PLANNED, pairs)
    connection.executemany(REMOVE_PLANNED, pairs)


def _link(connection: Connection, sweep: int, ids: Sequence[str], *, computed: bool) -> None:
    statement = LINK_COMPUTED if computed else LINK_PLANNED
    connection.execute(statement, {"sweep": sweep, "ids": json.dumps(list(ids))})
