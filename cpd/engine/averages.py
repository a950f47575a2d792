"""One evaluation of all examples from those of its parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cpd.engine.stacked import Stacked


class Average:
    """The mean of evaluations over examples: of objective, constraints and metrics.

    What an evaluation holds as a mean over its own examples comes out exactly; a quotient of two such means, or a
    largest value, does not. Here is the place for values that keep counts: of them, sums add up.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[int, Stacked]] = []

    def add(self, examples: int, at: Stacked) -> None:
        """Add one part: how many examples it has, and its evaluation."""
        self._parts.append((examples, at))

    def value(self) -> Stacked:
        """The mean; of one part that part itself, to the last bit."""
        if len(self._parts) == 1:
            return self._parts[0][1]
        _, last = self._parts[-1]
        names = last.metrics
        return last._replace(
            objective=self._mean(lambda at: at.objective),
            surrogate=self._mean(lambda at: at.surrogate),
            strict=self._mean(lambda at: at.strict),
            metrics={name: self._mean(lambda at, name=name: at.metrics[name]) for name in names},  # type: ignore[misc]
        )

    def _mean(self, value: Callable[[Stacked], Tensor]) -> Tensor:
        weights = torch.tensor([examples for examples, _ in self._parts], dtype=torch.float64)
        values = torch.stack([value(at).detach().cpu().double() for _, at in self._parts])
        like = value(self._parts[0][1])
        mean: Tensor = torch.tensordot(weights / weights.sum(), values, dims=1)
        return mean.to(like)
