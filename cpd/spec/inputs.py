"""The files that a problem was seen to read: part of what its runs are known by.

A run's id is known before anything is read; of a run that read files it is made anew from that id and their content.
So runs keep their ids where no file is read, two contents never share one, and a file that is changed back finds the
runs that it had before.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from cpd.spec.finding import INSTALLED, is_installed_file
from cpd.spec.identity import digest
from cpd.spec.models import ProblemSource
from cpd.spec.watching import Stamp, Watch

Inputs = Mapping[str, tuple[str, tuple[int, ...]]]
"""By path, from the problem's folder where it is near: the content, and the file's stamp where it tells of a change.

The content is a SHA-256; empty where there was no file; with a ``?`` before it where it changed while it was read."""

ABSENT, UNSETTLED = "", "?"

SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/run", "/usr/lib", "/usr/share", "/lib", "/lib64")
"""What a machine has of its own."""

USERS = (("XDG_CACHE_HOME", ".cache"), ("XDG_CONFIG_HOME", ".config"))
"""Variables, and their defaults in the home folder, of where programs keep copies and settings."""

MADE = {"__pycache__", ".git", ".cpd"}
"""Folders of what programs keep for themselves."""

_RACY = 100_000_000
"""Nanoseconds after a change within which another one may leave the same stamp."""

_hashes: dict[tuple[str, Stamp], str] = {}


def inputs(watch: Watch, source: ProblemSource) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Hash what a problem read, all but its own text and modules, what is installed, and what it made itself."""
    own = {source.source, *source.modules.values()}
    found = {}
    for path, stamp in sorted(watch.inputs().items()):
        path, stamp = _module(path, stamp)
        if not _is_input(path, source.folder) or (stamp is not None and _is_text_of(path, own)):
            continue
        content = _read(path, stamp)
        if content is not None:
            found[_named(path, source.folder)] = content
    return found


def unchanged(found: Inputs, folder: Path | None, elsewhere: bool = False) -> bool:
    """Tell whether files are as they were read.

    Args:
        found: What was read.
        folder: The problem's.
        elsewhere: Whether they were read on other machines, so that a file that is not here says nothing.
    """
    return all(_is_as_read(os.path.join(folder or "", path), *was, elsewhere) for path, was in found.items())


def id_with(run: str, found: Inputs) -> str:
    """A run's id with the content of what it read."""
    contents = {path: content for path, (content, _) in found.items() if content != ABSENT}
    return f"c1:{digest([run, contents])[:16]}" if contents else run


def _is_as_read(path: str, content: str, stamp: tuple[int, ...], elsewhere: bool) -> bool:
    now = Stamp.of(path)
    if now is None:
        return content == ABSENT or (elsewhere and not os.path.exists(path))
    if content == ABSENT or content.startswith(UNSETTLED):
        return False
    return tuple(stamp) == tuple(now) or _hash(path, now) == content


def _read(path: str, stamp: Stamp | None) -> tuple[str, tuple[int, ...]] | None:
    """Content and stamp of a file that was read; None where it was no file, or is one only since."""
    now = Stamp.of(path)
    if stamp is None:
        return None if os.path.exists(path) else (ABSENT, ())
    if now is None:
        return UNSETTLED, ()
    content = _hash(path, now)
    if content is None:
        return UNSETTLED, ()
    if now != stamp or Stamp.of(path) != now:
        return UNSETTLED + content, ()
    settled = time.time_ns() - max(now.modified, now.changed) > _RACY
    return content, tuple(now) if settled else ()


def _hash(path: str, stamp: Stamp) -> str | None:
    """SHA-256 of a file, read once while its stamp stays; None where it cannot be read any more."""
    known = _hashes.get((path, stamp))
    if known is not None and time.time_ns() - max(stamp.modified, stamp.changed) > _RACY:
        return known
    try:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    _hashes[path, stamp] = content
    return content


def _module(path: str, stamp: Stamp | None) -> tuple[str, Stamp | None]:
    """The source of a compiled module, which is what the user edits."""
    if not path.endswith(".pyc"):
        return path, stamp
    try:
        source = importlib.util.source_from_cache(path)
    except ValueError:
        return path, stamp
    return source, Stamp.of(source)


def _is_input(path: str, folder: Path | None) -> bool:
    """Whether a file is neither Python's, nor installed, nor what programs keep for themselves."""
    real = os.path.realpath(path)
    near = folder is not None and Path(real).is_relative_to(folder.resolve())
    parts = Path(real).relative_to(folder.resolve()).parts if folder is not None and near else Path(real).parts
    if not INSTALLED.isdisjoint(parts) or not MADE.isdisjoint(parts):
        return False
    return near or not (is_installed_file(real) or real.startswith(_elsewhere()))


def _elsewhere() -> tuple[str, ...]:
    """Folders of the machine and of installed programs, and those in which programs keep settings and copies."""
    home = os.path.expanduser("~")
    cache, config = (os.environ.get(name) or os.path.join(home, default) for name, default in USERS)
    prefixes = [prefix for prefix in (sys.prefix, sys.base_prefix) if prefix not in ("/usr", "/usr/local", "/")]
    own = str(Path(__file__).parents[1])
    return tuple(os.path.realpath(place) + os.sep for place in (*SYSTEM, cache, config, *prefixes, own))


def _is_text_of(path: str, own: set[str]) -> bool:
    """Whether a file is a module that is in the id already, or a blank one."""
    if not path.endswith(".py"):
        return False
    try:
        text = importlib.util.decode_source(Path(path).read_bytes())
    except (OSError, UnicodeDecodeError, SyntaxError):
        return False
    return text in own or not text.strip()


def _named(path: str, folder: Path | None) -> str:
    """A path from the problem's folder where it is in it or in the one above, so that a project can be moved."""
    if folder is None or not Path(path).is_relative_to(folder.parent):
        return path
    return Path(os.path.relpath(path, folder)).as_posix()
