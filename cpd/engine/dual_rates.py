"""Dual step-sizes that change from step to step, as torch's own schedulers give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.recipe import LEAST_ROWS
from cpd.engine.schedules import scheduled
from cpd.errors import SpecError
from cpd.spec.canonical import canonical_json
from cpd.spec.training import Schedule, schedules_of


class Rates(NamedTuple):
    """The dual step-size of each component at every step.

    Attributes:
        table: ``[rows, columns]``, a row for each step and more, for a program depends on how many they are.
        column: Which of its columns, ``[runs, 1]`` or ``[runs, C]``.
    """

    table: Tensor
    column: Tensor

    def at(self, step: Tensor) -> Tensor:
        """``[runs, 1]`` or ``[runs, C]`` after so many steps."""
        row = self.table.index_select(0, step.clamp(max=len(self.table) - 1).view(1)).squeeze(0)
        return row.index_select(0, self.column.view(-1)).view(self.column.shape)


def rates(
    settings: Sequence[Mapping[str, Any]], base: Tensor, steps: int, steps_per_epoch: int, like: Tensor, place: str
) -> Rates:
    """The step-sizes of some runs.

    Args:
        settings: Of each run, with ``dual_schedule`` and, where it has one, ``dual_optimizer``.
        base: ``dual_lr``, ``[runs, 1]`` or ``[runs, C]`` in double precision.
        steps: Of the training.
        steps_per_epoch: Of them in one pass over the data.
        like: A tensor that gives dtype and device.
        place: What gave the schedules, for errors.

    Raises:
        SpecError: A scheduler refuses its options, or changes more than the step-size.
    """
    made: dict[str, Tensor] = {}
    for setting, row in zip(settings, base.tolist(), strict=True):
        for lr in row:
            name = _name(setting, lr)
            if name not in made:
                made[name] = _one(setting, lr, steps, steps_per_epoch, place)
    place_of = {name: k for k, name in enumerate(made)}
    column = [[place_of[_name(s, lr)] for lr in row] for s, row in zip(settings, base.tolist(), strict=True)]
    table = torch.stack(list(made.values()), dim=1)
    rows = max(LEAST_ROWS, 2 ** len(table).bit_length())
    table = torch.cat([table, table[-1:].expand(rows - len(table), -1)])
    return Rates(table.to(like.dtype).to(like.device), torch.tensor(column, device=like.device))


def _name(setting: Mapping[str, Any], lr: float) -> str:
    return canonical_json([setting["dual_schedule"], setting.get("dual_optimizer"), lr])


def _one(setting: Mapping[str, Any], lr: float, steps: int, steps_per_epoch: int, place: str) -> Tensor:
    """``[steps]``."""
    schedule = [Schedule.model_validate(one) for one in schedules_of(setting["dual_schedule"])]
    given = setting.get("dual_optimizer", "SGD")
    kind, options = (given, {}) if isinstance(given, str) else (given["name"], dict(given))
    options.pop("name", None)
    found = scheduled(schedule, kind, [{**options, "lr": lr}], steps, steps_per_epoch, place)
    if changed := [name for name, values in found.items() if name != "lr" and bool((values != values[0]).any())]:
        message = f"it changes {changed[0].partition('.')[0]} as well, which stays as it is here"
        raise SpecError(message, place=place, hint="write cycle_momentum: false")
    return found["lr"][:, 0]
