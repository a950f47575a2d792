"""Trees of tensors with named leaves: all that a step changes is one, cut, saved and loaded in one way.

A tree is made of dictionaries, named tuples, tuples and :class:`Part`; its leaves are tensors that lead with the runs
``[R, ...]``, or scalars that all runs share.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

Tree = TypeVar("Tree")

SEPARATOR = "/"
"""Between the parts of a leaf's name: names of parameters hold dots."""


class Part(NamedTuple):
    """What neighbouring rows alone have, such as the state of their method.

    Attributes:
        first: The first of them.
        rows: How many they are.
        tree: Its leaves lead with these rows.
    """

    first: int
    rows: int
    tree: Any


class Misfit(ValueError):
    """Saved leaves are not those of the tree: others, or of other shapes."""


def named(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its name, such as ``state/parameters/0.weight``, in the tree's own order."""
    if isinstance(tree, Part):
        yield from named(tree.tree, name)
    elif (children := _children(tree)) is None:
        yield name, tree
    else:
        for key, child in children:
            yield from named(child, f"{name}{SEPARATOR}{key}" if name else key)


def leaves(tree: Any) -> list[Any]:
    """Every leaf, in the order of :func:`named`."""
    return [leaf for _, leaf in named(tree)]


def refilled(tree: Tree, new: Sequence[Any]) -> Tree:
    """The same tree with other leaves, given in the order of :func:`leaves`."""
    rest = iter(new)
    return mapped(lambda leaf: next(rest), tree)


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with ``function(leaf)`` for every leaf."""
    new: Tree = _rebuilt(tree, lambda child: mapped(function, child), function)
    return new


def take(tree: Tree, rows: Sequence[int]) -> Tree:
    """What a tree holds of these rows alone, ascending or repeated; what all runs share stays as it is."""
    if _kind(tree) == "leaf":
        return _rows(tree, rows)  # type: ignore[no-any-return]
    if isinstance(tree, Part):
        own = [row - tree.first for row in rows if tree.first <= row < tree.first + tree.rows]
        before = sum(row < tree.first for row in rows)
        return Part(before, len(own), take(tree.tree, own))  # type: ignore[return-value]
    if isinstance(tree, tuple) and any(isinstance(child, Part) for child in tree):
        parts = (take(child, rows) for child in tree)
        return tuple(part for part in parts if part.rows)  # type: ignore[return-value]
    cut: Tree = _rebuilt(tree, lambda child: take(child, rows), lambda leaf: _rows(leaf, rows))
    return cut


def joined(tree: Tree, rows: Sequence[Tree]) -> Tree:
    """The tree whose rows are these trees of one row each, as :func:`take` gives them; all share what the first has."""
    new: Tree = _joined(tree, rows)
    return new


def save(tree: Any) -> dict[str, Tensor]:
    """The tree's tensors by name; what is no tensor is not kept."""
    return {name: leaf.detach() for name, leaf in named(tree) if isinstance(leaf, Tensor)}


def load(tree: Tree, saved: Mapping[str, Tensor]) -> Tree:
    """The same tree with the tensors that :func:`save` gave, where the tree has its own.

    Raises:
        Misfit: A name, a shape or a type is not the tree's.
    """
    own = {name: leaf for name, leaf in named(tree) if isinstance(leaf, Tensor)}
    if own.keys() != saved.keys():
        raise Misfit(f"{', '.join(sorted(own.keys() ^ saved.keys()))} in one of the two only")
    for name, leaf in own.items():
        if leaf.shape != saved[name].shape or leaf.dtype != saved[name].dtype:
            raise Misfit(f"{name} is {saved[name].dtype} {list(saved[name].shape)}")
    return refilled(tree, [saved[n].to(leaf.device) if n in own else leaf for n, leaf in named(tree)])


def _joined(tree: Any, rows: Sequence[Any]) -> Any:
    if isinstance(tree, Mapping):
        return {key: _joined(child, [row[key] for row in rows]) for key, child in tree.items()}
    if isinstance(tree, tuple) and any(isinstance(child, Part) for child in tree):
        return tuple(_joined_part(part, rows[part.first : part.first + part.rows]) for part in tree)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_joined(child, [row[k] for row in rows]) for k, child in enumerate(tree)))
    if isinstance(tree, tuple | list):
        return type(tree)(_joined(child, [row[k] for row in rows]) for k, child in enumerate(tree))
    return torch.cat(list(rows)) if isinstance(tree, Tensor) and tree.dim() else rows[0]


def _joined_part(part: Part, rows: Sequence[tuple[Part]]) -> Part:
    return part._replace(tree=_joined(part.tree, [own.tree for (own,) in rows]))


def row_of(tree: Any, row: int, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of one row, without the dimension of rows, named as in the tree of this row alone."""
    if isinstance(tree, Part):
        yield from row_of(tree.tree, row - tree.first, name)
    elif (children := _children(tree)) is None:
        yield name, tree[row] if isinstance(tree, Tensor) and tree.dim() else tree
    else:
        if any(type(child) is Part for _, child in children):
            own = [child for _, child in children if child.first <= row < child.first + child.rows]
            children = [(str(k), child) for k, child in enumerate(own)]
        for key, child in children:
            yield from row_of(child, row, f"{name}{SEPARATOR}{key}" if name else key)


Kind = Literal["mapping", "names", "sequence", "leaf"]


def _kind(tree: Any) -> Kind:
    """What a tree is made of."""
    kind: Any = type(tree)
    return _kind_of(kind)


@cache  # types stay as long as the process
def _kind_of(kind: type) -> Kind:
    if issubclass(kind, Mapping):
        return "mapping"
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return "names"
    return "sequence" if issubclass(kind, tuple | list) else "leaf"


def _children(tree: Any) -> list[tuple[str, Any]] | None:
    kind = _kind(tree)
    if kind == "leaf":
        return None
    if kind == "mapping":
        return [(str(key), child) for key, child in tree.items()]
    if kind == "names":
        return list(zip(tree._fields, tree, strict=True))
    return [(str(k), child) for k, child in enumerate(tree)]


def _rebuilt(tree: Any, inner: Callable[[Any], Any], at_leaf: Callable[[Any], Any]) -> Any:
    """The tree with its children, or the leaf, replaced."""
    kind = _kind(tree)
    if kind == "leaf":
        return at_leaf(tree)
    if isinstance(tree, Part):
        return tree._replace(tree=inner(tree.tree))
    if kind == "mapping":
        return of_its_kind(tree, {key: inner(child) for key, child in tree.items()})
    if kind == "names":
        make: Any = type(tree)._make
        return make(map(inner, tree))  # what checks its arguments, as a PackedSequence, is not asked
    return type(tree)(map(inner, tree))


def of_its_kind(tree: Mapping[Any, Any], new: dict[Any, Any]) -> Any:
    """New children in a mapping of the same kind, where it has one that can be filled."""
    if type(tree) is dict or not hasattr(tree, "update"):
        return new
    filled = copy.copy(tree)
    filled.update(new)
    return filled


def _rows(leaf: Any, rows: Sequence[int]) -> Any:
    """The rows of a leaf; a scalar is the same for all."""
    if not isinstance(leaf, Tensor) or not leaf.dim():
        return leaf
    return leaf.detach()[rows[0] : rows[0] + 1] if len(rows) == 1 else leaf.detach()[list(rows)]
