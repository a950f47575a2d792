"""What a schedule makes of a step-size, step by step: torch's own schedulers, run once before the training."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cpd.engine.options import told_apart
from cpd.errors import SpecError, closest
from cpd.spec.training import LENGTHS, WHOLE, Schedule

ENGINE_OPTIONS = ("self", "optimizer", "last_epoch", "scale_fn", "scale_mode")
"""What a scheduler takes that no file gives."""

CYCLED = ("momentum", "betas")
"""Options of optimizers that schedulers change besides ``lr``."""

Values = dict[str, Any]


def tables(
    schedule: Sequence[Schedule],
    base_lrs: Sequence[float],
    steps: int,
    steps_per_epoch: int,
    optimizer: Mapping[str, Any] | None = None,
    place: str = "train.schedule",
) -> Tensor:
    """The step-size at every step, as torch's own scheduler gives it.

    Args:
        schedule: One after the other.
        base_lrs: Step-sizes that they start from.
        steps: Of the training.
        steps_per_epoch: Of them in one pass over the data, for schedules that step each epoch.
        optimizer: Name and options of the optimizer, ``{name: SGD, momentum: 0.9}``; default: plain SGD.
        place: Where the schedule is, for errors.

    Returns:
        ``[steps, len(base_lrs)]`` in double precision.

    Raises:
        SpecError: A scheduler refuses its options.
    """
    kind, *options = (optimizer or {}).get("name", "SGD"), *(optimizer or {}).items()
    own = {name: value for name, value in options if name != "name"}
    return scheduled(schedule, kind, [{**own, "lr": lr} for lr in base_lrs], steps, steps_per_epoch, place)["lr"]


def scheduled(
    schedule: Sequence[Schedule],
    kind: str,
    groups: Sequence[Mapping[str, Any]],
    steps: int,
    steps_per_epoch: int,
    place: str = "train.schedule",
) -> dict[str, Tensor]:
    """What a schedule makes of ``lr``, ``momentum`` and ``betas`` of some groups of parameters.

    Args:
        schedule: One after the other; empty where nothing changes.
        kind: The optimizer's name in ``torch.optim``.
        groups: Options of each group.
        steps: Of the training.
        steps_per_epoch: Of them in one pass over the data.
        place: Where the schedule is, for errors.

    Returns:
        ``[steps, groups]`` in double precision, by option: ``lr``, ``betas.0``.

    Raises:
        SpecError: A scheduler refuses its options, or gives what is no number.
    """
    every = schedule[0].every if schedule else "epoch"
    each = 1 if every == "step" else steps_per_epoch
    ticks = math.ceil(steps / each)
    parts = [_options(part, place) for part in schedule]
    lasting = _lasting(schedule, parts, ticks, place)
    options = [
        {n: left if v == "all" else v for n, v in part.items()} for part, (left, _) in zip(parts, lasting, strict=True)
    ]
    optimizer = getattr(torch.optim, kind)([{"params": [torch.zeros(1, 1)], **group} for group in groups])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a scheduler that steps before its optimizer
        scheduler = _scheduler(optimizer, schedule, options, [length for _, length in lasting], place)
        found = [_values(optimizer)]
        for tick in range(1, ticks):
            try:
                if scheduler is not None:
                    scheduler.step()
            except Exception as error:
                raise _refused(schedule[_under_way(tick, lasting)], place, error) from error
            found.append(_values(optimizer))
    _refuse_infinite(found, every, place)
    at = torch.arange(steps) // each
    return {n: torch.tensor([[v[n] for v in row] for row in found], dtype=torch.float64)[at] for n in found[0][0]}


def _values(optimizer: torch.optim.Optimizer) -> list[Values]:
    return [told_apart({n: group[n] for n in ("lr", *CYCLED) if n in group})[1] for group in optimizer.param_groups]


def _refuse_infinite(found: Sequence[Sequence[Values]], every: str, place: str) -> None:
    for tick, row in enumerate(found):
        for values in row:
            if not math.isfinite(values.get("lr", math.nan)):
                message = f"the step-size is not a finite number after {tick:,} {every}s"
                raise SpecError(message, place=place, hint="change the schedule's options")


def _options(part: Schedule, place: str) -> Values:
    """A scheduler's options, lengths as whole numbers."""
    kind = getattr(torch.optim.lr_scheduler, part.name)
    valid = [n for n in inspect.signature(kind.__init__).parameters if n not in ENGINE_OPTIONS]
    for name, value in part.options.items():
        if name not in valid:
            message = f"{part.name} takes no option '{name}'"
            raise SpecError(message, place=f"{place}.{name}", hint=closest(name, valid))
        if isinstance(value, list | tuple) and name != "milestones":
            message = f"{name} is a list, where one number for all parameters belongs"
            raise SpecError(message, place=f"{place}.{name}", hint="write one number")
    return {n: _whole(v) if n in (*LENGTHS, "T_mult") else v for n, v in part.options.items()}


def _whole(value: Any) -> Any:
    """1e3 is a float to YAML, and a number of steps to its author."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lasting(schedule: Sequence[Schedule], parts: Sequence[Values], ticks: int, place: str) -> list[tuple[int, int]]:
    """What ``all`` means to each schedule, and how long it lasts, in its steps."""
    found = []
    left = ticks
    for k, (part, options) in enumerate(zip(schedule, parts, strict=True)):
        if left < 1:
            message = f"nothing of the training's {ticks:,} {part.every}s is left for {part.name}"
            raise SpecError(message, place=place, hint="let those before it last shorter")
        share = part.lasts is not None and part.lasts < 1
        own = left if part.lasts is None else max(1, round(part.lasts * ticks)) if share else int(part.lasts or 0)
        given = next((options[n] for n in WHOLE if n in options), None) if part.lasts is None else None
        last = k == len(schedule) - 1
        length = own if given in (None, "all") or last else given
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            message = f"{part.name} lasts {length} {part.every}s"
            raise SpecError(message, place=place, hint="write a whole number from 1 on, or all")
        found.append((own, length))
        left -= length
    return found


def _scheduler(
    optimizer: torch.optim.Optimizer,
    schedule: Sequence[Schedule],
    options: Sequence[Values],
    lengths: Sequence[int],
    place: str,
) -> Any:
    """Torch's own, a chain of them as a ``SequentialLR``; None where there is none."""
    made = []
    for part, own in zip(schedule, options, strict=True):
        try:
            made.append(getattr(torch.optim.lr_scheduler, part.name)(optimizer, **own))
        except Exception as error:
            raise _refused(part, place, error) from error
    if len(made) < 2:
        return made[0] if made else None
    milestones = [sum(lengths[: k + 1]) for k in range(len(made) - 1)]
    return torch.optim.lr_scheduler.SequentialLR(optimizer, made, milestones)


def _under_way(tick: int, lasting: Sequence[tuple[int, int]]) -> int:
    """Which schedule makes this step."""
    ends = [sum(length for _, length in lasting[: k + 1]) for k in range(len(lasting) - 1)]
    return sum(tick >= end for end in ends)


def _refused(part: Schedule, place: str, error: Exception) -> SpecError:
    given = ", ".join(f"{name}: {value}" for name, value in part.options.items())
    said = " ".join(str(error).split()) or type(error).__name__
    kind = getattr(torch.optim.lr_scheduler, part.name)
    valid = [n for n in inspect.signature(kind.__init__).parameters if n not in ENGINE_OPTIONS]
    message = f"{part.name} refuses {{{given}}}: {said}"
    return SpecError(message, place=place, hint=f"fix the value; {part.name} takes {', '.join(valid)}")
