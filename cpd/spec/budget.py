"""Equal budgets: how many trainings each method has for each seed, and how their settings are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator

from cpd.spec.grids import Grid
from cpd.spec.settings import SettingGrid
from cpd.spec.validation import Checked, one_of, whole

SAMPLERS = ("random", "grid", "tpe", "gp")


class Budget(Checked):
    """An equal number of trainings for each method.

    Attributes:
        trainings: Of each method, for each seed and each choice of levels.
        sampler: How their settings are chosen: at random between the ends of each grid, those of the grid itself in
            random order, or by one that learns: tpe or gp, of Optuna.
        parallel: Settings that a sampler that learns is asked for at once.
    """

    trainings: Annotated[int, BeforeValidator(whole(1))]
    sampler: Annotated[Literal["random", "grid", "tpe", "gp"], BeforeValidator(one_of(*SAMPLERS))] = "random"
    parallel: Annotated[int, BeforeValidator(whole(1))] = 4


@dataclass(frozen=True)
class Written:
    """The grids as they were written, of which a task has the values; two of these are always equal.

    Attributes:
        blocks: Of each method.
        dotted: Over values of ``train`` and ``arguments``, by dotted key.
    """

    blocks: Mapping[str, Sequence[SettingGrid]] = field(default_factory=dict, compare=False, repr=False)
    dotted: Mapping[str, Grid] = field(default_factory=dict, compare=False, repr=False)
