"""A run's own folder: what the program writes there, and how far the run has come, whoever is killed meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cpd.external.names import LOG, RESULT, STATE
from cpd.spec.inputs import Inputs

WAIT = 0.05

How = Literal["anew", "again", "done"]
"""How a run is to begin: in an empty folder; where it was killed; not at all, for it has ended well."""

SHELLS_KILLED = 128
"""Exit codes from here on are a shell's for a child that was killed."""


class Stopped(Exception):
    """Nobody waits for the run any more."""


@dataclass(frozen=True)
class Folder:
    """A run's folder.

    Attributes:
        path: Where it is, in full.
    """

    path: Path

    @property
    def log(self) -> Path:
        """The file of the output."""
        return self.path / LOG

    @property
    def ended(self) -> Path:
        """The file that says how the program ended, if it did so by itself."""
        return self.path / STATE / "ended.json"

    @property
    def log_from(self) -> int:
        """Where in the log the last attempt begins."""
        return int(_read(self._begun).get("log_from", 0))

    @property
    def _begun(self) -> Path:
        return self.path / STATE / "begun.json"

    @contextmanager
    def locked(self, stopped: Callable[[], bool]) -> Iterator[int]:
        """Hold the folder's lock; yields the open file that holds it, which a guard may keep for longer.

        Raises:
            Stopped: Another process had it until nobody waited any more.
        """
        (self.path / STATE).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / STATE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            while not _taken(descriptor):
                if stopped():
                    raise Stopped
                time.sleep(WAIT)
            yield descriptor
        finally:
            os.close(descriptor)

    def how(self, fresh: bool) -> How:
        """How the run is to begin; ``fresh`` is whether the user wants it done again."""
        if fresh or not self._begun.exists():
            return "anew"
        if not self.ended.exists():
            return "again"
        code = int(_read(self.ended).get("code", 1))
        return "done" if code == 0 else "again" if code < 0 or code >= SHELLS_KILLED else "anew"

    def begin(self, how: How) -> None:
        """Make the folder ready for an attempt: empty, or as it was left without a result."""
        if how == "anew":
            self._empty()
        if not stat.S_ISREG(_mode(self.log)):
            _remove(self.log)  # a folder or a pipe, which the program put in its place
        for stale in (self.path / RESULT, self.ended):
            _remove(stale)
        with suppress(FileNotFoundError):
            _write(self._begun, {"log_from": self.log.stat().st_size})
            return
        _write(self._begun, {"log_from": 0})

    def not_begun(self) -> None:
        """Take back that an attempt was begun: the program could not be started."""
        self._begun.unlink(missing_ok=True)

    def end(self, code: int, seconds: float, inputs: Inputs) -> None:
        """Write down how a function ended, and what it read; of a program its guard writes how."""
        _write(self.ended, {"code": code, "seconds": seconds, "inputs": dict(inputs)})

    def inputs(self) -> Inputs:
        """The files that a function read."""
        found = _read(self.ended).get("inputs", {})
        return {path: (content, tuple(stamp)) for path, (content, stamp) in found.items()}

    def seconds(self) -> float:
        """How long the program took that ended by itself."""
        return float(_read(self.ended).get("seconds", 0.0))

    def _empty(self) -> None:
        self._begun.unlink(missing_ok=True)  # killed from here on, it begins anew
        for entry in self.path.iterdir():
            if entry.name != STATE:
                _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return stat.S_IFREG


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):  # cut off by a power failure: as if it were not there
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    os.replace(new, path)
