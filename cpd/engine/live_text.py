"""Where the text of a function or a class stands that no module has: a script's own, a notebook's, one in a function.

A text counts only where it compiles to the very code that is running: a script that was edited while it runs, or a file
that another program wrote over, has another text than what is in memory.
"""

from __future__ import annotations

import ast
import linecache
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

from cpd.spec.finding import is_installed_file
from cpd.spec.imports import parse

_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
"""As notebooks compile their cells."""


class Found(NamedTuple):
    """A text and where it stands.

    Attributes:
        text: Whole lines; valid Python by itself, or comments.
        file: As the code names it.
        lines: The first and the last one, from 1 on.
    """

    text: str
    file: str
    lines: tuple[int, int]

    def holds(self, code: CodeType) -> bool:
        """Whether a function is part of this text."""
        return code.co_filename == self.file and self.lines[0] <= code.co_firstlineno <= self.lines[1]


class _Source(NamedTuple):
    """A text, and what it compiles to: as a whole, and statement by statement, as notebooks do."""

    lines: tuple[str, ...]
    tree: ast.Module
    compiled: tuple[dict[tuple[str, int], list[CodeType]], ...]

    def place(self, code: CodeType) -> int | None:
        """Which of the functions of its name on its line a function is, from 0 on; None where it is none of them."""
        for codes in self.compiled:
            for place, twin in enumerate(codes.get((code.co_qualname, code.co_firstlineno), [])):
                if essence(twin) == essence(code):
                    return place
        return None


def essence(code: CodeType) -> str:
    """All that a piece of bytecode does, as text: not where it stands, and not what of it Python has specialised."""
    parts = [
        code.co_code.hex(),
        *map(repr, (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)),
        repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)),
        getattr(code, "co_exceptiontable", b"").hex(),
        *map(_constant, code.co_consts),
    ]
    return "\n".join(parts)


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return f"code {value.co_name} {essence(value)}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_constant, value)))}}}"
    return f"{type(value).__name__} {value!r}"


def text_of_function(code: CodeType) -> Found | None:
    """The statement that makes a function, and which of several functions on its line it is."""
    source = _read(code)
    if source is None:
        return None
    place = source.place(code)
    node = _statement(source.tree, code.co_firstlineno)
    if node is None:
        return None
    which = f"# function {place + 1} of this name on line {code.co_firstlineno - _start(node) + 1}\n" if place else ""
    return _found(source, node, code.co_filename, which)


def text_of_class(qualname: str, methods: list[CodeType]) -> Found | None:
    """The statement that makes a class, found by its own methods; None where they are not all as they stand there."""
    for code in methods:
        if (source := _read(code)) is None:
            continue
        for name, node in _classes(source.tree, ""):
            found = _found(source, node, code.co_filename)
            if name == qualname and found.holds(code):
                own = [one for one in methods if found.holds(one)]
                return found if all(_read(one) is source for one in own) else None
    return None


def lines_of(files: set[str]) -> dict[str, str]:
    """The texts of the user's own files and cells, so that a traceback elsewhere can show their lines."""
    texts = {file: "".join(linecache.getlines(file)) for file in files if not is_installed_file(file)}
    return {file: text for file, text in texts.items() if text}


def _read(code: CodeType) -> _Source | None:
    """The text that a function was compiled from; None where there is none, or it has become another one."""
    text = "".join(linecache.getlines(code.co_filename))
    source = _parsed(text, code.co_filename) if text else None
    if source is None:
        return None
    if source.place(code) is not None:
        return source
    # Python may remember an older text of a file than the one that is running.
    fresh = _parsed(_on_disk(code.co_filename), code.co_filename)
    return fresh if fresh is not None and fresh.place(code) is not None else None


def _on_disk(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=64)
def _parsed(text: str, file: str) -> _Source | None:
    try:
        tree = parse(text)
        whole = compile(text, file, "exec", flags=_FLAGS, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    parts = [whole], [compile(ast.Module([node], []), file, "exec", _FLAGS, dont_inherit=True) for node in tree.body]
    return _Source(tuple(text.splitlines(keepends=True)), tree, tuple(map(_by_name, parts)))


def _by_name(parts: list[CodeType]) -> dict[tuple[str, int], list[CodeType]]:
    """Every function by its name and first line."""
    found: dict[tuple[str, int], list[CodeType]] = {}
    for code in (inner for part in parts for inner in _within(part)):
        found.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
    return found


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)


def _classes(node: ast.AST, outer: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of a text by its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield outer + child.name, child
            yield from _classes(child, f"{outer}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{outer}{child.name}.<locals>.")
        else:
            yield from _classes(child, outer)


def _statement(tree: ast.Module, line: int) -> ast.stmt | None:
    """The innermost statement that a line is in."""
    found = None
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, ast.stmt) and _start(node) <= line <= (node.end_lineno or node.lineno):
            found = node
    return found


def _start(node: ast.stmt) -> int:
    """A statement's first line, its decorators included."""
    above: list[int] = [one.lineno for one in getattr(node, "decorator_list", [])]
    return min([node.lineno, *above])


def _found(source: _Source, node: ast.stmt, file: str, note: str = "") -> Found:
    first, last = _start(node), node.end_lineno or node.lineno
    text = "".join(source.lines[first - 1 : last])
    text = text if text.endswith("\n") else f"{text}\n"
    return Found(note + _alone(text), file, (first, last))


def _alone(text: str) -> str:
    """A text that is valid by itself: what is indented stands under a line of its own, what is cut out is a comment."""
    for whole in (text, f"if True:\n{text}" if text[:1].isspace() else text):
        try:
            parse(whole)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return whole
    return textwrap.indent(text, "# ", lambda line: True)
