"""Find a problem's source text without running it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest
from cpd.spec import ProblemSource

_FORM = "write package.module:Class or file.py:Class"


def find_source(target: str, arguments: dict[str, Any], folder: Path, place: str) -> ProblemSource:
    """Read the text of ``package.module:Class`` or ``file.py:Class``.

    Args:
        target: As the spec gives it.
        arguments: For the class.
        folder: What a file's path starts from.
        place: Named in errors.

    Raises:
        CpdError: Wrong form, no such file, module or class, or a syntax error.
    """
    module, colon, name = target.rpartition(":")
    if not colon or not module or not name.isidentifier():
        raise CpdError(f"'{target}' is no problem", place=place, hint=_FORM)
    path = (folder / module).resolve() if module.endswith(".py") else None
    file = path if path is not None else _module_file(module, folder, place)
    source = _read(file, module, place)
    _check_class(source, name, module, place)
    if path is None and file.is_relative_to(Path(__file__).resolve().parent):
        return ProblemSource(target=target, path=None, source=source, arguments=arguments)
    return ProblemSource(target=target, path=str(path) if path else None, source=source, arguments=arguments)


def _module_file(module: str, folder: Path, place: str) -> Path:
    """The file of a module: installed, or below the spec's or the current folder."""
    relative = Path(*module.split("."))
    for root in (folder, Path()):
        for candidate in (root / relative.with_suffix(".py"), root / relative / "__init__.py"):
            if candidate.is_file():
                return candidate.resolve()
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise CpdError(f"no module '{module}': {error}", place=place, hint=_FORM) from None
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise CpdError(f"no module '{module}'", place=place, hint=f"install it, or {_FORM}")
    return Path(found.origin)


def _read(file: Path, module: str, place: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CpdError(f"no file '{module}'", place=place, hint="its path starts at the spec's folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CpdError(f"'{module}' cannot be read: {error}", place=place, hint="check the file") from None


def _check_class(source: str, name: str, module: str, place: str) -> None:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise CpdError(
            f"'{module}' is not valid Python: {error.msg} (line {error.lineno})", place=place, hint="mend the file"
        ) from None
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    imported = [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names]
    if name not in names and name not in imported:
        raise CpdError(f"no class '{name}' in '{module}'", place=place, hint=closest(name, names))
