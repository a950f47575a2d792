"""The values of one hyperparameter: numbers, words, lists and mappings, and grids of them, also inside a mapping."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from cpd.errors import CpdError, closest
from cpd.methods.hyperparameter import Hyperparameter
from cpd.spec.by_constraint import ByConstraint, is_by_constraint, read_by_constraint
from cpd.spec.grids import RANGE_KEYS, Grid, Values, is_grid, read_grid
from cpd.spec.training import Schedule, one_clock, schedules_of
from cpd.spec.validation import Checked, InvalidError, at_least, checked, finite, joined, one_of, shown, whole

NONE = "none"
"""The word that one constraint may have beside others' numbers."""


@dataclass(frozen=True)
class Product:
    """A mapping some of whose values are grids: all that it may be, the key that is written last changing fastest."""

    grids: Mapping[str, AnyGrid]
    normal: Callable[[Any], Any]

    @property
    def count(self) -> int:
        """How many there are."""
        return math.prod(grid.count for grid in self.grids.values())

    def expand(self) -> list[Any]:
        """All of them, in order."""
        columns = [grid.expand() for grid in self.grids.values()]
        return [self.normal(dict(zip(self.grids, values, strict=True))) for values in itertools.product(*columns)]


@dataclass(frozen=True)
class Chain:
    """Values some of which are mappings with grids inside."""

    grids: tuple[AnyGrid, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(grid.count for grid in self.grids)

    def expand(self) -> list[Any]:
        """All of them, in order."""
        return [value for grid in self.grids for value in grid.expand()]


@dataclass(frozen=True)
class Sequenced:
    """A list of values each of which may be a grid: all that the list may be."""

    grids: tuple[AnyGrid, ...]
    normal: Callable[[Any], Any]

    @property
    def count(self) -> int:
        """How many there are."""
        return math.prod(grid.count for grid in self.grids)

    def expand(self) -> list[Any]:
        """All of them, in order."""
        return [self.normal(list(values)) for values in itertools.product(*(grid.expand() for grid in self.grids))]


AnyGrid = Grid | Product | Chain | Sequenced | ByConstraint


def read_values(one: Hyperparameter, constraints: Sequence[str], raw: Any) -> AnyGrid:
    """Read what a spec gives a hyperparameter.

    Args:
        one: Its declaration.
        constraints: Names, in order: a list has a number for each, where lists are accepted.
        raw: What the spec has.

    Raises:
        InvalidError: A value that does not fit.
    """
    if one.schedule:
        return _schedules(one, raw)
    if one.per_constraint and (found := _several(one, constraints, raw)) is not None:
        return found
    if not one.fields or not isinstance(raw, dict):
        return read_grid(raw, partial(_value, one, constraints))
    if "values" in raw:
        if len(raw) > 1 or not isinstance(raw["values"], list) or not raw["values"]:
            return read_grid(raw, partial(_value, one, constraints))  # says what is wrong
        return Chain(tuple(read_values(one, constraints, entry) for entry in raw["values"]))
    if {"min", "num"} & raw.keys() and not raw.keys() - set(RANGE_KEYS):
        return read_grid(raw, partial(_value, one, constraints))
    return _mapping(one, constraints, raw)


def _several(one: Hyperparameter, constraints: Sequence[str], raw: Any) -> AnyGrid | None:
    """A grid for each constraint, by name or in a list, or values some of which are so written; None of all else."""

    def read(value: Any) -> Grid:
        return read_grid(value, lambda each: _entry(one, each))

    if is_by_constraint(raw, constraints, one.fields):
        return read_by_constraint(raw, constraints, one.default, read)
    if isinstance(raw, list) and any(map(is_grid, raw)):
        _refuse_length(constraints, raw)
        return Sequenced(tuple(map(read, raw)), lambda values: values)
    listed = raw.get("values") if isinstance(raw, dict) and len(raw) == 1 else None
    if isinstance(listed, list) and any(isinstance(value, dict) for value in listed):
        return Chain(tuple(read_values(one, constraints, value) for value in listed))
    return None


def _schedules(one: Hyperparameter, raw: Any) -> AnyGrid:
    if isinstance(raw, dict) and "values" in raw:
        values = read_grid(raw, lambda value: value).expand()
        return Chain(tuple(_schedules(one, value) for value in values))
    if isinstance(raw, str) and raw in one.words:
        return Values((raw,))
    if isinstance(raw, list):
        return Sequenced(tuple(_schedule(part, lambda made: made) for part in raw), _chained)
    return _schedule(raw, _chained)


def _schedule(raw: Any, normal: Callable[[Any], Any]) -> Product:
    """One schedule, each of whose options may be a grid."""
    options = raw if isinstance(raw, dict) else {"name": _chained(raw)["name"]}
    grids: dict[str, AnyGrid] = {}
    for name, value in options.items():
        try:
            grids[name] = read_grid(value, _option)
        except InvalidError as error:
            raise InvalidError(error.message, error.hint, joined(str(name), error.key)) from None
    return Product(grids, normal)


class _Chain(Checked):
    """One schedule or several, as a recipe has them."""

    schedule: Annotated[tuple[Schedule, ...] | None, BeforeValidator(schedules_of), AfterValidator(one_clock)]


def _chained(value: Any) -> Any:
    """Schedules that a recipe would accept, in the one form for all with the same meaning."""
    try:
        found = checked(_Chain, {"schedule": value}, lambda key: key, "").schedule or ()
    except CpdError as error:
        key = (error.place or "").removeprefix("schedule").strip(".")
        key = key if isinstance(value, list) else key.removeprefix("0").strip(".")
        raise InvalidError(error.message, error.hint, key) from None
    plain = [{n: v for n, v in one.model_dump().items() if (n, v) != ("every", "step")} for one in found]
    return plain[0] if len(plain) == 1 else plain


def _mapping(one: Hyperparameter, constraints: Sequence[str], raw: Mapping[str, Any]) -> Product:
    grids: dict[str, AnyGrid] = {}
    for name, value in raw.items():
        if name not in one.fields and not one.others:
            raise InvalidError(f"unknown key '{name}'", closest(name, one.fields), key=str(name))
        if name in one.refused:
            raise InvalidError(f"'{name}' cannot be given here", one.refused[name], key=str(name))
        try:
            inner = one.fields.get(name)
            grids[name] = read_grid(value, _option) if inner is None else read_values(inner, constraints, value)
        except InvalidError as error:
            raise InvalidError(error.message, error.hint, joined(str(name), error.key)) from None
    if one.one_of and len(found := [name for name in one.one_of if name in raw]) != 1:
        wrong = f"{' and '.join(found)} at once" if found else f"neither {' nor '.join(one.one_of)} is there"
        raise InvalidError(wrong, f"keep {' or '.join(one.one_of)}" if found else f"add {one.one_of[0]}: 10")
    return Product(grids, one.normal)


def _value(one: Hyperparameter, constraints: Sequence[str], value: Any) -> Any:
    """One value of a hyperparameter: a word, a number, or a list with a number per constraint."""
    if one.choices:
        return one.normal(one_of(*one.choices, *one.words)(value))
    if isinstance(value, str) and one.words:
        return _word(one, value)
    number = _number(one)
    if not isinstance(value, list):
        return one.normal(number(value))
    sweep = f"to try each, write {{values: {shown(value)}}}"
    if not one.per_constraint:
        raise InvalidError(f"{shown(value)} is a list, where one number belongs", sweep)
    _refuse_length(constraints, value)
    return [_entry(one, entry) for entry in value]


def _refuse_length(constraints: Sequence[str], value: list[Any]) -> None:
    if len(value) != len(constraints):
        message = f"{shown(value)} does not have one number for each constraint ({', '.join(constraints)})"
        raise InvalidError(message, f"to try each, write {{values: {shown(value)}}}")


def _entry(one: Hyperparameter, value: Any) -> Any:
    """What one constraint has: a number, or ``none``."""
    return value if value == NONE and NONE in one.words else _number(one)(value)


def _word(one: Hyperparameter, value: str) -> str:
    if value not in one.words:
        raise InvalidError(f"{shown(value)} is not valid", f"write a number, or {' or '.join(one.words)}")
    return value


def _number(one: Hyperparameter) -> Callable[[Any], float]:
    least = -math.inf if one.of_equalities else one.minimum  # what it applies to is seen with the other values
    lowest = whole(int(one.minimum)) if one.whole else at_least(least, one.exclusive)

    def check(value: Any) -> float:
        number = lowest(value)
        if number >= one.below:
            raise InvalidError(f"{shown(value)} is out of range", f"write a number below {one.below:g}")
        return number

    return check


def _option(value: Any) -> Any:
    """A value that only its use can check: a number, a truth, a word, or a list of these."""
    if isinstance(value, list):
        return [_option(entry) for entry in value]
    if isinstance(value, bool | str):
        return value
    return finite(value)
