"""The shortest solution of linear equations: optimum and multipliers in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch

import cpd

ROWS = ((1.0, 2.0, 0.0, -1.0), (0.0, 1.0, 1.0, 1.0))


class MinNorm(cpd.Problem):
    r"""``min |x|^2 / 2  subject to  A x = b``, an equality constraint for each row of A.

    The solution is :math:`x = A^\top (A A^\top)^{-1} b` with the multipliers :math:`\mu = -(A A^\top)^{-1} b`, so
    penalised training ends there with the coefficients c = mu, which are below 0 where a value is to rise.

    Constraints: ``row1``, ``row2`` ..., the entries of A x; b is their levels.

    Args:
        rows: A.

    Source: Boyd and Vandenberghe, Convex Optimization (2004), Section 5.1.5.
    """

    def __init__(self, rows: Sequence[Sequence[float]] = ROWS) -> None:
        if len({len(row) for row in rows}) != 1 or not rows[0]:
            place, hint = "arguments.rows", "give lists of one length, e.g. [[1, 2, 0], [0, 1, 1]]"
            raise cpd.CpdError(f"{rows!r} is no matrix", place=place, hint=hint)
        self.rows = [[float(entry) for entry in row] for row in rows]

    def model(self) -> torch.nn.Linear:
        """Return x = 0 as the weights of a linear layer: every seed starts there."""
        model = torch.nn.Linear(len(self.rows[0]), 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate half the squared norm and the left-hand sides; there is no data."""
        values = model(torch.tensor(self.rows)).squeeze(-1)
        x = next(iter(model.parameters()))
        return cpd.Evaluation(
            objective=x.square().sum() / 2,
            constraints={f"row{k}": value for k, value in enumerate(values.unbind(), start=1)},
        )
