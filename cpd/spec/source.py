"""Find a problem's source text, and that of the local modules it imports, without running it."""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest
from cpd.spec.finding import finders, installed
from cpd.spec.imports import is_relative, parse
from cpd.spec.local_modules import local_modules
from cpd.spec.models import ProblemSource

_FORM = "write package.module:Class or file.py:Class"

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def find_source(target: str, arguments: dict[str, Any], folder: Path, place: str) -> ProblemSource:
    """Read the text of ``package.module:Class`` or ``file.py:Class``.

    Args:
        target: As the spec gives it.
        arguments: For the class.
        folder: The spec's: a file's path starts there, and modules are looked for there too.
        place: Named in errors.

    Raises:
        CpdError: Wrong form, no such file, module or class, or a syntax error.
    """
    module, _, name = target.rpartition(":")
    is_file = module.endswith(".py")
    is_module = bool(module) and all(part.isidentifier() for part in module.split("."))
    if not name.isidentifier() or not (is_file or is_module):
        raise CpdError(f"'{target}' is no problem", place=place, hint=_FORM)
    if is_file:
        file = (folder / module).resolve()
        own = True
    else:
        file, own = _module_file(module, folder, place)
    source = _read(file, module, place)
    if not own:
        _check_not_hidden(source, name, module, folder, place)
    _check_class(source, name, module, place)
    package = _package(file, source, place) if is_file else _parent(file, module)
    found = ProblemSource(
        target=target, path=str(file) if own else None, source=source, arguments=arguments, package=package
    )
    return found.model_copy(update={"modules": local_modules(source, package, found.folders)})


def is_function(target: str, folder: Path) -> bool | None:
    """Whether a name means a plain function, False for a class; None where its file does not say so itself.

    Args:
        target: As for :func:`find_source`.
        folder: Likewise.
    """
    module, _, name = target.rpartition(":")
    try:
        file = (folder / module).resolve() if module.endswith(".py") else _module_file(module, folder, "")[0]
        tree = parse(_read(file, module, ""))
    except (CpdError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # whoever needs the file says what is wrong with it
    found = [isinstance(node, _FUNCTION) for node in _statements(tree) if getattr(node, "name", None) == name]
    return found[-1] if found else None


def _parent(file: Path, module: str) -> str:
    """The package of a module that is named in full."""
    return module if file.name == "__init__.py" else module.rpartition(".")[0]


def _package(file: Path, source: str, place: str) -> str:
    """The package of a file that imports from it: the folders above that have an ``__init__.py``, or its own folder."""
    if not is_relative(source):
        return ""
    parts = [file.parent.name]
    above = file.parent
    while (above / "__init__.py").is_file() and (above.parent / "__init__.py").is_file():
        above = above.parent
        parts.insert(0, above.name)
    if not parts[0].isidentifier() or installed(parts[0]) is not None:
        taken = "cannot be imported" if not parts[0].isidentifier() else f"is {_owner(parts[0])}"
        message = f"'{file.name}' imports from its folder '{parts[0]}', which {taken}"
        raise CpdError(message, place=place, hint="rename the folder, or import without the dot")
    return ".".join(parts)


def _owner(top: str) -> str:
    """What an installed module of this name is."""
    return "a module of Python's own" if top in sys.stdlib_module_names else "an installed package"


def _check_not_hidden(source: str, name: str, module: str, folder: Path, place: str) -> None:
    """Say so where an installed module that has no such class hides one of the user's own."""
    own = _own_file(module, folder)
    top = module.partition(".")[0]
    if own is not None and installed(top) is not None and not _has_class(source, name):
        message = f"'{module}' is {_owner(top)}, not the file {own.name} here"
        raise CpdError(message, place=place, hint=f"write {_typed(own, folder)}:{name}, or rename the file")


def _has_class(source: str, name: str) -> bool:
    try:
        return any(isinstance(node, ast.ClassDef) and node.name == name for node in ast.walk(parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _typed(file: Path, folder: Path) -> str:
    """A file as it is written in a spec."""
    return file.relative_to(folder.resolve()).as_posix() if file.is_relative_to(folder.resolve()) else str(file)


def _module_file(module: str, folder: Path, place: str) -> tuple[Path, bool]:
    """The file of a module, and whether only the spec's or the current folder has it: Python would not find it."""
    top, *inner = module.split(".")
    for root in _locations(top):
        if (file := _file_of(root, inner)) is not None:
            return file, False
    own = _own_file(module, folder)
    if own is None:
        raise CpdError(f"no module '{module}'", place=place, hint=f"install it or put it beside the spec; {_FORM}")
    if installed(top) is not None:
        message = f"'{top}' is {_owner(top)}, not the package here"
        raise CpdError(message, place=place, hint=f"rename the package '{top}', or write {_typed(own, folder)}:CLASS")
    return own, True


def _own_file(module: str, folder: Path) -> Path | None:
    """The file of a module beside the spec or in the current folder."""
    top, *inner = module.split(".")
    found = (_file_of(root, inner) for root in (folder / top, Path(top)))
    return next((file for file in found if file is not None), None)


def _file_of(root: Path, inner: Sequence[str]) -> Path | None:
    base = root.joinpath(*inner)
    files = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((file.resolve() for file in files if file.is_file()), None)


def _locations(top: str) -> list[Path]:
    """Where ``import`` finds a top-level package or module (its suffix left out), without running it."""
    for finder in finders():
        found = finder.find_spec(top, None)
        if found is not None:
            within = [Path(location) for location in found.submodule_search_locations or ()]
            return within or ([Path(found.origin).with_suffix("")] if found.has_location and found.origin else [])
    return []


def _read(file: Path, module: str, place: str) -> str:
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except FileNotFoundError:
        raise CpdError(f"no file '{module}'", place=place, hint="its path starts at the spec's folder") from None
    except OSError as error:
        message = f"'{module}' cannot be read: {error.strerror}"
        raise CpdError(message, place=place, hint="check the path and its permissions") from None
    except (UnicodeDecodeError, SyntaxError):
        raise CpdError(f"'{module}' is not UTF-8", place=place, hint="save the file as UTF-8") from None


def _check_class(source: str, name: str, module: str, place: str) -> None:
    """Check that the text defines the class, or takes it from elsewhere."""
    tree = _parsed(source, module, place)
    classes = [node.name for node in _statements(tree) if isinstance(node, ast.ClassDef)]
    functions = [node.name for node in _statements(tree) if isinstance(node, _FUNCTION)]
    if name not in [*classes, *functions] and not any(_may_bind(node, name) for node in _statements(tree)):
        raise CpdError(f"no class '{name}' in '{module}'", place=place, hint=closest(name, classes))


def _parsed(source: str, module: str, place: str) -> ast.Module:
    try:
        return parse(source)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        message = f"'{module}{line}' is not valid Python: {error.msg}"
        raise CpdError(message, place=place, hint="fix the file") from None
    except (ValueError, RecursionError, MemoryError) as error:
        # NUL characters, and brackets too deep for Python's parser.
        raise CpdError(f"'{module}' is not valid Python: {error}", place=place, hint="fix the file") from None


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported: those in functions and classes are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr):
            yield from _statements(child)


def _may_bind(node: ast.stmt, name: str) -> bool:
    """Tell whether a statement other than a class definition may give the name its meaning."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name) in (name, "*") for alias in node.names)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def find_examples(target: str, place: str) -> ProblemSource:
    """Read the text of what gives examples: ``file.py:name``, from the current folder, or ``package.module:name``.

    Args:
        target: As the user gives it.
        place: Named in errors.

    Returns:
        The file with its local modules, as a problem's.

    Raises:
        CpdError: Wrong form, no such file, module or name, or a syntax error.
    """
    module, _, name = target.rpartition(":")
    is_file = module.endswith(".py")
    if not name.isidentifier() or not (is_file or all(part.isidentifier() for part in module.split("."))):
        hint = "write file.py:NAME or package.module:NAME of a function that gives examples, or held_out"
        raise CpdError(f"'{target}' is no function", place=place, hint=hint)
    file, own = (Path(module).expanduser().resolve(), True) if is_file else _module_file(module, Path(), place)
    try:
        source = _read(file, module, place)
    except CpdError as error:
        fix = error.hint if file.exists() else "its path starts at the current folder"
        raise CpdError(error.message, place=error.place, hint=fix) from error
    _check_name(source, name, module, place)
    package = _package(file, source, place) if is_file else _parent(file, module)
    path = str(file) if own else None
    found = ProblemSource(target=target, path=path, source=source, package=package)
    return found.model_copy(update={"modules": local_modules(source, package, found.folders)})


def _check_name(source: str, name: str, module: str, place: str) -> None:
    """Check that the text gives a name its meaning."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    statements = list(_statements(_parsed(source, module, place)))
    defined = [node.name for node in statements if isinstance(node, kinds)]
    if name not in defined and not any(_may_bind(node, name) for node in statements):
        raise CpdError(f"no function '{name}' in '{module}'", place=place, hint=closest(name, defined))


def read_again(source: ProblemSource, place: str) -> ProblemSource:
    """A problem as its file is now.

    Args:
        source: As it was read, which may be long ago.
        place: Named in errors.

    Raises:
        CpdError: Its file or class is gone, it never had a file, or it is not valid Python any more.
    """
    module, _, name = source.target.rpartition(":")
    if module == "__main__":
        hint = f"give it: cpd.judge(SWEEP, problem={name}), or the examples: data=..."
        raise CpdError(f"'{source.target}' is in no file that could be read again", place=place, hint=hint)
    target = f"{source.path}:{name}" if module.endswith(".py") and source.path else source.target
    found = find_source(target, source.arguments, source.folder or Path(), place)
    return found.model_copy(update={"target": source.target, "depends": source.depends})
