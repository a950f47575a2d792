"""What stands around a config of Hydra: the program that it is for, the group that it is in, the configs of others."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PROGRAM = "PROGRAM.py"
"""Stands for a program that is not found."""
ABOVE = 3
"""Folders above a config in which its program is looked for."""

_MAIN = re.compile(r"hydra\.main\(([^)]*)\)|@main\(([^)]*config_(?:name|path)[^)]*)\)")
_GLOBAL = re.compile(r"^#\s*@package\s+_global_", re.MULTILINE)


class Project(NamedTuple):
    """Where a config belongs.

    Attributes:
        program: Path of the program from the task's folder; None where there is none.
        root: Folder of all configs; None where it is not known.
        words: What the command says for this config to be read.
        primary: The config that it is read into; None where that is itself, or not known.
    """

    program: str | None
    root: Path | None
    words: tuple[str, ...]
    primary: Path | None = None


def find_project(file: Path, text: str, folder: Path, program: str | None) -> Project:
    """Return where a config belongs.

    Args:
        file: The config.
        text: Of it.
        folder: Of the task.
        program: As the user names it, from the task's folder; None to look for it.
    """
    file = file.resolve()
    mains = list(_mains(file) if program is None else _main_of(folder / program))
    fitting = [one for one in mains if one[1] is not None and file.is_relative_to(one[1])]
    fitting.sort(key=lambda one: (-len(str(one[1])), one[2] != file.stem, len(str(one[0]))))  # the nearest folder
    if not fitting:
        group = file.parent.name if _GLOBAL.search(text) else None
        root = file.parent.parent if group else None
        words = (_chosen(root, group, file.stem),) if root and group else _named(file.stem, "config")
        return Project(program, root, words)
    path, root, name = fitting[0]
    assert root is not None
    inner = file.parent.relative_to(root).as_posix()
    words = _named(file.stem, name) if inner == "." else (_chosen(root, inner, file.stem),)
    primaries = [root / f"{name}{ending}" for ending in (".yaml", ".yml") if name and inner != "."]
    primary = next((one for one in primaries if one.is_file()), None)
    return Project(program or Path(os.path.relpath(path, folder.resolve())).as_posix(), root, words, primary)


def _named(stem: str, known: str | None) -> tuple[str, ...]:
    return () if stem == known else (f"--config-name={stem}",)


def _chosen(root: Path, group: str, name: str) -> str:
    """The word that chooses a config of a group: added where no defaults list has the group."""
    entry = re.compile(rf"^\s*-\s*(?:optional\s+)?/?{re.escape(group)}(?:@[\w.]+)?\s*:", re.MULTILINE)
    known = any(entry.search(_text(path)) for path in sorted(root.glob("*.y*ml")))
    return f"{'' if known else '+'}{group}={name}"


def _mains(file: Path) -> Iterator[tuple[Path, Path | None, str | None]]:
    """Programs in the folders above a config that Hydra starts, with the folder of their configs and its name."""
    for above in list(file.parents)[: ABOVE + 1]:
        folders = [above, above / "src"]
        for path in sorted(one for folder in folders for one in folder.glob("*.py")):
            yield from _main_of(path)


def _main_of(path: Path) -> Iterator[tuple[Path, Path | None, str | None]]:
    for match in _MAIN.finditer(_text(path)):
        inner = match[1] or match[2] or ""
        where, name = (re.search(rf"config_{what}\s*=\s*['\"]([^'\"]+)['\"]", inner) for what in ("path", "name"))
        root = (path.parent / where[1]).resolve() if where else path.parent.resolve()
        yield path, root, Path(name[1]).stem if name else None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(1_000_000)
    except OSError:
        return ""


def configs_in(root: Path | None, group: str, kept: Sequence[str], left: Sequence[str]) -> list[str]:
    """Names of a group's configs that fit a pattern, without those that are left out."""
    folder = None if root is None else root / group
    if folder is None or not folder.is_dir():
        return []
    names = sorted(path.stem for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    fits = [name for name in names if any(fnmatch.fnmatchcase(name, one) for one in kept)]
    return [name for name in fits if not any(fnmatch.fnmatchcase(name, one) for one in left)]
