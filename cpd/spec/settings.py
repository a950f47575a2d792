"""The settings of each method: the product of its gridded hyperparameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.spec.hyperparameters import AnyGrid, read_values
from cpd.spec.validation import At, InvalidError, joined, shown

Setting = dict[str, Any]


@dataclass(frozen=True)
class SettingGrid:
    """One block of a method: a grid for each hyperparameter that it gives, and the block's dotted key."""

    grids: dict[str, AnyGrid]
    key: str = ""

    @property
    def count(self) -> int:
        """How many settings it has."""
        return math.prod(grid.count for grid in self.grids.values())

    def expand(self) -> Iterator[Setting]:
        """All settings; the hyperparameter written last changes fastest."""
        columns = [_expanded(name, grid) for name, grid in self.grids.items()]
        return (dict(zip(self.grids, values, strict=True)) for values in itertools.product(*columns))


def _expanded(name: str, grid: AnyGrid) -> list[Any]:
    try:
        return grid.expand()
    except InvalidError as error:  # what is made of values that fit each by itself
        raise InvalidError(error.message, error.hint, joined(name, error.key)) from None


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
    grids: dict[str, AnyGrid] = {}
    for name, value in raw.items():
        where = joined(key, name)
        if name not in hyperparameters:
            raise CpdError(f"unknown hyperparameter '{name}'", place=at(where), hint=closest(name, hyperparameters))
        try:
            grids[name] = read_values(hyperparameters[name], constraints, value)
        except InvalidError as error:
            raise error.at(at, where) from None
    for name, hyperparameter in hyperparameters.items():
        if hyperparameter.default is None and name not in grids:
            message = f"the hyperparameter '{name}' is missing"
            raise CpdError(message, place=at(key), hint=_example({name: hyperparameter}))
    return SettingGrid(grids, key)


def check_settings(method: str, grids: Sequence[SettingGrid], senses: Mapping[str, str], at: At) -> None:
    """Check that the values of each setting go together.

    Args:
        method: Its name.
        grids: Its blocks.
        senses: Of each constraint, in order.
        at: From a dotted key to its place.

    Raises:
        CpdError: They do not.
    """
    equalities = [name for name, sense in senses.items() if sense == "=="]
    signed = {name: one.minimum for name, one in REGISTRY[method].hyperparameters.items() if one.of_equalities}
    whole = [name for name, one in REGISTRY[method].hyperparameters.items() if one.whole]
    for grid in grids:
        try:
            settings = grid.expand()
        except InvalidError as error:
            raise error.at(at, grid.key) from None
        for setting in settings:
            for name in whole:
                _refuse_fractions(setting.get(name), at(joined(grid.key, name)))
            for name, minimum in signed.items():
                _refuse_below(setting.get(name), minimum, senses, at(joined(grid.key, name)))
            try:
                REGISTRY[method].check(setting, equalities)
            except CpdError as error:
                place = at(joined(grid.key, error.place or ""))
                raise CpdError(error.message, place=place, hint=error.hint) from None


def _refuse_fractions(value: Any, place: str) -> None:
    """What a range makes of whole ends need not be whole."""
    if isinstance(value, float) and value != int(value):
        raise CpdError(f"{shown(value)} is no whole number", place=place, hint="write {values: [1, 10, 100]}")


def _refuse_below(value: Any, minimum: float, senses: Mapping[str, str], place: str) -> None:
    """Refuse numbers below a minimum for what is no equality: there they would push away from feasibility.

    Args:
        value: A number for all constraints, or one for each.
        minimum: Smallest valid number for an inequality.
        senses: Of each constraint, in order.
        place: Of the hyperparameter, for errors.
    """
    each = value if isinstance(value, list) else [value] * len(senses)
    for name, number in zip(senses, each, strict=True):
        if senses[name] != "==" and isinstance(number, int | float) and number < minimum:
            several = f" for {name}, which is no equality" if "==" in senses.values() else ""
            hint = f"write a number from {minimum:g} on"
            own = [n for n, sense in senses.items() if sense == "=="]
            hint += f", or a list in which only {' and '.join(own)} has one below" if own and value is number else ""
            raise CpdError(f"{number:g} is out of range{several}", place=place, hint=hint)


def _example(hyperparameters: Mapping[str, Hyperparameter]) -> str:
    name = next(iter(hyperparameters))
    return f"write e.g. {name}: 0.1, or {name}: {{min: 1e-4, max: 100, num: 19, scale: log}}"
