"""The samplers by name."""

from __future__ import annotations

from cpd.samplers import optuna_points
from cpd.samplers.random_points import RandomPoints
from cpd.samplers.sampler import Sampler
from cpd.samplers.space import Space

OPTUNAS = {"tpe": optuna_points.tpe, "gp": optuna_points.gp}
"""Those of Optuna."""

OF_THE_GRID = "grid"
"""The one whose space is the grid itself, a point for each of its settings."""

SAMPLERS = ("random", OF_THE_GRID, *OPTUNAS)


def check(word: str, place: str) -> None:
    """See that a sampler can be used here.

    Raises:
        CpdError: A package that it needs is not installed.
    """
    if word in OPTUNAS:
        optuna_points.check_installed(word, place)


def sampler(word: str, space: Space, seed: str) -> Sampler:
    """Make a sampler.

    Args:
        word: One of :data:`SAMPLERS`.
        space: What it proposes points of.
        seed: Any text; the same one gives the same points where the same is told.
    """
    if word in OPTUNAS:
        return optuna_points.OptunaPoints(space, seed, OPTUNAS[word])
    return RandomPoints(space, seed)
