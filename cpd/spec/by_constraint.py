"""One grid for each constraint: ``coefficient: {recall: {...}, parity: {...}}``, read as lists in the tasks' order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from cpd.errors import closest, nearest
from cpd.methods.hyperparameter import Hyperparameter
from cpd.spec.grids import RANGE_KEYS, Grid, is_grid
from cpd.spec.validation import InvalidError, joined

PATTERN = frozenset("*?[")
"""Characters that make a key a pattern of constraints' names."""

ALL = "*"
"""The pattern of all that are not named otherwise, wherever it stands."""


@dataclass(frozen=True)
class ByConstraint:
    """A grid for each of several parts of the constraints: all lists with a value of each, the last key fastest.

    Attributes:
        grids: By key.
        keys: Of each constraint, in order.
    """

    grids: Mapping[str, Grid]
    keys: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return math.prod(grid.count for grid in self.grids.values())

    def expand(self) -> list[Any]:
        """All of them, in order."""
        columns = [grid.expand() for grid in self.grids.values()]
        return [self.listed(dict(zip(self.grids, values, strict=True))) for values in itertools.product(*columns)]

    def listed(self, values: Mapping[str, Any]) -> list[Any]:
        """The list, with a value for each constraint, that values by key mean."""
        return [values[key] for key in self.keys]


def is_by_constraint(raw: Any, constraints: Sequence[str], fields: Mapping[str, Any]) -> bool:
    """Whether a mapping has values by constraint, and is neither a grid nor a hyperparameter's own mapping.

    Args:
        raw: What the spec has.
        constraints: Their names.
        fields: What a mapping of the hyperparameter's own may hold.
    """
    if not isinstance(raw, dict) or not raw or is_grid(raw):
        return False
    if any(named(key, constraints) and key not in fields for key in raw):
        return True
    known = ("values", *RANGE_KEYS, *fields)
    slips = (key for key in raw if nearest(str(key), known) and not nearest(str(key), constraints))
    return not raw.keys() & set(known) and next(slips, None) is None


def named(key: Any, constraints: Sequence[str]) -> list[str]:
    """The constraints that a key names: one by its name, or those that a pattern matches."""
    if key in constraints:
        return [key]
    return [name for name in constraints if PATTERN & set(str(key)) and fnmatchcase(name, str(key))]


def read_by_constraint(
    raw: Mapping[str, Any], constraints: Sequence[str], default: Any, read: Callable[[Any], Grid]
) -> ByConstraint:
    """Read a mapping of grids by constraint; of several patterns that match one, the first counts, and ``*`` last.

    Constraints of one pattern share its grid, so that a key is one dimension.

    Args:
        raw: By a constraint's name, or a pattern of names (``"*"`` for all that are not named).
        constraints: Names, in order.
        default: What others have; None where each must be named.
        read: Reads one grid.

    Raises:
        InvalidError: A key that names no constraint, a constraint that no key names, or a value that does not fit.
    """
    if unknown := [key for key in raw if not named(key, constraints)]:
        hint = f'{closest(str(unknown[0]), constraints)}; "*" stands for all that are not named'
        raise InvalidError(f"no constraint '{unknown[0]}'", hint, key=str(unknown[0]))
    keys = [_key_of(name, raw, constraints) for name in constraints]
    missing = [name for name, key in zip(constraints, keys, strict=True) if key is None]
    if missing and default is None:
        raise InvalidError(f"no value for {', '.join(missing)}", f'add {missing[0]}: 0.1, or "*": 0.1 for all others')
    grids = {key: _read(str(key), raw[key], read) for key in raw if key in keys}
    if missing:
        grids[""] = read(default)
    return ByConstraint(grids, tuple("" if key is None else key for key in keys))


def _key_of(name: str, raw: Mapping[str, Any], constraints: Sequence[str]) -> str | None:
    patterns = sorted(raw, key=lambda key: key == ALL)
    return name if name in raw else next((key for key in patterns if name in named(key, constraints)), None)


def _read(key: str, raw: Any, read: Callable[[Any], Grid]) -> Grid:
    try:
        return read(raw)
    except InvalidError as error:
        raise InvalidError(error.message, error.hint, joined(key, error.key)) from None


def spread(block: Any, new: Any, constraints: Sequence[str], hyperparameters: Mapping[str, Hyperparameter]) -> Any:
    """A method's blocks, their values by constraint where an option names one of these: the others keep what they had.

    Args:
        block: Of a method, or a list of them, or none.
        new: What the option sets, by hyperparameter.
        constraints: Names, in order.
        hyperparameters: Of the method.
    """
    if isinstance(block, list):
        return [spread(one, new, constraints, hyperparameters) for one in block]
    if not isinstance(block, dict):
        return block
    several = [n for n, one in hyperparameters.items() if one.per_constraint and n in block and n in new]
    return block | {n: _spread(block[n], new[n], constraints, hyperparameters[n].fields) for n in several}


def _spread(below: Any, new: Any, constraints: Sequence[str], fields: Mapping[str, Any]) -> Any:
    if not is_by_constraint(new, constraints, fields) or is_by_constraint(below, constraints, fields):
        return below
    if isinstance(below, list) and len(below) == len(constraints):
        return dict(zip(constraints, below, strict=True))
    return {ALL: below}
