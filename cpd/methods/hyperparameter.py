"""A method's hyperparameter: its default and its valid values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of a method.

    Attributes:
        default: Used where the spec gives none; None means the spec must give it, or, inside a mapping, may leave it
            out.
        minimum: Smallest valid number.
        exclusive: Whether ``minimum`` itself is invalid.
        choices: Valid words or booleans; empty for a number.
        per_constraint: Whether a list, one number per constraint, is accepted.
        meaning: What it does, in a line, for editors and the pages.
        below: Numbers are smaller than this.
        whole: Whether numbers are integers.
        words: Words that are valid beside numbers, or beside the choices.
        fields: What a mapping may hold that is valid too, by key, each a value or a grid; empty for no mapping.
        one_of: Keys of which such a mapping must have exactly one.
        others: Whether it may hold other keys, which only their use checks.
        refused: Keys that it may not hold, and why.
        schedule: Whether it is a schedule of ``torch.optim.lr_scheduler``, written as a recipe's, or one of the words.
        of_equalities: Whether numbers below ``minimum`` are valid where they apply to equality constraints alone.
        of_constraints: Whether it is a number of features of the constraints; the method's functions get these in its
            place, as a tensor ``[K, C]``, see :mod:`cpd.engine.features`.
        normal: From a valid value to the one that stands for all with the same meaning, so that these have one id.
    """

    default: float | str | bool | None = None
    minimum: float = 0.0
    exclusive: bool = False
    choices: tuple[str | bool, ...] = ()
    per_constraint: bool = False
    meaning: str = ""
    below: float = float("inf")
    whole: bool = False
    words: tuple[str, ...] = ()
    fields: Mapping[str, "Hyperparameter"] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    others: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    schedule: bool = False
    of_equalities: bool = False
    of_constraints: bool = False
    normal: Callable[[Any], Any] = lambda value: value
