"""What each of several constraints is brought to by a coefficient of its own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from cpd.spec.validation import Checked, InvalidError, at_least, finite, not_zero, shown

Number = Annotated[float, BeforeValidator(finite)]
NonZero = Annotated[float, BeforeValidator(not_zero), WithJsonSchema({"type": "number", "not": {"const": 0}})]
Positive = Annotated[
    float,
    BeforeValidator(at_least(0, exclusive=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]

STRATEGIES = ("bisection", "illinois", "coordinates", "simplex")
"""How coefficients are chosen: the last two search one of each constraint."""


class Aim(Checked):
    """What one of several constraints is brought to, by a coefficient of its own.

    Attributes:
        target: The value to reach; left out (None) for the constraint's level.
        low: Smallest coefficient; left out (None) for the search's, as the others are.
        high: Largest coefficient.
        tolerance: How close to the target is close enough.
    """

    target: Number | None = None
    low: NonZero | None = None
    high: NonZero | None = None
    tolerance: Positive | None = None


def aims_of(value: Any) -> Any:
    """``0.8`` as ``{target: 0.8}``, of each."""
    if not isinstance(value, dict):
        raise InvalidError(f"{shown(value)} is not a mapping", "write {NAME: VALUE}")
    return {
        name: {} if one is None else one if isinstance(one, dict | Aim) else {"target": one}
        for name, one in value.items()
    }
