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
            surrogate=self._mean(lambda at: at.surrogate, seen=True),
            strict=self._mean(lambda at: at.strict, seen=True),
            observed=self._observed(),
            metrics={name: self._mean(lambda at, name=name: at.metrics[name]) for name in names},  # type: ignore[misc]
            terms=self._terms(),
        )

    def _terms(self) -> dict[str, Tensor] | None:
        """The terms of all examples; of what is no share's, the last."""
        parts = [at.terms for _, at in self._parts if at.terms is not None]
        if len(parts) != len(self._parts):
            return None
        shares = (name for name in parts[0] if name.endswith((".counted", ".of")))
        return {**parts[-1], **{name: torch.cat([part[name].cpu() for part in parts], 1) for name in shares}}

    def _mean(self, value: Callable[[Stacked], Tensor], seen: bool = False) -> Tensor:
        """The mean over the parts, of constraints over those that show something of them."""
        weights = torch.tensor([examples for examples, _ in self._parts], dtype=torch.float64)
        values = torch.stack([value(at).detach().cpu().double() for _, at in self._parts])
        like = value(self._parts[0][1])
        if seen and (shown := self._shown()) is not None:
            own = weights.view(-1, *[1] * (values.dim() - 1)) * shown
            return ((own * values).sum(0) / own.sum(0).clamp_min(1)).to(like)
        mean: Tensor = torch.tensordot(weights / weights.sum(), values, dims=1)
        return mean.to(like)

    def _shown(self) -> Tensor | None:
        """Which values each part shows, ``[parts, R, C]``; None where all always do."""
        found = [at.observed for _, at in self._parts]
        if all(observed is None for observed in found):
            return None
        both = zip(found, self._parts, strict=True)
        return torch.stack(
            [torch.ones_like(at.strict, dtype=torch.bool) if o is None else o for o, (_, at) in both]
        ).cpu()

    def _observed(self) -> Tensor | None:
        """Which values some part shows."""
        shown = self._shown()
        return None if shown is None else shown.any(0).to(self._parts[0][1].strict.device)
