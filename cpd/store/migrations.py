"""The store's tables, and the way from every older version to the present one.

``sweep_runs`` says which runs a sweep shows and in which order; a run that two sweeps share is stored once. ``numbers``
is JSON, for an SQL column turns -0.0 into 0.0. What is long (tails and curves) stands in a table of its own, so that
lists of sweeps and the check of what is stored read few pages.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from cpd import files

APPLICATION_ID = 0x63706431
"""``cpd1``, in the file's header: how a store is told from any other SQLite file."""

_VERSION_1 = (
    """
    CREATE TABLE specs (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,    -- sha256 of task
        task TEXT NOT NULL              -- the whole task as JSON, source text of the problem included
    ) STRICT
    """,
    """
    CREATE TABLE sweeps (
        number INTEGER PRIMARY KEY,     -- grows with time
        id TEXT NOT NULL UNIQUE,
        command TEXT NOT NULL,          -- sweep, bisect or compare
        task TEXT NOT NULL,
        spec INTEGER NOT NULL REFERENCES specs (number),
        text TEXT NOT NULL,             -- the spec as written
        command_line TEXT NOT NULL,
        versions TEXT NOT NULL,         -- JSON
        git_commit TEXT,
        machine TEXT NOT NULL,          -- JSON
        options TEXT NOT NULL,          -- JSON
        started TEXT NOT NULL,          -- ISO 8601, UTC
        ended TEXT,
        exit_status INTEGER,
        search TEXT                     -- JSON; a bisection's
    ) STRICT
    """,
    "CREATE INDEX sweeps_by_spec ON sweeps (spec)",
    "CREATE INDEX sweeps_by_task ON sweeps (task)",
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,        -- hash of all that changes the numbers
        spec INTEGER NOT NULL REFERENCES specs (number),
        method TEXT NOT NULL,
        setting TEXT NOT NULL,          -- JSON
        levels TEXT NOT NULL,           -- JSON
        seed TEXT NOT NULL,             -- an integer; torch takes some that SQL's do not hold
        status TEXT NOT NULL CHECK (status IN ('completed', 'diverged', 'failed')),
        numbers TEXT NOT NULL,          -- JSON: objective, constraints, metrics; null where not finite
        steps INTEGER NOT NULL,
        seconds REAL NOT NULL,
        error TEXT,
        digest BLOB NOT NULL,           -- sha256 of the run
        attempts INTEGER NOT NULL DEFAULT 1,
        stored TEXT NOT NULL            -- ISO 8601, UTC
    ) STRICT
    """,
    "CREATE INDEX runs_by_status ON runs (id, status)",
    "CREATE INDEX runs_by_spec ON runs (spec)",
    """
    CREATE TABLE recordings (
        run INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE,
        tails BLOB NOT NULL,
        curves BLOB
    ) STRICT
    """,
    """
    CREATE TABLE sweep_runs (
        sweep INTEGER NOT NULL REFERENCES sweeps (number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        run TEXT NOT NULL,              -- its id; the run is in runs once it has finished
        found INTEGER NOT NULL,         -- 1 if the store had it when the sweep began
        PRIMARY KEY (sweep, position),
        UNIQUE (run, sweep)
    ) STRICT, WITHOUT ROWID
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
)

_VERSION_2 = (
    """
    CREATE TABLE inputs (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,    -- sha256 of files
        files TEXT NOT NULL             -- JSON: files that a problem read, with their content's sha256 and stamp
    ) STRICT
    """,
    """
    CREATE TABLE run_inputs (
        run INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE,
        planned TEXT NOT NULL,          -- the run's id before it was known what it reads
        inputs INTEGER NOT NULL REFERENCES inputs (number)
    ) STRICT
    """,
    "CREATE INDEX runs_by_planned ON run_inputs (planned)",
    "CREATE INDEX runs_by_inputs ON run_inputs (inputs)",
)

_VERSION_3 = (
    """
    CREATE TABLE judgements (
        number INTEGER PRIMARY KEY,
        sweep INTEGER NOT NULL REFERENCES sweeps (number) ON DELETE CASCADE,
        name TEXT NOT NULL,
        data TEXT NOT NULL,             -- what the examples are called
        judged TEXT NOT NULL,           -- ISO 8601, UTC
        made_of TEXT NOT NULL,          -- JSON: hashes of the examples, of what measures them, of the models
        notes TEXT NOT NULL,            -- JSON
        digest BLOB NOT NULL,           -- sha256 of all that
        UNIQUE (sweep, name)
    ) STRICT
    """,
    """
    CREATE TABLE judged_runs (
        judgement INTEGER NOT NULL REFERENCES judgements (number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        id TEXT NOT NULL,               -- these and the following as in runs, with numbers on the examples alone
        method TEXT NOT NULL,
        setting TEXT NOT NULL,
        levels TEXT NOT NULL,
        seed TEXT NOT NULL,
        status TEXT NOT NULL,
        numbers TEXT NOT NULL,
        steps INTEGER NOT NULL,
        seconds REAL NOT NULL,
        error TEXT,
        digest BLOB NOT NULL,
        resamples BLOB NOT NULL,
        PRIMARY KEY (judgement, position)
    ) STRICT, WITHOUT ROWID
    """,
)

_VERSION_4 = (
    """
    CREATE TABLE tags (
        sweep INTEGER NOT NULL REFERENCES sweeps (number) ON DELETE CASCADE,
        name TEXT NOT NULL,
        PRIMARY KEY (sweep, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE notes (
        sweep INTEGER PRIMARY KEY REFERENCES sweeps (number) ON DELETE CASCADE,
        note TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE headlines (
        sweep INTEGER PRIMARY KEY REFERENCES sweeps (number) ON DELETE CASCADE,
        headline TEXT NOT NULL,         -- JSON: what its verdicts come to, so that lists need not judge every run
        made_of BLOB NOT NULL           -- sha256 of that, of the state of the sweep's runs and of what judged them
    ) STRICT
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
"""Statements that lead from version ``k`` to ``k + 1``, in order; released ones never change."""

READABLE = 1
"""The oldest version that a reader reads as it is: what came since is asked for where it is there alone."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a store to the present version, each step in one transaction; a copy of an older store is kept first.

    The caller holds the store's lock. The copy is ``PATH.vK.backup``.
    """
    current = version(connection)
    if 0 < current < len(MIGRATIONS):
        back_up(connection, path.with_name(f"{path.name}.v{current}.backup"))
    for number, statements in enumerate(MIGRATIONS[current:], start=current + 1):
        _apply(connection, statements, number)


def version(connection: sqlite3.Connection) -> int:
    """The store's version, 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole store, what is still in its log included; the copy appears only once it is complete."""
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(unfinished),))
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, target)
    files.sync_folder(target.parent)


def _apply(connection: sqlite3.Connection, statements: tuple[str, ...], number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
