"""Grids over values of ``train`` and ``arguments``, where they stand: found, counted, and only then built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cpd.errors import CpdError
from cpd.spec.canonical import canonical_json
from cpd.spec.grids import RANGE_KEYS, Grid, Range, is_grid, read_grid
from cpd.spec.merged import Merged
from cpd.spec.models import Train
from cpd.spec.recipes import Keys, placed, train_of, value_at, ways
from cpd.spec.sections import read_train
from cpd.spec.validation import InvalidError, is_number

LITERAL = "a mapping that is meant as it stands is written as the one value of a grid: {values: [{values: 3}]}"

Found = tuple[str, Keys, Any]
"""A grid's dotted key, the way to it in its section, and what is written there."""


def take_grids(spec: Merged) -> tuple[Merged, dict[str, Grid]]:
    """Take the grids out of ``train`` and ``arguments``.

    Returns:
        The spec with the first value of each in its place, and the grids by dotted key, e.g. ``train.optimizer.lr``.

    Raises:
        CpdError: What should be a grid is none, or two values have one dotted key.
    """
    grids: dict[str, Grid] = {}
    for section in ("train", "arguments"):
        raw = whole = spec.mapping(section)
        for key, way, written in _found(whole, section, ()):
            if ways(whole, key.removeprefix(f"{section}.")) != [way]:
                hint = "rename one of them, or grid a mapping that holds one of them"
                raise CpdError(f"two values are called '{key}'", place=spec.at(key), hint=hint)
            grids[key] = _read(spec, key, written)
            raw = placed(raw, way, _first(written, grids[key]))
        spec = spec.replaced(section, raw) if raw is not whole else spec
    return spec, grids


def values_of(spec: Merged, train: Train, key: str, grid: Grid) -> list[tuple[Any, str]]:
    """The values of a grid, each as it stands in a setting, and a text in which equal ones are equal.

    Args:
        spec: With the first values in place.
        train: Its recipe.
        key: The grid's dotted key.
        grid: The grid.

    Raises:
        CpdError: A value does not fit where it stands.
    """
    section, _, path = key.partition(".")
    values = _whole(grid)
    if section == "arguments":
        return [(value, canonical_json(value)) for value in values]
    raw = spec.mapping("train")
    (way,) = ways(raw, path)
    return [_checked(spec.replaced("train", placed(raw, way, value)), train, key, value) for value in values]


def _checked(spec: Merged, train: Train, key: str, value: Any) -> tuple[Any, str]:
    own = read_train(spec)
    fields = own.model_dump()
    found = ways(fields, key.removeprefix("train."))
    if not found:
        message = f"'{key}' cannot be a grid of its own"
        raise CpdError(message, place=spec.at(key), hint="make one of the mapping that holds it: {values: [{...}]}")
    field = value_at(fields, found[0])
    return (field if is_number(field) or not _gives(train, key, value, own) else value), canonical_json(fields)


def _gives(train: Train, key: str, value: Any, own: Train) -> bool:
    """Whether a value as it is written gives the recipe that was read; otherwise it is kept as its field."""
    try:
        return train_of(train, {key: value}) == own
    except ValueError:
        return False


def _found(node: Any, key: str, way: Keys) -> Iterator[Found]:
    """The grids below a section, in the order in which they are written; a grid's values are not looked into."""
    in_train = key.partition(".")[0] == "train"
    if way and (is_grid(node) or (in_train and _attempted(node))):
        yield key, way, node
    elif isinstance(node, dict):
        for name, inner in node.items():
            yield from _found(inner, f"{key}.{name}", (*way, name))
    elif isinstance(node, list):
        for k, inner in enumerate(node):
            yield from _found(inner, f"{key}[{k}]", (*way, k))


def _attempted(node: Any) -> bool:
    """Whether a mapping in a recipe is meant as a grid, though it has not all of its keys, or more."""
    if not isinstance(node, dict):
        return False
    known = set(node) <= {"values", *RANGE_KEYS} and not any(isinstance(value, dict) for value in node.values())
    return isinstance(node.get("values"), list) or bool(known and set(node) - {"scale"})


def _read(spec: Merged, key: str, raw: Any) -> Grid:
    try:
        return read_grid(raw, lambda value: value)
    except InvalidError as error:
        hint = f"{error.hint}; {LITERAL}" if key.startswith("arguments.") and error.hint else error.hint
        raise InvalidError(error.message, hint).at(spec.at, key) from None


def _first(raw: Any, grid: Grid) -> Any:
    return raw["min"] if isinstance(grid, Range) else grid.expand()[0]


def _whole(grid: Grid) -> list[Any]:
    """The values of a grid; those of a range between whole numbers are whole, where all of them are."""
    values = grid.expand()
    if not isinstance(grid, Range) or not grid.whole or any(value != int(value) for value in values):
        return values
    return [int(value) for value in values]
