"""What a problem's numbers are defined by: the parts of its text that judging a model reaches, read and not run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from cpd.spec.identity import digest
from cpd.spec.imports import parse
from cpd.spec.models import ProblemSource

ROOTS = ("evaluate", "measure", "model", "__init__")
"""The methods by which a model is made and judged."""

Parts = dict[str, str]
"""Parts of a text by what they are called, without comments, docstrings and layout."""


def definition(source: ProblemSource) -> str:
    """Hash of what judging a model depends on; texts that differ in nothing else have the same."""
    return digest([source.target.rpartition(":")[2], source.arguments, _reached(source)])


def redefined(old: ProblemSource, new: ProblemSource) -> list[str]:
    """What two texts of a problem define otherwise of that by which a model is judged, by name."""
    ours, theirs = _reached(old), _reached(new)
    return [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]


def _reached(source: ProblemSource) -> Parts:
    """What the methods of a problem reach by the names that they hold, themselves first."""
    if source.is_live:
        return {"the class, or what it uses,": _without_held_out(source.source)}
    try:
        tree = _Bare().visit(parse(source.source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"the file": source.source}
    top = _bound(tree.body)
    members = _members(top, source.target.rpartition(":")[2])
    found: Parts = {}
    waiting = [(_word(name, members[name]), members[name]) for name in ROOTS if name in members]
    while waiting:
        called, nodes = waiting.pop(0)
        if called in found:
            continue
        found[called] = "\n".join(map(ast.unparse, nodes))
        found |= _imported(nodes, source.modules)
        for name, is_attribute in _names(nodes):
            if is_attribute and name in members:
                waiting.append((_word(name, members[name]), members[name]))
            elif not is_attribute and name in top:
                waiting.append((name, top[name]))
    return found


def _without_held_out(text: str) -> str:
    """The content of a class that no file has, as far as it does not belong to ``held_out()``; its numbers left out."""
    notes = {re.sub(r"\b(class|function) \d+", r"\1", line) for line in text.splitlines() if line.startswith("# ")}
    kept = sorted(line for line in notes if "held_out" not in line and " = module " not in line)
    try:
        tree = _Bare().visit(parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    parts = [part for part in tree.body if not isinstance(part, ast.Import | ast.ImportFrom)]
    for part in (part for part in parts if isinstance(part, ast.ClassDef)):
        part.body = [own for own in part.body if getattr(own, "name", "") != "held_out"]
    named = [part for part in parts if getattr(part, "name", "") != "held_out"]
    return "\n".join([*sorted(map(ast.unparse, named)), *kept])


def _word(name: str, nodes: Sequence[ast.AST]) -> str:
    """``evaluate()`` for a method, ``times`` for another attribute."""
    return f"{name}()" if isinstance(nodes[-1], ast.FunctionDef | ast.AsyncFunctionDef) else name


class _Bare(ast.NodeTransformer):
    """Leaves docstrings out."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)] or [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _bound(body: Sequence[ast.stmt]) -> dict[str, list[ast.AST]]:
    """The statements that give each name its meaning."""
    found: dict[str, list[ast.AST]] = {}
    for statement in body:
        for name in dict.fromkeys(_binds(statement)):
            found.setdefault(name, []).append(statement)
    return found


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from _binds(child)


def _members(top: Mapping[str, list[ast.AST]], name: str) -> dict[str, list[ast.AST]]:
    """The methods and attributes of a class, those of its bases in the same file included."""
    found: dict[str, list[ast.AST]] = {}
    waiting, seen = [name], set[str]()
    while waiting:
        if (own := waiting.pop(0)) in seen:
            continue
        seen.add(own)
        for node in (node for node in top.get(own, []) if isinstance(node, ast.ClassDef)):
            found = {**_bound(node.body), **found}
            waiting += [base.id for base in node.bases if isinstance(base, ast.Name)]
    return found


def _names(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, bool]]:
    """The names that statements hold, and whether each is that of an attribute of the problem itself."""
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Name):
            yield node.id, False
        elif isinstance(node, ast.Attribute) and _is_own(node.value):
            yield node.attr, True


def _is_own(node: ast.expr) -> bool:
    """Whether an expression is the problem, as its methods call it."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _imported(nodes: Sequence[ast.AST], modules: Mapping[str, str]) -> Parts:
    """The texts of all local modules, where statements import some of them."""
    tops = {path.partition("/")[0].removesuffix(".py") for path in modules}
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        is_own = isinstance(node, ast.ImportFrom) and node.level > 0
        if is_own or any(name.partition(".")[0] in tops for name in named):
            return {path: _written(text) for path, text in modules.items()}
    return {}


def _written(text: str) -> str:
    try:
        return ast.unparse(_Bare().visit(parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
