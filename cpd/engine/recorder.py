"""What is kept of a training while it runs: thinned curves and the last tenth, on the device."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

POINTS = 500
TAIL_POINTS = 1000


class Record(NamedTuple):
    """One step of R runs: the objective ``[R]``, strict values and multipliers ``[R, C]``."""

    objective: Tensor
    strict: Tensor
    multipliers: Tensor


Recorded = dict[str, Tensor]
"""What is kept of R runs: ``objective [R, points]``; ``strict``, ``multipliers`` and ``tail``, ``[R, points, C]``."""


class Recorder:
    """Which steps are kept: curves of at most about 500 points, and the strict values of the last tenth of the steps.

    Nothing is copied to the host before the end.

    Args:
        steps: Steps of the whole training.
        components: C, of all constraints.
    """

    def __init__(self, steps: int, components: int) -> None:
        self.steps = steps
        self.components = components
        self.stride = max(1, math.ceil(steps / POINTS))
        self.marks = [*range(0, steps, self.stride)]
        if self.marks[-1] != steps - 1:
            self.marks.append(steps - 1)
        self.tail_start = steps - max(1, steps // 10)
        self.tail_stride = max(1, math.ceil((steps - self.tail_start) / _tail_points(components)))
        self.tail_length = len(range(self.tail_start, steps, self.tail_stride))

    def start(self, like: Tensor) -> Recorded:
        """Nothing kept yet; ``like`` is ``[R, C]`` and gives runs, dtype and device."""
        points, of_all = len(self.marks), (self.components,)
        shapes = {"objective": (points,), "strict": (points, *of_all), "multipliers": (points, *of_all)}
        shapes["tail"] = (self.tail_length, *of_all)
        return {name: like.new_full((len(like), *shape), float("nan")) for name, shape in shapes.items()}

    def wants(self, step: int) -> bool:
        """Whether this step is kept."""
        return self._curve_slot(step) is not None or self._tail_slot(step) is not None

    def keep(self, recorded: Recorded, step: int, record: Record) -> None:
        """Keep a step on the curves and in the tail, where it belongs there."""
        slot = self._curve_slot(step)
        if slot is not None:
            for name, value in record._asdict().items():
                recorded[name][:, slot] = value
        slot = self._tail_slot(step)
        if slot is not None:
            recorded["tail"][:, slot] = record.strict

    def keep_many(self, recorded: Recorded, first: int, records: Record) -> None:
        """Keep the steps from ``first`` on, given as one record with a leading dimension of steps."""
        for k in range(len(records.objective)):
            if self.wants(first + k):
                self.keep(recorded, first + k, Record(*(value[k] for value in records)))

    def kept(self, recorded: Recorded, done: int) -> Tensor:
        """Strict values on the curves after ``done`` steps, ``[points, R, C]``."""
        return recorded["strict"][:, : len(range(0, done, self.stride))].transpose(0, 1)

    def _curve_slot(self, step: int) -> int | None:
        if step % self.stride == 0:
            return step // self.stride
        return len(self.marks) - 1 if step == self.steps - 1 else None

    def _tail_slot(self, step: int) -> int | None:
        slot, rest = divmod(step - self.tail_start, self.tail_stride)
        return slot if step >= self.tail_start and rest == 0 else None


def on_host(recorded: Recorded) -> dict[str, Tensor]:
    """All that was kept, on the host in single or double precision."""
    kind = torch.promote_types(recorded["tail"].dtype, torch.float32)
    return {name: kept.to("cpu", kind) for name, kept in recorded.items()}


def _tail_points(components: int) -> int:
    """About 1000, fewer for long vector constraints: what a run keeps stays bounded."""
    return max(50, TAIL_POINTS * 4 // max(4, components))
