"""The settings of each method: what the spec gives, checked against the methods' declarations and expanded."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Protocol

from cpd.errors import CpdError, closest
from cpd.grids import number, values_of, without_duplicates

MOST_SETTINGS = 10_000_000


class Reader(Protocol):
    """What is needed of the spec's reader."""

    registry: Mapping[str, Mapping[str, Any]]

    def place(self, dotted: str) -> str:
        """What to call a place in errors."""
        ...


def read_methods(
    reader: Reader, blocks: Mapping[str, Any], constraints: Mapping[str, Any]
) -> tuple[dict[str, tuple[dict[str, Any], ...]], list[str]]:
    """Every method's settings in grid order, and notes on duplicates left out."""
    methods: dict[str, tuple[dict[str, Any], ...]] = {}
    notes: list[str] = []
    for name, given in blocks.items():
        if name not in reader.registry:
            place = reader.place(f"methods.{name}")
            raise CpdError(f"unknown method '{name}'", place=place, hint=closest(name, reader.registry))
        several = given if isinstance(given, list) and given else [given]
        expanded = [setting for block in several for setting in _settings(reader, name, block, list(constraints))]
        kept = without_duplicates(expanded)
        if len(kept) < len(expanded):
            notes.append(f"{name}: {len(expanded) - len(kept)} duplicate setting(s) left out")
        methods[name] = tuple(kept)
    return methods, notes


def _settings(reader: Reader, method: str, block: Any, constraints: list[str]) -> list[dict[str, Any]]:
    """The product of one block's values, the last hyperparameter changing fastest."""
    declared = reader.registry[method]
    base = f"methods.{method}"
    block = {} if block is None else block
    if not isinstance(block, dict):
        swept = next(iter(declared))
        raise CpdError(f"is {block!r}", place=reader.place(base), hint=f"write {method}: {{{swept}: 0.1}}")
    for name in block:
        if name not in declared:
            raise CpdError(
                f"{method} has no hyperparameter '{name}'", place=reader.place(f"{base}.{name}"), hint=closest(name, declared)
            )
    for name, hyperparameter in declared.items():
        if hyperparameter.default is None and name not in block:
            raise CpdError(f"{method} needs '{name}'", place=reader.place(base), hint=f"add {name}: VALUE or a range")
    columns = {
        name: _column(given, declared[name], reader.place(f"{base}.{name}"), constraints) for name, given in block.items()
    }
    size = 1
    for values in columns.values():
        size *= len(values)
    if size > MOST_SETTINGS:
        raise CpdError(f"makes {size:,} settings", place=reader.place(base), hint="make the ranges shorter")
    return [dict(zip(columns, values, strict=True)) for values in itertools.product(*columns.values())]


def _column(given: Any, declared: Any, place: str, constraints: list[str]) -> list[Any]:
    return [_value(value, declared, place, constraints) for value in values_of(given, place)]


def _value(value: Any, declared: Any, place: str, constraints: list[str]) -> Any:
    if declared.choices:
        known = any(value == c and isinstance(value, bool) == isinstance(c, bool) for c in declared.choices)
        if not known:
            words = [str(c).lower() if isinstance(c, bool) else str(c) for c in declared.choices]
            raise CpdError(f"{value!r} is not valid", place=place, hint=closest(str(value), words))
        return value
    if isinstance(value, list):
        return _one_per_constraint(value, declared, place, constraints)
    return _number(value, declared, place)


def _one_per_constraint(value: list[Any], declared: Any, place: str, constraints: list[str]) -> list[float]:
    if not declared.per_constraint:
        raise CpdError(f"{value!r} is a list", place=place, hint="give one number, or {values: [...]} to try several")
    if len(value) != len(constraints):
        raise CpdError(
            f"{len(value)} numbers for {len(constraints)} constraint(s)",
            place=place,
            hint=f"one for each of {', '.join(constraints)}; to try several write {{values: [...]}}",
        )
    return [_number(v, declared, place) for v in value]


def _number(value: Any, declared: Any, place: str) -> float:
    x = number(value, place)
    if x < declared.minimum or (declared.exclusive and x == declared.minimum):
        over = "above" if declared.exclusive else "at least"
        raise CpdError(f"{x:g} is too small", place=place, hint=f"give a number {over} {declared.minimum:g}")
    return x
