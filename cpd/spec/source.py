"""Find a problem's source text, and that of the local modules it imports, without running it."""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest
from cpd.spec.imports import parse
from cpd.spec.local_modules import local_modules
from cpd.spec.models import ProblemSource

_FORM = "write package.module:Class or file.py:Class"


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
    _check_class(source, name, module, place)
    found = ProblemSource(target=target, path=str(file) if own else None, source=source, arguments=arguments)
    package = "" if is_file else module if file.name == "__init__.py" else module.rpartition(".")[0]
    return found.model_copy(update={"modules": local_modules(source, package, found.folder)})


def _module_file(module: str, folder: Path, place: str) -> tuple[Path, bool]:
    """The file of a module, and whether only the spec's or the current folder has it: Python would not find it."""
    top, *inner = module.split(".")
    for own, roots in ((False, _locations(top)), (True, [folder / top, Path(top)])):
        for root in roots:
            base = root.joinpath(*inner)
            for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
                if file.is_file():
                    return file.resolve(), own
    raise CpdError(f"no module '{module}'", place=place, hint=f"install it or put it beside the spec; {_FORM}")


def _locations(top: str) -> list[Path]:
    """Where ``import`` finds a top-level package or module (its suffix left out), without running it."""
    for finder in sys.meta_path:
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
    if name not in classes and not any(_may_bind(node, name) for node in _statements(tree)):
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
    """Whether a statement other than a class definition may give the name its meaning."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name) in (name, "*") for alias in node.names)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)
