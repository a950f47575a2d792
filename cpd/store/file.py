"""The store's file: opened without harm, written one transaction at a time, closed as one portable file.

While a process writes, SQLite keeps a log (``-wal``) beside the file. Every write transaction and every checkpoint of
that log is made under a short lock on ``PATH.lock``, so that any number of processes share a store; no lock is held
while runs are trained. SQLite before 3.51.3 can damage a file when two connections checkpoint it at once.

A transaction is whole or absent, whatever ends the process. A signal handler that only sets a flag lets the commit in
flight finish; one that raises rolls it back.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from cpd.errors import StoreError
from cpd.files import locked
from cpd.store import migrations
from cpd.store.errors import ELSEWHERE, FOREIGN, primary_code, reported

Mode = Literal["write", "read"]

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables, without which a number of numpy's would be stored as bytes."""

_BUSY_SECONDS = 15.0

_SMALLEST = 512
"""Bytes of a page: no SQLite file but an empty one is smaller."""


class StoreFile:
    """An open store.

    Attributes:
        place: Where it is, whatever folder the process works in.

    Args:
        path: As the user named it.
        mode: ``write`` creates a missing store and brings an older one up to date.

    Raises:
        StoreError: The file cannot be opened, is not a store, or is a newer cpd's; it is left as it was.
    """

    def __init__(self, path: Path, mode: Mode) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            needed = ".".join(map(str, OLDEST_SQLITE))
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old", hint=f"cpd needs {needed} or newer")
        self.path = path
        self.place = path.absolute()  # the process may change its folder later
        self._writable = mode == "write"
        self._closed = False
        with reported(path):
            _refuse_odd(path)
            self._connection = _open_to_write(path) if self._writable else _open_to_read(path)
            self._identity = _identity(self.place)

    def rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with reported(self.path):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Queries inside see one moment of the store."""
        self.rows("BEGIN")
        try:
            yield
        finally:
            self.rows("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write that is whole or absent; not nested.

        Raises:
            StoreError: It could not be written; nothing of it is stored.
        """
        with self.alone() as connection, _committed(connection):
            yield connection

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The connection, while no other process of cpd writes: for what is no transaction.

        Raises:
            StoreError: It could not be written.
        """
        with reported(self.path), locked(_lock_path(self.place)):
            if self._identity != _identity(self.place):
                hint = "run the same command again"
                raise StoreError("was removed or replaced while in use", place=str(self.path), hint=hint)
            yield self._connection

    def close(self) -> None:
        """Close the file; the last writer to leave empties the log into it, so that one portable file is left."""
        if self._closed:
            return
        self._closed = True
        with reported(self.path), closing(self._connection):
            if self._writable and _identity(self.place) == self._identity:
                self._leave_one_file()

    def _leave_one_file(self) -> None:
        # Whoever has the file open still, or a full disk, keeps the log in place. All that was acknowledged is in it,
        # and the next one to write tidies up: no reason to fail.
        # Closed under the lock, so that of two who leave together the second is the last.
        lock = locked(_lock_path(self.place))
        with suppress(sqlite3.OperationalError, OSError), lock, closing(self._connection):
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back when the disk is full
            connection.execute("ROLLBACK")
        raise


def _refuse_odd(path: Path) -> None:
    """Refuse what SQLite would wait for, or take for an empty store: a pipe, a file of one byte."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and (not path.is_file() or 0 < path.stat().st_size < _SMALLEST):
        raise StoreError(FOREIGN[0], place=str(path), hint=FOREIGN[1])


def _open_to_write(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(_lock_path(path.absolute())):
        _refuse_untouched(path)
        with _closed_on_error(_connect(path, "rwc")) as connection:
            _check(connection, path)
            migrations.migrate(connection, path)
            _use_log(connection)
        return connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    if not path.exists():
        hint = "run a sweep first, or name one with --store PATH or CPD_STORE"
        raise StoreError("there is no store of runs here", place=str(path), hint=hint)
    if _beside(path, "-journal").exists():  # its creator was killed, or is still at it: wait for that, or clean up
        _open_to_write(path).close()
    with _closed_on_error(_connect_to_read(path)) as connection:
        version = _check(connection, path)
        if version == 0:
            raise StoreError(FOREIGN[0], place=str(path), hint=FOREIGN[1])
    if version < migrations.READABLE:
        connection.close()
        StoreFile(path, "write").close()
        return _connect_to_read(path)
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Read-only; where SQLite cannot make its own files beside the store, as one that nobody changes."""
    try:
        with _closed_on_error(_connect(path, "ro")) as connection:
            migrations.version(connection)
            return connection
    except sqlite3.OperationalError as error:
        if primary_code(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
    if _has_log(path):
        hint = f"copy it together with {path.name}-wal to a folder that can be written, and read it there"
        raise StoreError("was not closed, and its folder is read-only", place=str(path), hint=hint)
    return _connect(path, "ro&immutable=1")


def _refuse_untouched(path: Path) -> None:
    """Look at a file in a way that changes nothing in it or beside it, before it is opened to be written."""
    if path.exists() and not _beside(path, "-journal").exists():
        with closing(_connect(path, "ro" if _has_log(path) else "ro&immutable=1")) as connection:
            _check(connection, path)


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a store, 0 for an empty file.

    Raises:
        StoreError: It is another program's file, or a newer cpd's.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version, ours = migrations.version(connection), len(migrations.MIGRATIONS)
    if application != migrations.APPLICATION_ID and (application or tables or version):
        raise StoreError("is another program's SQLite file; it was left as it is", place=str(path), hint=ELSEWHERE)
    if version > ours:
        message = f"was written by a newer cpd (format {version}, this one knows {ours}); it was left as it is"
        raise StoreError(message, place=str(path), hint=f"upgrade cpd, or {ELSEWHERE}")
    return version


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    with _closed_on_error(connection):
        connection.text_factory = _lenient
        for pragma in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _lenient(stored: bytes) -> str:
    """Damaged text is found by its checksum, not by its encoding."""
    return stored.decode("utf-8", "replace")


def _use_log(connection: sqlite3.Connection) -> None:
    """Write ahead from now on. SQLite does not wait for readers here, so we do."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _has_log(path: Path) -> bool:
    log = _beside(path, "-wal")
    return log.exists() and log.stat().st_size > 0


def _lock_path(path: Path) -> Path:
    return _beside(path, ".lock")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
