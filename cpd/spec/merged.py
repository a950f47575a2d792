"""A spec whose layers have become one mapping, and how its keys are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, TypeVar

from cpd.errors import CpdError, closest
from cpd.spec.layers import Layer, Layers
from cpd.spec.validation import InvalidError, shown

Value = TypeVar("Value")


class Merged:
    """A spec on its way to a task.

    Attributes:
        layers: Where each key comes from.
        raw: All keys, each from the topmost layer that has it.
    """

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.raw = layers.merged()

    @property
    def top(self) -> Layer:
        """The file that was asked for."""
        return self.layers.files[0]

    def at(self, key: str) -> str:
        """The place of a key in errors."""
        return self.layers.at(key)

    def replaced(self, section: str, raw: dict[str, Any]) -> Merged:
        """The same spec with another section in the place of one; it comes from where that came from."""
        other = copy(self)
        other.raw = {**self.raw, section: raw}
        return other

    def mapping(self, key: str) -> dict[str, Any]:
        """A key that holds a mapping; empty where it is not there.

        Raises:
            CpdError: It holds something else.
        """
        value = self.raw.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise CpdError(f"{shown(value)} is not a mapping", place=self.at(key), hint="write {NAME: VALUE}")
        return value

    def checked(self, key: str, check: Callable[[Any], Value], default: Any = None) -> Value:
        """The value of a top-level key, or the default, as a check returns it.

        Raises:
            CpdError: It does not fit.
        """
        return self.fitting(key, check, self.raw.get(key, default))

    def fitting(self, key: str, check: Callable[[Any], Value], value: Any) -> Value:
        """A value as a check returns it.

        Raises:
            CpdError: It does not fit; the place is the key's.
        """
        try:
            return check(value)
        except InvalidError as error:
            raise error.at(self.at, key) from None

    def known(self, name: str, constraints: Iterable[str], key: str) -> None:
        """Check that a constraint exists.

        Raises:
            CpdError: It does not; the place is the key's.
        """
        if name not in constraints:
            raise CpdError(f"no constraint '{name}'", place=self.at(key), hint=closest(name, constraints))

    def missing(self, key: str, example: str) -> CpdError:
        """The error for a key that the files lack."""
        return CpdError(f"the key '{key}' is missing", place=self.top.place, hint=f"add {example}")
