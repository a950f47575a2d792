"""A sweep as the store describes it: what was asked, on which machine, and what came of it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from cpd.errors import CpdError, closest
from cpd.outcome import Run
from cpd.store.packing import DamagedError
from cpd.store.rows import text, to_json

_LISTED = 10

_BEFORE = re.compile(r"(.+)~(\d{0,9})", re.DOTALL)


def now() -> str:
    """The present moment in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_sweep_id(started: str) -> str:
    """A short text that sorts by time, e.g. ``20260131-142530-3f2a`` (UTC)."""
    return f"{datetime.fromisoformat(started).astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class SweepRecord:
    """A sweep as it was asked for, written when it begins.

    Attributes:
        task: The task's name.
        text: The spec as written.
        spec: The whole task as plain values, from which it is built again; kept in its own order.
        command_line: As the user typed it, or empty.
        versions: Of cpd, torch, Python ...
        git_commit: Of the folder in which it ran, None outside a repository.
        machine: CPU, cores, device ...
        options: What else shapes the tables, such as ``gap``.
        started: ISO 8601.
    """

    command: Literal["sweep", "bisect", "compare"]
    task: str
    text: str
    spec: Mapping[str, Any]
    command_line: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    started: str = field(default_factory=now)


@dataclass(frozen=True)
class SweepInfo:
    """A line of ``cpd runs``.

    Attributes:
        ended: None while it runs, and for one that was killed.
        runs: Those that the sweep shows, finished or not.
    """

    id: str
    task: str
    command: str
    started: str
    ended: str | None
    runs: int
    completed: int
    diverged: int
    failed: int


@dataclass(frozen=True)
class StoredSweep:
    """A sweep as it was stored.

    Attributes:
        runs: The finished ones, in the sweep's order.
        found: How many of its runs the store had when it began.
        exit_status: None unless it came to its end.
        search: The search block of a bisection.
        positions: The place of each run among those that the sweep planned.
    """

    info: SweepInfo
    record: SweepRecord
    runs: list[Run]
    found: int
    exit_status: int | None = None
    search: dict[str, Any] | None = None
    positions: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Removed:
    """A sweep's removal: runs that are gone, runs kept because another sweep shows them, bytes of models freed."""

    runs: int
    kept: int
    freed: int = 0


@dataclass(frozen=True)
class Shown:
    """Another sweep that shows a run: whether it has ended, somebody works on it, and it asks the same as one's own."""

    sweep: str
    ended: bool
    running: bool
    alike: bool

    @property
    def was_stopped(self) -> bool:
        """Whether its process was killed, or interrupted."""
        return not (self.ended or self.running)


def record_columns(record: SweepRecord) -> tuple[Any, ...]:
    """A record's columns of ``sweeps``, all but the spec."""
    return (
        record.command,
        text(record.task),
        text(record.text),
        text(record.command_line),
        to_json(record.versions),
        None if record.git_commit is None else text(record.git_commit),
        to_json(record.machine),
        to_json(record.options),
        record.started,
    )


def spec_digest(written: str) -> bytes:
    """The checksum that a spec's JSON is known by."""
    return hashlib.sha256(written.encode()).digest()


def stored_sweep(info: SweepInfo, columns: Sequence[Any], runs: list[Run]) -> StoredSweep:
    """A sweep from its columns, in the order of :func:`record_columns` and what follows them in the query.

    Raises:
        DamagedError: The spec, or another part of the record, is not as it was written.
    """
    command, task, written, line, versions, commit, machine, options, started, *rest = columns
    spec, digest, found, exit_status, search = rest
    if spec_digest(spec) != digest:
        raise DamagedError(f"the spec of sweep {info.id}")
    try:
        record = SweepRecord(
            command=command,
            task=task,
            text=written,
            spec=json.loads(spec),
            command_line=line,
            versions=json.loads(versions),
            git_commit=commit,
            machine=json.loads(machine),
            options=json.loads(options),
            started=started,
        )
        return StoredSweep(info, record, runs, found, exit_status, None if search is None else json.loads(search))
    except json.JSONDecodeError as error:
        raise DamagedError(f"the record of sweep {info.id}") from error


def resolved(ref: str, sweeps: Sequence[tuple[str, str]], place: str) -> str:
    """The id of the sweep that a user means: an id, ``last``, a task's name, or the start of an id.

    ``last~2`` is the second before the last one, ``TASK~1`` the one before the newest of a task, ``ID~1`` the one
    before that sweep.

    Args:
        ref: As the user typed it.
        sweeps: Id and task's name of every sweep, the newest first.
        place: The store's path, for messages.

    Raises:
        CpdError: There is no sweep, the user's word means none, or it is the start of several ids.
    """
    if not sweeps:
        raise CpdError("holds no sweep yet", place=place, hint="run one: cpd sweep TASK")
    newest = {task: identity for identity, task in reversed(sweeps)} | {"last": sweeps[0][0]}
    if ref in newest:
        return newest[ref]
    if earlier := _BEFORE.fullmatch(ref):
        return _before(earlier[1], int(earlier[2] or 1), sweeps, place)
    meant = [identity for identity, _ in sweeps if ref and identity.startswith(ref)]
    if ref in meant:
        return ref
    if not meant:
        hint = f"{closest(ref, sorted(newest))}; an id or the start of one will do too"
        raise CpdError(f"no sweep '{ref}'", place=place, hint=hint)
    if len(meant) > 1:
        listed = ", ".join(meant[:_LISTED]) + (", ..." if len(meant) > _LISTED else "")
        raise CpdError(f"{len(meant)} sweeps start with '{ref}'", place=place, hint=f"give more of one: {listed}")
    return meant[0]


def _before(ref: str, steps: int, sweeps: Sequence[tuple[str, str]], place: str) -> str:
    """So many sweeps before another one: of its task where it is named by that, else of all."""
    ids = [identity for identity, task in sweeps if task == ref] if ref != "last" else []
    ids = ids or [identity for identity, _ in sweeps]
    at = ids.index(resolved(ref, sweeps, place)) + steps
    if at >= len(ids):
        kinds = f"of {ref} " if len(ids) < len(sweeps) else ""
        there = f"there are {len(ids)}" if len(ids) > 1 else "there is 1"
        raise CpdError(f"no sweep '{ref}~{steps}'", place=place, hint=f"{there} {kinds}in all, see cpd runs")
    return ids[at]
