"""A method's hyperparameter: its default and its valid values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of a method.

    Attributes:
        default: Used where the spec gives none; None means the spec must give it.
        minimum: Smallest valid number.
        exclusive: Whether ``minimum`` itself is invalid.
        choices: Valid words or booleans; empty for a number.
        per_constraint: Whether a list, one number per constraint, is accepted.
        meaning: What it does, in a line, for editors and the pages.
    """

    default: float | str | bool | None = None
    minimum: float = 0.0
    exclusive: bool = False
    choices: tuple[str | bool, ...] = ()
    per_constraint: bool = False
    meaning: str = ""
