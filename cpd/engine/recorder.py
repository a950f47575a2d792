"""What is kept of a training while it runs: thinned curves and the last tenth, on the device."""

from __future__ import annotations

import copy
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


class Recorder:
    """Curves of at most about 500 points and the strict values of the last tenth of the steps.

    Nothing is copied to the host before the end.

    Args:
        steps: Steps of the whole training.
        like: ``[R, C]``, gives shape, dtype and device.
    """

    def __init__(self, steps: int, like: Tensor) -> None:
        runs, components = like.shape
        self.steps = steps
        self.stride = max(1, math.ceil(steps / POINTS))
        self.marks = [*range(0, steps, self.stride)]
        if self.marks[-1] != steps - 1:
            self.marks.append(steps - 1)
        self.tail_start = steps - max(1, steps // 10)
        self.tail_stride = max(1, math.ceil((steps - self.tail_start) / _tail_points(components)))
        self.tail_length = len(range(self.tail_start, steps, self.tail_stride))
        self.buffers = {
            "objective": like.new_full((len(self.marks), runs), float("nan")),
            "strict": like.new_full((len(self.marks), runs, components), float("nan")),
            "multipliers": like.new_full((len(self.marks), runs, components), float("nan")),
            "tail": like.new_full((self.tail_length, runs, components), float("nan")),
        }

    def wants(self, step: int) -> bool:
        """Whether this step is kept."""
        return self._curve_slot(step) is not None or self._tail_slot(step) is not None

    def keep(self, step: int, record: Record) -> None:
        """Keep a step on the curves and in the tail, where it belongs there."""
        slot = self._curve_slot(step)
        if slot is not None:
            for name, value in record._asdict().items():
                self.buffers[name][slot] = value
        slot = self._tail_slot(step)
        if slot is not None:
            self.buffers["tail"][slot] = record.strict

    def keep_many(self, first: int, records: Record) -> None:
        """Keep the steps from ``first`` on, given as one record with a leading dimension of steps."""
        for k in range(len(records.objective)):
            if self.wants(first + k):
                self.keep(first + k, Record(*(value[k] for value in records)))

    def part(self, rows: list[int]) -> Recorder:
        """A recorder of these runs alone."""
        part = copy.copy(self)
        part.buffers = {n: b[:, rows] for n, b in self.buffers.items()}
        return part

    def kept(self, done: int) -> Tensor:
        """Strict values on the curves after ``done`` steps, ``[points, R, C]``."""
        return self.buffers["strict"][: len(range(0, done, self.stride))]

    def on_host(self) -> dict[str, Tensor]:
        """All that was kept, on the host in single or double precision, runs first: ``[R, points, ...]``."""
        kind = torch.promote_types(self.buffers["tail"].dtype, torch.float32)
        return {n: b.transpose(0, 1).to("cpu", kind) for n, b in self.buffers.items()}

    def _curve_slot(self, step: int) -> int | None:
        if step % self.stride == 0:
            return step // self.stride
        return len(self.marks) - 1 if step == self.steps - 1 else None

    def _tail_slot(self, step: int) -> int | None:
        slot, rest = divmod(step - self.tail_start, self.tail_stride)
        return slot if step >= self.tail_start and rest == 0 else None


def _tail_points(components: int) -> int:
    """About 1000, fewer for long vector constraints: what a run keeps stays bounded."""
    return max(50, TAIL_POINTS * 4 // max(4, components))
