"""The rate problem with a network of any width: what happens to settings when the model and its data grow."""

from __future__ import annotations

import torch

import cpd
from cpd.problems.rate import Rate


class WideRate(Rate):
    """:class:`cpd.problems.rate.Rate`, with a hidden layer of rectified units that starts at random.

    Constraints: ``class0_rate``, a fraction. Metrics: ``accuracy``, a fraction.

    Args:
        hidden: Units of the hidden layer.
        points_per_class: Points in each of the four clouds (two per label).
    """

    def __init__(self, hidden: int = 16, points_per_class: int = 100) -> None:
        super().__init__(points_per_class)
        if type(hidden) is not int or hidden < 1:
            raise cpd.CpdError(
                f"{hidden!r} is no width", place="arguments.hidden", hint="give a whole number from 1 on"
            )
        self.hidden = hidden

    def model(self) -> torch.nn.Module:  # type: ignore[override]
        """Return a network with one hidden layer."""
        return torch.nn.Sequential(torch.nn.Linear(2, self.hidden), torch.nn.ReLU(), torch.nn.Linear(self.hidden, 1))
