"""The distribution of largest entropy with given moments: Jaynes's die."""

from __future__ import annotations

import torch

import cpd


class Entropy(cpd.Problem):
    r"""``min sum p log p  subject to  E[x] = mean, E[x^2] <= square``, of a die with faces x = 1 ... n.

    The solution is :math:`p_x \propto \exp(-\mu x - \lambda x^2)` with the multipliers mu of the mean, free in sign,
    and lambda >= 0 of the square: those that maximise the dual :math:`-\log \sum_x \exp(-\mu x - \lambda x^2) - \mu m
    - \lambda s` at the levels m and s.

    Constraints: ``mean`` and ``square``, the first two moments. Metrics: ``entropy``, in nats.

    Args:
        faces: n; a die has 6.

    Source: Jaynes, "Information Theory and Statistical Mechanics" (1957); his die has a mean of 4.5.
    """

    def __init__(self, faces: int = 6) -> None:
        if type(faces) is not int or faces < 2:
            hint = "give a whole number from 2 on"
            raise cpd.CpdError(f"{faces!r} is no number of faces", place="arguments.faces", hint=hint)
        self.faces = faces

    def model(self) -> torch.nn.Linear:
        """Return logits of 0, a fair die, as the weights of a linear layer: every seed starts there."""
        model = torch.nn.Linear(self.faces, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate the negative entropy and the moments; there is no data."""
        log_p = torch.log_softmax(next(iter(model.parameters()))[0], dim=0)
        p, x = log_p.exp(), torch.arange(1, self.faces + 1, dtype=log_p.dtype)
        negative_entropy = (p * log_p).sum()
        return cpd.Evaluation(
            objective=negative_entropy,
            constraints={"mean": (p * x).sum(), "square": (p * x**2).sum()},
            metrics={"entropy": -negative_entropy},
        )
