"""The modules of problems: each problem has its own, found beside it, whatever other problems call theirs.

A problem's file is run from the text that travelled with the sweep. Under what name, is chosen so that processes that
the problem starts itself (joblib's, multiprocessing's, those of a DataLoader) can import it: the name holds the path.

Only one problem is in use at a time. Its modules stand in ``sys.modules`` under their plain names meanwhile, and its
folders at the end of ``sys.path``, where they hide nothing and from where started processes have them.
"""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import re
import sys
import tokenize
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

from cpd.spec.finding import OwnFinder, beside, is_installed_file, is_nowhere
from cpd.spec.identity import digest
from cpd.spec.models import ProblemSource

PREFIX = f"{__name__}."
"""What the names of problems' files begin with: this module is their package."""

__path__: list[str] = []

_homes: dict[str, Home] = {}
_current: Home | None = None


class Home:
    """What one problem imports of its own.

    Args:
        folders: Where it is looked for.
        texts: Texts that travelled with the sweep, by path from one of the folders.
        module: The problem's own module, where it has a name of its own.
    """

    def __init__(self, folders: Sequence[str], texts: Mapping[str, str], module: str = "") -> None:
        self.folders = list(folders)
        self.texts = texts
        tops = {path.partition("/")[0].removesuffix(".py") for path in texts}
        self.tops = {name for name in tops if beside(name, self.folders) is not None}
        self.tops |= {module.partition(".")[0]} if module else set()
        self.gone = {name for name in tops if is_nowhere(name, self.folders)}
        self.tops |= self.gone
        self._own: dict[str, types.ModuleType] = {}
        self._aside: dict[str, types.ModuleType] = {}
        self._added = list(self.folders)
        self._path: list[str] = []

    def enter(self) -> None:
        """Let imports find this problem's modules."""
        self._aside = {name: sys.modules.pop(name) for name in self._named(self.tops)}
        sys.modules.update(self._own)
        self._path = list(sys.path)
        sys.path += [place for place in self._added if place not in sys.path]

    def leave(self) -> None:
        """Take this problem's modules away, and put back what had their names."""
        # A problem may have put folders of its own on the path, at its start or at its end.
        self._added = [place for place in sys.path if place not in self._path]
        self._own = {name: sys.modules.pop(name) for name in self._named(self.tops) + self._from_added()}
        sys.path[:] = [place for place in sys.path if place in self._path]
        sys.modules.update(self._aside)

    def _named(self, tops: set[str]) -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in tops]

    def _from_added(self) -> list[str]:
        """Modules that were imported from folders that the problem put on the path."""
        own = [place for place in self._added if place not in self.folders]
        roots = tuple(str(Path(place).resolve()) + "/" for place in own)
        others = {name: module for name, module in sys.modules.items() if self._is_others(name)}
        return [name for name, module in others.items() if _is_from(module, roots)] if roots else []

    def _is_others(self, name: str) -> bool:
        return name.partition(".")[0] not in ("cpd", "__main__", "__mp_main__", *self.tops)

    def find(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Where a module of this problem is, to be run from the text that travelled."""
        top, *inner = name.split(".")
        if not inner:
            spec = beside(name, self.folders) or self._travelled(name)
            self.tops |= {name} if spec is not None else set()
        else:
            spec = (PathFinder.find_spec(name, path) or self._travelled(name)) if top in self.tops else None
        if spec is not None and type(spec.loader) is SourceFileLoader and spec.origin is not None:
            spec.loader = _FromText(name, spec.origin, self._text(name, spec))
        return spec

    def _travelled(self, name: str) -> ModuleSpec | None:
        """Where a module was that is not here any more: its text is; a package without text is an empty one."""
        if name.partition(".")[0] not in self.gone:
            return None
        path = name.replace(".", "/")
        file, package = f"{path}.py", f"{path}/__init__.py"
        if file in self.texts:
            return _spec_from(name, file, self.texts[file])
        within = any(one.startswith(f"{path}/") for one in self.texts)
        return _spec_from(name, package, self.texts.get(package, ""), [path]) if within else None

    def _text(self, name: str, spec: ModuleSpec) -> str | None:
        return self.texts.get(_place_of(name, str(spec.origin)))


def _is_from(module: Any, roots: tuple[str, ...]) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and str(Path(file).resolve()).startswith(roots) and not is_installed_file(file)


def _spec_from(name: str, path: str, text: str, within: list[str] | None = None) -> ModuleSpec | None:
    loader = _FromText(name, path, text)
    return importlib.util.spec_from_file_location(name, path, loader=loader, submodule_search_locations=within)


class _FromText(SourceFileLoader):
    """Runs a module from its text, never from compiled code on the disk: that is as old as Python's whole seconds."""

    def __init__(self, name: str, path: str, text: str | None) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> types.CodeType:
        source: Any = self.get_data(self.path) if self._text is None else self._text
        code: types.CodeType = compile(source, self.path, "exec", dont_inherit=True)
        return code


class _Finder(OwnFinder):
    """Finds modules of the problem in use, and problems' files by the names that they have here."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.startswith(PREFIX):
            return _spec(fullname)
        return _current.find(fullname, path) if _current is not None else None


def enter(source: ProblemSource) -> None:
    """Put a problem to use: its modules are those that imports find from now on."""
    key = module_key(source)
    if key not in _homes:
        folders = [str(folder) for folder in source.folders if folder.is_dir()]
        name = _own_name(source)
        own = {_place_of(name, str(source.path)): source.source} if name else {}
        _homes[key] = Home(folders, {**source.modules, **own}, name)
    if _homes[key] is not _current:
        leave()
        _forget_edited(source, _homes[key].tops)
        _use(_homes[key])


def forget(source: ProblemSource) -> None:
    """Let a problem's modules be imported anew."""
    leave()
    _homes.pop(module_key(source), None)
    sys.modules.pop(_named(source.path or source.target.rpartition(":")[0], source), None)


def module_key(source: ProblemSource) -> str:
    """Hash of all that makes a problem's module: where it is, its text and that of its modules."""
    return digest([[str(folder) for folder in source.folders], source.target, source.source, source.modules])


def leave() -> None:
    """Put no problem to use: the host's own modules are back."""
    _use(None)


@contextmanager
def in_use_again() -> Iterator[None]:
    """Put to use afterwards what was before: a training may go on around it."""
    before = _current
    try:
        yield
    finally:
        _use(before)


def from_disk(source: ProblemSource, path: str) -> bool:
    """Whether a problem in use takes a module from the disk: it is elsewhere on Python's path, not beside it."""
    home = _homes.get(module_key(source))
    return home is None or path.partition("/")[0].removesuffix(".py") not in home.tops


def _use(home: Home | None) -> None:
    global _current
    if home is _current:
        return
    if _current is not None:
        _current.leave()
    _current = home
    if home is not None:
        importlib.invalidate_caches()
        home.enter()


def problem_module(source: ProblemSource) -> types.ModuleType:
    """The module of a problem, which is in use from now on; whatever it raises comes out as it is."""
    enter(source)
    place = source.target.rpartition(":")[0]
    own = _own_name(source)
    if own:
        return _imported_as(own) or _run(source, own, own.rpartition(".")[0], str(source.path))
    module = None if place.endswith(".py") else _imported_as(place)
    if module is not None and (not source.source or _source_of(module) == source.source):
        return module
    filename = source.path or place
    return _run(source, _named(filename, source), source.package, filename)


def _own_name(source: ProblemSource) -> str:
    """The name of a problem's module beside the spec, as its own package knows it; empty for a file on its own."""
    place = source.target.rpartition(":")[0]
    if source.path is None or source.is_live:
        return ""
    if not place.endswith(".py"):
        return place
    stem = Path(source.path).stem
    return source.package if stem == "__init__" else f"{source.package}.{stem}" if source.package else ""


def _place_of(name: str, file: str) -> str:
    """The path of a module from the folder that it is found under."""
    folders = name.split(".") if Path(file).name == "__init__.py" else name.split(".")[:-1]
    return "/".join([*folders, Path(file).name])


def _imported_as(name: str) -> types.ModuleType | None:
    """The module as Python imports it; None where there is none, as on another machine."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise


def _named(path: str, source: ProblemSource) -> str:
    """A name that holds the path, and tells texts apart that stood there one after the other."""
    quoted = "".join(char if char.isascii() and char.isalnum() else _escaped(char) for char in path)
    # Two copies of a file are two modules: each reads what is beside it.
    return f"{PREFIX}{quoted}__{digest([path, source.source, source.modules])[:12]}"


def _escaped(char: str) -> str:
    return "".join(f"_{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def _path_of(name: str) -> str:
    quoted = name.removeprefix(PREFIX).rpartition("__")[0].encode()
    return re.sub(rb"_([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), quoted).decode("utf-8", "surrogateescape")


def _spec(name: str) -> ModuleSpec | None:
    """In a process that a problem started: its file, with what is beside it."""
    path = _path_of(name)
    if not Path(path).is_file():
        return None
    if _current is None:
        _use(Home([str(Path(path).parent)], {}))
    return importlib.util.spec_from_file_location(name, path, loader=_FromText(name, path, None))


def _source_of(module: types.ModuleType) -> str | None:
    try:
        with tokenize.open(str(module.__file__)) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def _run(source: ProblemSource, name: str, package: str, filename: str) -> types.ModuleType:
    """Run the source text that travelled with the sweep as a module of its own."""
    if name in sys.modules:
        return sys.modules[name]
    module = types.ModuleType(name)
    module.__file__ = filename
    module.__package__ = package
    linecache.cache[filename] = (len(source.source), None, source.source.splitlines(keepends=True), filename)
    sys.modules[name] = module
    try:
        exec(compile(source.source, filename, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


_imported: dict[str, str] = {}
"""What this process imported of problems' modules that are elsewhere on the path: a hash of each text, by its path."""


def _forget_edited(source: ProblemSource, own: set[str]) -> None:
    """Let modules on Python's own path that the user has edited since be imported anew; its own are its own.

    What nobody has edited stays the object that the program has, whichever problems use it, and how much of it.
    """
    place = source.target.rpartition(":")[0]
    texts = dict(source.modules)
    # Its package may hold others' problems, and cpd's own: they stay as they are. So does the program itself.
    if not place.endswith(".py") and not source.is_live:
        texts[place] = source.source
    for path, text in texts.items():
        module = place if path == place else path.partition("/")[0].removesuffix(".py")
        if module.partition(".")[0] in own:
            continue
        seen = digest(text)
        if _imported.get(path, seen) != seen:
            for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
                del sys.modules[name]
        _imported[path] = seen


sys.meta_path.insert(0, _Finder())
