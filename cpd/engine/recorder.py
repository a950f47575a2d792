"""What is kept of a training while it runs: thinned curves and the last tenth, on the device."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

import torch
from torch import Tensor

POINTS = 500
TAIL_POINTS = 1000
NEIGHBOURS = 4
"""Steps of the last tenth that are kept side by side: what swings from step to step is told from noise by them."""

_WORD = 2**32 - 1


class Record(NamedTuple):
    """One step of R runs: the objective ``[R]``, strict values and multipliers ``[R, C]``."""

    objective: Tensor
    strict: Tensor
    multipliers: Tensor


Recorded = dict[str, Tensor]
"""What is kept of R runs: ``objective [R, points]``; ``strict``, ``multipliers`` and ``tail``, ``[R, points, C]``."""


class Recorder:
    """Which steps are kept: curves of at most about 500 points, and the strict values of the last tenth of the steps.

    Of a long training they are irregular steps, so that no cycle falls in with them; the number of steps alone decides
    which. Nothing is copied to the host before the end.

    Args:
        steps: Steps of the whole training.
        components: C, of all constraints.

    Attributes:
        stride: Steps from one point of the curves to the next, on average.
        marks: The steps on the curves, the first and the last among them.
        tail_start: Where the last tenth of the steps begins.
        tail: The steps of the last tenth that are kept, some neighbours at a time.
    """

    def __init__(self, steps: int, components: int) -> None:
        self.steps = steps
        self.components = components
        self.stride = max(1, math.ceil(steps / POINTS))
        self.marks = irregular(steps, self.stride)
        self.tail_start = steps - max(1, steps // 10)
        tail_stride = max(1, math.ceil((steps - self.tail_start) / _tail_points(components)))
        self.tail = in_groups(self.tail_start, steps, tail_stride)
        self._curve_slots = {step: slot for slot, step in enumerate(self.marks)}
        self._tail_slots = {step: slot for slot, step in enumerate(self.tail)}

    def start(self, like: Tensor) -> Recorded:
        """Nothing kept yet; ``like`` is ``[R, C]`` and gives runs, dtype and device."""
        points, of_all = len(self.marks), (self.components,)
        shapes = {"objective": (points,), "strict": (points, *of_all), "multipliers": (points, *of_all)}
        shapes["tail"] = (len(self.tail), *of_all)
        return {name: like.new_full((len(like), *shape), float("nan")) for name, shape in shapes.items()}

    def wants(self, step: int) -> bool:
        """Whether this step is kept."""
        return step in self._curve_slots or step in self._tail_slots

    def keep(self, recorded: Recorded, step: int, record: Record) -> None:
        """Keep a step on the curves and in the tail, where it belongs there."""
        slot = self._curve_slots.get(step)
        if slot is not None:
            for name, value in record._asdict().items():
                recorded[name][:, slot] = value
        slot = self._tail_slots.get(step)
        if slot is not None:
            recorded["tail"][:, slot] = record.strict

    def keep_many(self, recorded: Recorded, first: int, records: Record) -> None:
        """Keep the steps from ``first`` on, given as one record with a leading dimension of steps."""
        for k in range(len(records.objective)):
            if self.wants(first + k):
                self.keep(recorded, first + k, Record(*(value[k] for value in records)))

    def kept(self, recorded: Recorded, done: int) -> Tensor:
        """Strict values on the curves after ``done`` steps, ``[points, R, C]``."""
        return recorded["strict"][:, : bisect_left(self.marks, done)].transpose(0, 1)

    def tail_of(self, recorded: Tensor, done: int) -> Tensor:
        """Of what was kept of the last tenth, ``[points, ...]``, that of the first ``done`` steps of the training."""
        return recorded[: bisect_left(self.tail, done)]

    def share(self, held: int, done: int) -> float | None:
        """The share of the last tenth of the steps that ``held`` of them are; None where ``done`` has not come there.

        Of a run that did not come to its end, of those that it has done.
        """
        return held / (done - self.tail_start) if done > self.tail_start else None


def irregular(steps: int, stride: int) -> list[int]:
    """One step in every stretch of so many, the first and the last among them; where in its stretch is as if drawn.

    The same arguments give the same steps, ascending.

    Args:
        steps: Of the training.
        stride: Steps in a stretch; 1 gives all of them.
    """
    starts = range(0, steps, stride)
    return [start + _scattered(number) % stride if number else 0 for number, start in enumerate(starts[:-1])] + [
        steps - 1
    ]


def in_groups(first: int, end: int, stride: int) -> list[int]:
    """Steps from ``first`` up to ``end``, :data:`NEIGHBOURS` side by side, and gaps as if drawn between the groups.

    The first step and the last are among them. The same arguments give the same steps, ascending.

    Args:
        first: The first step.
        end: The step after the last.
        stride: Steps for each one that is given, on average; 1 gives all of them.
    """
    longest = 2 * NEIGHBOURS * (stride - 1)
    found: list[int] = []
    start = first
    while start < end - NEIGHBOURS:
        found += range(start, start + NEIGHBOURS)
        start += NEIGHBOURS + _scattered(len(found)) % (longest + 1)
    after = found[-1] + 1 if found else first
    return [*found, *range(max(after, end - NEIGHBOURS), end)]


def _scattered(number: int) -> int:
    """A number below 2^32 that has nothing to do with the one that it is made of: the end of the hash murmur3."""
    mixed = (number * 0x9E3779B9) & _WORD
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _WORD
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _WORD
    return mixed ^ mixed >> 16


def on_host(recorded: Recorded) -> dict[str, Tensor]:
    """All that was kept, on the host in single or double precision."""
    kind = torch.promote_types(recorded["strict"].dtype, torch.float32)
    return {name: kept.to("cpu", kind) for name, kept in recorded.items()}


def _tail_points(components: int) -> int:
    """About 1000, fewer for long vector constraints: what a run keeps stays bounded."""
    return max(50, TAIL_POINTS * 4 // max(4, components))
