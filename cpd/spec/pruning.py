"""When a run with a fixed penalty is given up, whoever trains it."""

from __future__ import annotations

from dataclasses import dataclass

START = 0.5
"""Share of the steps before which nothing is given up."""
MARGIN = 10.0
"""How many tolerances from the level is far."""
PACE = 2.0
"""How much faster than now a run is granted to come back."""


@dataclass(frozen=True)
class Prune:
    """Which runs are given up.

    Only those of which no multiplier and no coefficient moves: those that do grow until a constraint comes back.

    Attributes:
        constraint: The one that counts; None for any of them.
        both_sides: Whether far within the level is given up too: what a search for it does.
    """

    constraint: str | None = None
    both_sides: bool = False
