"""The import statements of a Python source, read and not run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import NamedTuple


class Imported(NamedTuple):
    """One import: ``import a.b`` names ``a.b``; ``from a import b`` names ``a`` with the member ``b``."""

    name: str
    members: tuple[str, ...] = ()


def parse(source: str) -> ast.Module:
    """Parse a source without a word about its style.

    Raises:
        SyntaxError: It is not valid Python.
        ValueError: It holds NUL characters.
        RecursionError: Its brackets are too deep for Python's parser; also ``MemoryError``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def imports(source: str, package: str = "") -> Iterator[Imported]:
    """Every import of a source: at its top, in functions and classes, under ``try`` and ``if``.

    Left out is what stands under ``if TYPE_CHECKING``, which never runs, and a relative import that leads out of its
    package. A source that Python cannot parse imports nothing: importing it fails in its own words.

    Args:
        source: The text.
        package: What relative imports start from; empty for a module that is in no package.
    """
    try:
        waiting: list[ast.AST] = [parse(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (Imported(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if name := _absolute(node, package):
                yield Imported(name, tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.If) and _for_types_alone(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def is_relative(source: str) -> bool:
    """Tell whether a source imports from the package that it is in."""
    try:
        nodes = list(ast.walk(parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.ImportFrom) and node.level for node in nodes)


def listed(source: str) -> list[str]:
    """The words of a module's ``__all__``, as far as they are written out in one list."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    entries = [entry for value in lists if isinstance(value, ast.List | ast.Tuple) for entry in value.elts]
    return [e.value for e in entries if isinstance(e, ast.Constant) and isinstance(e.value, str)]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that a ``from`` names, written in full; empty where there is none."""
    if not node.level:
        return node.module or ""
    parents = package.split(".") if package else []
    if node.level > len(parents):
        return ""
    kept = parents[: len(parents) - node.level + 1]
    return ".".join([*kept, *filter(None, [node.module])])


def _for_types_alone(test: ast.expr) -> bool:
    """Tell whether a condition is ``TYPE_CHECKING`` or ``typing.TYPE_CHECKING``."""
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"
