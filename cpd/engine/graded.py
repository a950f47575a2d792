"""Evaluations in evaluation mode whose gradients are taken: shares with the two sums that they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.calling import progress_of
from cpd.engine.seen import valued
from cpd.engine.stacked import Models, Stack, Stacked
from cpd.problem import Evaluation, Observed, Share

NUMERATOR, DENOMINATOR, STRICT = "numerator", "denominator", "strict"
"""What an evaluation has in place of metrics, ``[R, C]`` each: the sums of shares, and strict values with gradients."""


class Graded(Stack):
    """The same problem and architecture, evaluated as finished models are judged, with gradients.

    Attributes:
        counted: Which components are shares, known after an evaluation, ``[C]``.
        separate: Which have a strict value of their own, likewise.
    """

    counted: list[bool]
    separate: list[bool]

    @classmethod
    def of(cls, stack: Stack, fused: bool) -> Graded:
        """Those of a stack, mapped or for one run."""
        graded = cls(stack.problem, stack.model, stack.names, fused, stack.target)
        graded.sizes, graded.moves, graded.rewrites = stack.sizes, stack.moves, stack.rewrites
        graded._bound = stack._bound
        graded.counted, graded.separate = [], []
        return graded

    def graded(self, models: Models, batch: Any) -> Stacked:
        """Evaluate every run on ``batch`` in evaluation mode, at the end of training."""
        self.model.eval()
        done = progress_of("measure", next(iter(models.parameters.values())))
        return self._apply("evaluate", models, batch, done)

    def _flatten(self, result: Evaluation, method: str) -> tuple[Tensor, Tensor, Tensor, Tensors, Tensors]:
        objective, surrogate, strict, _, seen = super()._flatten(result, method)
        own = result.strict or {}
        values = [result.constraints[n] for n in self.names]
        widths = list(self.sizes.values())
        self.separate = _wide([n in own for n in self.names], widths)
        self.counted = _wide([isinstance(v, Share | Observed) for v in values], widths)
        parts = [_sums(v) for v in values]
        true = [valued(own[n]).value if n in own else s.detach() for n, (s, _) in zip(self.names, parts, strict=True)]
        sums = {
            NUMERATOR: _row([n for n, _ in parts], objective),
            DENOMINATOR: _row([d for _, d in parts], objective),
            STRICT: _row(true, objective),
        }
        return objective, surrogate, strict, sums, seen


def _sums(value: Any) -> tuple[Tensor, Tensor]:
    """Numerator and denominator of a value: of one that is no share itself and 1."""
    if isinstance(value, Share):
        return value.numerator, value.denominator.expand_as(value.numerator)
    if isinstance(value, Observed):
        mean, _ = value.spread
        place = value.index.clamp(0, value.size - 1)
        count = mean.new_zeros(value.size).index_add(0, place, torch.ones_like(value.values))
        return mean * count, count
    number = valued(value).value
    return number, torch.ones_like(number)


def _wide(flags: Iterable[bool], widths: Iterable[int]) -> list[bool]:
    return [flag for flag, width in zip(flags, widths, strict=True) for _ in range(width)]


def _row(values: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat([like.new_zeros(0), *(v.reshape(-1).to(like.dtype) for v in values)])
