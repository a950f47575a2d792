"""The settings of each method: the product of its gridded hyperparameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.spec.grids import Grid, read_grid
from cpd.spec.validation import At, InvalidError, at_least, joined, one_of, shown

Setting = dict[str, Any]


@dataclass(frozen=True)
class SettingGrid:
    """One block of a method: a grid for each hyperparameter that it gives."""

    grids: dict[str, Grid]

    @property
    def count(self) -> int:
        """How many settings it has."""
        return math.prod(grid.count for grid in self.grids.values())

    def expand(self) -> Iterator[Setting]:
        """All settings; the hyperparameter written last changes fastest."""
        columns = [grid.expand() for grid in self.grids.values()]
        return (dict(zip(self.grids, values, strict=True)) for values in itertools.product(*columns))


def read_methods(raw: Mapping[str, Any], constraints: Sequence[str], at: At) -> dict[str, list[SettingGrid]]:
    """Read ``methods``: by name, a block of hyperparameters or a list of such blocks.

    Args:
        raw: Blocks by method.
        constraints: Names, in order.
        at: From a dotted key to its place.

    Raises:
        CpdError: An unknown method or hyperparameter, one that is missing, or a value that does not fit.
    """
    return {name: _read_method(name, value, constraints, at) for name, value in raw.items()}


def _read_method(name: str, raw: Any, constraints: Sequence[str], at: At) -> list[SettingGrid]:
    key = joined("methods", name)
    if name not in REGISTRY:
        raise CpdError(f"unknown method '{name}'", place=at(key), hint=closest(name, REGISTRY))
    hyperparameters = REGISTRY[name].hyperparameters
    if isinstance(raw, list):
        if not raw:
            raise CpdError("has no settings", place=at(key), hint=_example(hyperparameters))
        keys = [f"{key}[{k}]" for k in range(len(raw))]
        return [_read_block(k, block, hyperparameters, constraints, at) for k, block in zip(keys, raw, strict=True)]
    return [_read_block(key, {} if raw is None else raw, hyperparameters, constraints, at)]


def _read_block(
    key: str, raw: Any, hyperparameters: Mapping[str, Hyperparameter], constraints: Sequence[str], at: At
) -> SettingGrid:
    if not isinstance(raw, dict):
        raise CpdError(f"{shown(raw)} is not a mapping", place=at(key), hint=_example(hyperparameters))
    grids: dict[str, Grid] = {}
    for name, value in raw.items():
        where = joined(key, name)
        if name not in hyperparameters:
            raise CpdError(f"unknown hyperparameter '{name}'", place=at(where), hint=closest(name, hyperparameters))
        try:
            grids[name] = read_grid(value, partial(_value, hyperparameters[name], constraints))
        except InvalidError as error:
            raise error.at(at, where) from None
    for name, hyperparameter in hyperparameters.items():
        if hyperparameter.default is None and name not in grids:
            message = f"the hyperparameter '{name}' is missing"
            raise CpdError(message, place=at(key), hint=_example({name: hyperparameter}))
    return SettingGrid(grids)


def _value(hyperparameter: Hyperparameter, constraints: Sequence[str], value: Any) -> Any:
    """One value of a hyperparameter: a choice, a number, or a list with a number per constraint."""
    if hyperparameter.choices:
        return one_of(*hyperparameter.choices)(value)
    number = at_least(hyperparameter.minimum, hyperparameter.exclusive)
    if not isinstance(value, list):
        return number(value)
    sweep = f"to try each, write {{values: {shown(value)}}}"
    if not hyperparameter.per_constraint:
        raise InvalidError(f"{shown(value)} is a list, where one number belongs", sweep)
    if len(value) != len(constraints):
        message = f"{shown(value)} does not have one number for each constraint ({', '.join(constraints)})"
        raise InvalidError(message, sweep)
    return [number(entry) for entry in value]


def _example(hyperparameters: Mapping[str, Hyperparameter]) -> str:
    name = next(iter(hyperparameters))
    return f"write e.g. {name}: 0.1, or {name}: {{min: 1e-4, max: 100, num: 19, scale: log}}"
