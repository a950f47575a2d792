"""The modules of a user's own project that a problem imports, with their text; nothing is run to find them.

A module is found as Python finds it for the problem, see :mod:`cpd.spec.finding`. What counts is code of the user's
own: not the standard library, not what is installed in ``site-packages``, not cpd. What static reading cannot see
(``importlib.import_module(name)``) is seen when it is read, see :mod:`cpd.spec.inputs`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from cpd.spec.finding import is_installed_file, top_level
from cpd.spec.imports import imports, listed


def local_modules(source: str, package: str, folders: Sequence[Path]) -> dict[str, str]:
    """Find every local module that a source imports, directly or through others.

    Blank modules are left out, as is a module that does not exist: importing it will fail in its own words. A namespace
    package has no text of its own. Of what is no Python text (a compiled extension, a file that is not in its declared
    encoding) the hash of its bytes is kept.

    Args:
        source: The problem's text.
        package: The package that the problem is imported as part of; empty for a file on its own.
        folders: The problem's own; none for a problem that Python finds.

    Returns:
        Texts by path from the folder that a module is found under, ``{"shapes.py": ..., "nets/__init__.py": ...}``: a
        project that is moved keeps its paths.
    """
    importlib.invalidate_caches()  # a file written a moment ago is seen
    search = _Search([str(folder) for folder in folders])
    if package:
        search.add(package)
    search.follow(source, package)
    return {name: text for name, text in sorted(search.texts.items()) if text.strip()}


class _Search:
    """A walk over modules, each visited once, so that circular imports end.

    Attributes:
        texts: Of the local modules found, by relative path.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders
        self.texts: dict[str, str] = {}
        self._specs: dict[str, ModuleSpec | None] = {}
        self._by_name: dict[str, str] = {}
        self._unread: list[tuple[str, str]] = []

    def follow(self, source: str, package: str) -> None:
        """Add all that a source imports, and all that this imports."""
        self._unread.append((source, package))
        while self._unread:
            for name, members in imports(*self._unread.pop()):
                self.add(name)
                for member in self._members(name, members):
                    self.add(f"{name}.{member}")

    def add(self, name: str) -> None:
        """Add a module and the packages that it is in, for these run first."""
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            one = ".".join(parts[:length])
            if one in self._specs:
                continue
            self._specs[one] = spec = self._found(one)
            if spec is not None and spec.origin is not None and spec.has_location:
                self._read(one, spec, spec.origin)

    def _members(self, name: str, members: tuple[str, ...]) -> Iterator[str]:
        """Names taken from a module, each of which may be a module too; ``*`` takes those that the module lists."""
        for member in members:
            yield from listed(self._by_name.get(name, "")) if member == "*" else [member]

    def _found(self, name: str) -> ModuleSpec | None:
        """Where a module is, None if it is nowhere or not local."""
        package, _, last = name.rpartition(".")
        if not package:
            spec = top_level(last, self._folders)
        else:
            parent = self._specs.get(package)
            within = parent.submodule_search_locations if parent is not None else None
            # By its last part alone: for a dotted name Python would look up the parent among those it has imported.
            spec = PathFinder.find_spec(last, list(within)) if within is not None else None
        return spec if spec is not None and _is_local(spec) else None

    def _read(self, name: str, spec: ModuleSpec, origin: str) -> None:
        content = _content(spec, origin)
        if content is None:
            return
        is_package = spec.submodule_search_locations is not None
        text = _text(content) if origin.endswith(".py") else None
        folders = name.split(".") if is_package else name.split(".")[:-1]
        shown = f"sha256:{hashlib.sha256(content).hexdigest()}" if text is None else text
        self.texts["/".join([*folders, Path(origin).name])] = shown
        if text is not None:
            self._by_name[name] = text
            self._unread.append((text, name if is_package else name.rpartition(".")[0]))


def _is_local(spec: ModuleSpec) -> bool:
    """Tell whether a module is of the user's own; a namespace package may hold such modules."""
    if not spec.has_location or spec.origin is None:
        return spec.submodule_search_locations is not None
    return not is_installed_file(spec.origin)


def _content(spec: ModuleSpec, origin: str) -> bytes | None:
    """The bytes of a module's file, which may be in an archive; None where it cannot be read."""
    read = getattr(spec.loader, "get_data", None)
    try:
        return bytes(read(origin)) if read else Path(origin).read_bytes()
    except OSError:
        return None


def _text(content: bytes) -> str | None:
    r"""A source as Python decodes it, every line ended by ``\n``; None where it is not in its declared encoding."""
    try:
        return importlib.util.decode_source(content)
    except (UnicodeDecodeError, SyntaxError):
        return None
