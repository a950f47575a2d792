"""A failed write or read as the user is told it: one line with the path and the fix."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpd.errors import StoreError

ELSEWHERE = "choose another file with --store PATH or CPD_STORE"

_FULL = ("the disk is full", "what was stored before is safe; free space and run the same command again")
_READ_ONLY = ("cannot be written: the file or its folder is read-only", ELSEWHERE)
_NO_ACCESS = ("cannot be opened: the file or its folder does not allow it", ELSEWHERE)
_NO_FOLDER = ("cannot be opened: no such file or folder", ELSEWHERE)
_BUSY = ("another process is writing it and does not finish", "wait for it, or end it, and run the same command again")
_DAMAGED = ("is damaged: not all of it can be read", f"restore it from a copy, or {ELSEWHERE}")
FOREIGN = ("is not a store of runs; it was left as it is", ELSEWHERE)

_BY_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_AUTH: _NO_ACCESS,
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", ELSEWHERE),
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: FOREIGN,
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk failed or is full", _FULL[1]),
}

_BY_SYSTEM = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _NO_ACCESS,
    errno.EPERM: _NO_ACCESS,
    errno.ENOENT: _NO_FOLDER,
    errno.ENOTDIR: ("cannot be created: a part of the path is a file", ELSEWHERE),
    errno.EEXIST: ("cannot be created: a part of the path is a file", ELSEWHERE),
    errno.EISDIR: ("is a folder", ELSEWHERE),
    errno.ETIMEDOUT: _BUSY,
}


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about a file into a :class:`~cpd.errors.StoreError`.

    Errors that only a defect of ours can cause (a wrong statement, a violated constraint) pass unchanged.
    """
    try:
        yield
    except sqlite3.Error as error:
        known = _BY_SQLITE.get(primary_code(error))
        if known is None:
            raise
        raise _store_error(path, known, error.sqlite_errorname) from error
    except TimeoutError as error:
        raise _store_error(path, _BUSY, "lock") from error
    except OSError as error:
        message = ("cannot be read or written", ELSEWHERE)
        raise _store_error(path, _BY_SYSTEM.get(error.errno or 0, message), error.strerror or str(error)) from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension, so that READONLY_DIRECTORY counts as READONLY; 0 if it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _store_error(path: Path, known: tuple[str, str], detail: str) -> StoreError:
    message, fix = known
    return StoreError(f"{message} ({detail})", place=str(path), hint=fix)
