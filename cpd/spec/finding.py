"""Where an ``import`` in a problem finds a module: what is installed first, then beside the problem, then elsewhere.

A file beside a problem never takes the place of a module of the standard library or of an installed package, whatever
it is called: those import each other by these names, in every process.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, cast

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of installed packages: their versions are recorded with a sweep, their text is not part of an id."""

STANDARD = tuple(os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib"))


class OwnFinder(MetaPathFinder):
    """A finder that cpd adds for the problem in use; it says nothing about what is installed."""


def is_installed_file(file: str) -> bool:
    """Tell whether a file is Python's own or in the folder of an installed package."""
    real = os.path.realpath(file)
    return real.startswith(STANDARD) or not INSTALLED.isdisjoint(Path(real).parts)


def installed(name: str) -> ModuleSpec | None:
    """Where Python's own library, or what is installed, has a top-level module; nothing is imported."""
    spec = BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name)
    if spec is not None:
        return spec
    roots = [place for place in sys.path if is_installed_file(os.path.join(place or os.curdir, name))]
    return PathFinder.find_spec(name, roots) or _by_others(name)


def beside(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Where folders of a problem have a top-level module that is not installed.

    A folder without ``__init__.py`` is left to Python, which takes it where nothing else has the name.
    """
    if name == "cpd" or name in sys.stdlib_module_names:
        return None
    found = PathFinder.find_spec(name, list(folders))
    return found if found is not None and found.has_location and installed(name) is None else None


def top_level(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Where an import in a problem finds a top-level module; None for cpd and for what has no file at all."""
    if name == "cpd" or BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
        return None
    return beside(name, folders) or PathFinder.find_spec(name, [*sys.path, *folders]) or _by_others(name)


def is_nowhere(name: str, folders: Sequence[str]) -> bool:
    """Whether nothing has a top-level module: a file that was beside a problem is not there any more."""
    known = name == "cpd" or name in sys.stdlib_module_names or installed(name) is not None
    return not known and top_level(name, folders) is None


def finders() -> list[Any]:
    """Python's finders, without the one for the problem in use."""
    return [finder for finder in sys.meta_path if not isinstance(finder, OwnFinder)]


def _by_others(name: str) -> ModuleSpec | None:
    """What editable installations add to Python's finders."""
    usual: tuple[Any, ...] = (BuiltinImporter, FrozenImporter, PathFinder)
    others = (cast(Any, finder) for finder in finders() if finder not in usual)
    return next((spec for finder in others if (spec := finder.find_spec(name, None)) is not None), None)
