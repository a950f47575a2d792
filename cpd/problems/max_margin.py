"""The support vector machine: a constraint for each example, whose multipliers are the dual's."""

from __future__ import annotations

import torch

import cpd

DATA_SEED = 0
CENTRES = {False: 1.5, True: 0.7}
"""Half the distance of the clouds' centres in each coordinate, apart and overlapping."""


class MaxMargin(cpd.Problem):
    r"""``min |w|^2 / 2 + C sum slack  subject to  y_i (w x_i + b) + slack_i >= 1, slack_i >= 0``.

    With a hard margin there is no slack, and the two clouds are apart; with a soft one they overlap, and slack is kept
    at 0 or above by the projection. The multiplier of an example is its dual variable: 0 but for support vectors, and
    at most C.

    Constraints: ``margin``, ``[n]``. Metrics: ``width`` of the street between the classes, 2 / |w|.

    Args:
        points_per_class: Points in each of two clouds.
        slack_cost: C; None for a hard margin.

    Source: Cortes and Vapnik, "Support-Vector Networks" (1995).
    """

    def __init__(self, points_per_class: int = 10, slack_cost: float | None = None) -> None:
        if type(points_per_class) is not int or points_per_class < 1:
            place, hint = "arguments.points_per_class", "give a whole number from 1 on"
            raise cpd.CpdError(f"{points_per_class!r} is no number of points", place=place, hint=hint)
        if slack_cost is not None and not slack_cost > 0:
            hint = "give a number above 0, or null for a hard margin"
            raise cpd.CpdError(f"{slack_cost!r} costs nothing", place="arguments.slack_cost", hint=hint)
        self.points_per_class = points_per_class
        self.slack_cost = slack_cost

    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the points ``[n, 2]`` and their sides ``[n]``, 1 or -1: always the same, whatever the run's seed."""
        generator = torch.Generator().manual_seed(DATA_SEED)
        noise = 0.5 * torch.randn(2 * self.points_per_class, 2, generator=generator)
        y = torch.tensor([1.0, -1.0]).repeat_interleave(self.points_per_class)
        return noise + y[:, None] * CENTRES[self.slack_cost is not None], y

    def model(self) -> torch.nn.ModuleDict:
        """Return w = 0, b = 0 and no slack: every seed starts there."""
        plane = torch.nn.Linear(2, 1)
        torch.nn.init.zeros_(plane.weight)
        torch.nn.init.zeros_(plane.bias)
        parts: dict[str, torch.nn.Module] = {"plane": plane}
        if self.slack_cost is not None:
            slack = torch.nn.Linear(2 * self.points_per_class, 1, bias=False)
            torch.nn.init.zeros_(slack.weight)
            parts["slack"] = slack
        return torch.nn.ModuleDict(parts)

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Evaluate the objective and the margin of every point ``[n, 2]`` on its side ``[n]``."""
        x, y = batch
        plane = model.get_submodule("plane")
        w = next(iter(plane.parameters()))
        margin, objective = y * plane(x).squeeze(-1), w.square().sum() / 2
        if self.slack_cost is not None:
            slack = next(iter(model.get_submodule("slack").parameters()))[0]
            margin, objective = margin + slack, objective + self.slack_cost * slack.sum()
        return cpd.Evaluation(objective, {"margin": margin}, metrics={"width": 2 / w.norm()})

    def project(self, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Keep slack at 0 or above."""
        return {name: p.clamp_min(0) if name.startswith("slack") else p for name, p in parameters.items()}
