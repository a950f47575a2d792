"""Two constraints that cannot both hold: what every method does with a mistake in the requirements."""

from __future__ import annotations

import torch

import cpd


class Contradictory(cpd.Problem):
    r"""``min (x - 1/2)^2 + (y - 1)^2  subject to  x >= level, x <= level``, at levels that leave nothing between them.

    With the levels 1 and -1 no x is feasible. Methods with multipliers come to rest at x = 0, where both are violated
    by 1, while both multipliers grow for ever at one pace; their difference is the slope of f there,
    :math:`\lambda_{low} - \lambda_{high} = -1`. y has its optimum, 1.

    Constraints: ``low`` and ``high``, both x. Metrics: ``y``.
    """

    def model(self) -> torch.nn.Linear:
        """Return (0, 0) as the weights of a linear layer: every seed starts there."""
        model = torch.nn.Linear(2, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate at the point; there is no data."""
        x, y = next(iter(model.parameters()))[0].unbind()
        return cpd.Evaluation(
            objective=(x - 0.5).square() + (y - 1).square(),
            constraints={"low": x, "high": x},
            metrics={"y": y},
        )
