"""Files and environment variables that a task says its numbers depend on, besides its code.

``depends: [data.csv, "tables/**/*.csv", "env:CORPUS"]``. A file counts by its content and by its path from the spec's
folder, so that a project that is moved keeps its runs. A variable counts by its value, unset being a value of its own;
only a hash of it is kept, for it may be a secret. Imported modules need no mention.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpd.errors import CpdError
from cpd.spec.validation import At, shown

KEY = "depends"
VARIABLE = "env:"
UNSET = "unset"


def read_depends(raw: Any, folder: Path, at: At) -> dict[str, str]:
    """Hash all that the entries of ``depends`` name.

    Args:
        raw: What the spec has.
        folder: The spec's: paths start there.
        at: From a dotted key to its place.

    Returns:
        By path or ``env:NAME``, the SHA-256 of the content or value, or ``unset``.

    Raises:
        CpdError: An entry is no word, matches nothing, or names a file that cannot be read.
    """
    if raw is None:
        return {}
    if not isinstance(raw, list):
        raise CpdError(f"{shown(raw)} is not a list", place=at(KEY), hint="write [data.csv, env:NAME]")
    found: dict[str, str] = {}
    for number, entry in enumerate(raw):
        place = at(f"{KEY}[{number}]")
        if not isinstance(entry, str) or not entry.strip():
            raise CpdError(f"{shown(entry)} is not a word", place=place, hint="write a file's path, or env:NAME")
        found |= dict(_variable(entry, place) if entry.startswith(VARIABLE) else _files(entry, folder, place))
    return dict(sorted(found.items()))


def _variable(entry: str, place: str) -> Iterator[tuple[str, str]]:
    name = entry.removeprefix(VARIABLE).strip()
    if not name or "=" in name:
        raise CpdError(f"{shown(entry)} names no variable", place=place, hint="write env:NAME")
    value = os.environ.get(name)
    # With its name, so that two variables of one value cannot be seen to be equal.
    yield f"{VARIABLE}{name}", UNSET if value is None else hashlib.sha256(os.fsencode(f"{name}={value}")).hexdigest()


def _files(entry: str, folder: Path, place: str) -> Iterator[tuple[str, str]]:
    literal = (folder / entry).exists()
    names = [entry] if literal else glob.glob(entry, root_dir=folder, recursive=True)
    files = [name for name in names if (folder / name).is_file()]
    if literal and not files:
        raise CpdError(f"'{entry}' is a folder", place=place, hint=f"write {entry.rstrip('/')}/** for all in it")
    if not files:
        hint = "its path starts at the spec's folder; * matches within a folder, ** through folders"
        raise CpdError(f"'{entry}' matches no file", place=place, hint=hint)
    for name in files:
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            message = f"'{name}' cannot be read: {error.strerror}"
            raise CpdError(message, place=place, hint="check its permissions") from None
        yield Path(os.path.normpath(name)).as_posix(), digest
