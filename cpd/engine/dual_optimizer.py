"""An optimizer of ``torch.optim`` that moves multipliers: ascent with ``dual_lr``, each component by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cpd.engine.optimizers import RULES, Kept, Moment, full_options, scalar_dtype
from cpd.engine.options import Options, told_apart
from cpd.spec.models import Optimizer

STEPS = "steps"
"""What is kept beside what the rule keeps: how often each component has moved."""


class DualOptimizer:
    """One optimizer for the multipliers ``[rows, C]`` of runs that differ in the numbers of its options alone.

    Multipliers are few: each component is a row of the models' rules, in double precision, so that step-sizes, options
    and the number of moves may be each one's own.

    Args:
        given: ``{name: SGD, momentum: 0.7}`` of each run.
        components: C.
        device: Where the multipliers are.
        place: What gave it, for errors.

    Raises:
        SpecError: The optimizer refuses its options.
    """

    def __init__(self, given: Sequence[Mapping[str, Any]], components: int, device: torch.device, place: str) -> None:
        self.name: str = given[0]["name"]
        self.rule = RULES[self.name]
        own = [{name: value for name, value in one.items() if name != "name"} for one in given]
        apart = [told_apart(full_options(Optimizer(name=self.name, options=one), place)) for one in own]
        self.words, first = apart[0]
        self.dtype = scalar_dtype(device)
        self.numbers = {
            name: torch.tensor([numbers[name] for _, numbers in apart], dtype=self.dtype, device=device)
            .repeat_interleave(components)
            .contiguous()
            for name in first
            if name != "lr"
        }
        self.zero = frozenset(name for name in self.numbers if not first[name])  # for all: they are in one group

    @property
    def tensors(self) -> list[Tensor]:
        """The numbers that a step reads."""
        return list(self.numbers.values())

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides which operations a step consists of."""
        return (self.name, sorted(self.words.items(), key=str), sorted(self.numbers), sorted(self.zero))

    def init(self, like: Tensor, dual_lr: Tensor) -> Kept:
        """What it keeps before the first step, ``[rows, C]`` each."""
        flat = torch.zeros_like(like, dtype=self.dtype).reshape(-1)
        kept = self.rule.init(flat, self._options(like, dual_lr))
        return {STEPS: torch.zeros_like(like, dtype=self.dtype), **_shaped(kept, like)}

    def step(self, multiplier: Tensor, g: Tensor, kept: Kept, dual_lr: Tensor) -> tuple[Tensor, Kept]:
        """The multipliers ``[rows, C]`` after a step of ascent along the violation ``g``, and what it keeps."""
        steps = kept[STEPS] + 1
        flat = {name: value.reshape(-1) for name, value in kept.items() if name != STEPS}
        p, slope = (value.to(self.dtype).reshape(-1) for value in (multiplier, g))
        at = Moment(p, -slope, steps.reshape(-1), self._options(g, dual_lr))
        moved, new = self.rule.update(at, flat)
        return moved.reshape(g.shape).to(multiplier.dtype), {STEPS: steps, **_shaped(new, g)}

    def _options(self, like: Tensor, dual_lr: Tensor) -> Options:
        lr = dual_lr.to(self.dtype).expand_as(like).reshape(-1)
        there = self.numbers.keys() - self.zero
        return Options(self.words, {**self.numbers, "lr": lr}, there, there)


def _shaped(kept: Kept, like: Tensor) -> Kept:
    return {name: value.reshape(like.shape) for name, value in kept.items()}
