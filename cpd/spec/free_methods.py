"""The methods of a program: any name with any hyperparameters, for the program knows what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cpd.errors import CpdError
from cpd.outcome import is_dotted
from cpd.spec.grids import Grid, Range, read_grid
from cpd.spec.hyperparameters import AnyGrid
from cpd.spec.settings import SettingGrid
from cpd.spec.validation import At, InvalidError, finite, joined, shown

EXAMPLE = "write e.g. {coefficient: 0.1}, or {coefficient: {min: 1e-4, max: 100, num: 19, scale: log}}"


@dataclass(frozen=True)
class WholeRange(Range):
    """A range between whole numbers, whose values are whole where all of them can be."""

    def expand(self) -> list[Any]:
        """All of them, in order."""
        values = super().expand()
        return [int(value) for value in values] if all(value == int(value) for value in values) else values


def read_free_methods(raw: Mapping[str, Any], at: At) -> dict[str, list[SettingGrid]]:
    """Read ``methods`` of a program.

    Args:
        raw: Blocks by method.
        at: From a dotted key to its place.

    Raises:
        CpdError: What should be a block is none, or a value that does not fit.
    """
    return {name: _method(name, value, at) for name, value in raw.items()}


def _method(name: Any, raw: Any, at: At) -> list[SettingGrid]:
    key = joined("methods", str(name))
    if not isinstance(name, str) or not name.strip() or "." in name:
        raise CpdError(f"{shown(name)} is no method's name", place=at("methods"), hint="write a word without a point")
    if not isinstance(raw, list):
        return [_block(key, raw, at)]
    if not raw:
        raise CpdError("has no settings", place=at(key), hint=EXAMPLE)
    return [_block(f"{key}[{k}]", block, at) for k, block in enumerate(raw)]


def _block(key: str, raw: Any, at: At) -> SettingGrid:
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise CpdError(f"{shown(raw)} is not a mapping", place=at(key), hint=EXAMPLE)
    grids: dict[str, AnyGrid] = {}
    for name, value in raw.items():
        where = joined(key, str(name))
        if not isinstance(name, str) or not name.strip() or set(name) & set("{}") or is_dotted(name):
            raise CpdError(f"{shown(name)} is no hyperparameter's name", place=at(key), hint="write another word")
        try:
            grids[name] = _whole(read_grid(value, plain))
        except InvalidError as error:
            raise error.at(at, where) from None
    return SettingGrid(grids, key)


def _whole(grid: Grid) -> Grid:
    return WholeRange(**vars(grid)) if isinstance(grid, Range) and grid.whole else grid


def plain(value: Any) -> Any:
    """A number, a truth, a word, or a list of these.

    Raises:
        InvalidError: It is something else.
    """
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, bool | str):
        return value
    if value is None:
        raise InvalidError("null is no value", "leave it out, or write 'null' in quotes for the word")
    return value if isinstance(value, int) else finite(value)
