"""How much a run's objective counts in a step, of methods that leave it out of some."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cpd.engine.method_groups import MethodGroups, States


def weigher(groups: MethodGroups, old: States, new: States) -> Callable[[Tensor], Tensor]:
    """From the objectives ``[R]`` to what the models minimise of them; the same where no method weighs them."""
    if all(part.method.weight is None for part in groups.parts):
        return lambda objective: objective

    def weighed(objective: Tensor) -> Tensor:
        rows = []
        for part, before, after in zip(groups.parts, old, new, strict=True):
            own = objective[part.rows]
            if part.method.weight is not None:
                state = part.of_method((after if part.alternating else before).tree)
                # Taken, not multiplied by: 0 times what overflows is no number.
                own = torch.where(part.method.weight(state) > 0, own, torch.zeros_like(own))
            rows.append(own)
        return torch.cat(rows)

    return weighed
