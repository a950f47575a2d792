"""The settings of a method where nobody says which: one common grid of decades, whatever the method."""

from __future__ import annotations

import math
from typing import Any

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY, swept

LOWEST, HIGHEST = -3, 3
"""Decades of what is swept: from 1e-3 to 1e3."""

OTHERS = 1.0
"""What else must be given and has no default."""


def default_grid(method: str) -> dict[str, Any]:
    """A method's default grid, as a task would write it.

    What is swept takes one value for each decade from 1e-3 to 1e3; where it may not be so small, from its first valid
    decade to 1e3, or of at least three; where it may not be so large, up to its last valid one. What else must be given
    is 1. All else has its default.

    Args:
        method: Its name.
    """
    declared = REGISTRY[method].hyperparameters
    name = swept(method)
    others = {key: OTHERS for key, one in declared.items() if one.default is None and key != name}
    return {name: {"values": _decades(declared[name])}, **others}


def _decades(one: Hyperparameter) -> list[float]:
    """The valid ones among the decades."""
    low = LOWEST
    while not _is_valid(one, 10.0**low) and low < LOWEST + 12:
        low += 1
    high = max(HIGHEST, low + 2)
    found = [_decade(k) for k in range(low, high + 1) if _is_valid(one, 10.0**k)]
    return found or [one.minimum]


def _decade(k: int) -> float:
    return float(f"1e{k}")


def _is_valid(one: Hyperparameter, value: float) -> bool:
    above = value > one.minimum if one.exclusive else value >= one.minimum
    return above and value < one.below and (not one.whole or value == math.floor(value))
