"""Hard-concrete gates: random switches on weights whose expected number is differentiable.

A gate is a concrete (relaxed Bernoulli) variable s in (0, 1), stretched to (LOW, HIGH) and clipped to [0, 1], so that
it is exactly 0 or 1 with positive probability. Its location ``log_alpha`` is trained.

Source: Louizos, Welling and Kingma, "Learning Sparse Neural Networks through L0 Regularization" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

LOW, HIGH = -0.1, 1.1
"""The stretch (gamma, zeta)."""

TEMPERATURE = 2 / 3
"""The temperature beta, in (0, 1)."""

UNIFORM_MARGIN = 1e-6
"""How far the uniform noise stays from 0 and 1, where its logit is infinite."""


def quantile_gates(u: float | Tensor, log_alpha: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the u-quantile of each gate; uniform ``u`` gives samples.

    ``s = sigmoid((log u - log(1 - u) + log_alpha) / beta)``, ``z = min(1, max(0, s (zeta - gamma) + gamma))``

    Args:
        u: In (0, 1), broadcasts against ``log_alpha``.
        log_alpha: Locations of the gates.
        temperature: beta.

    Returns:
        Gates in [0, 1], shaped like ``log_alpha``.

    Source: Louizos et al. (2018), equations 10 and 11.
    """
    noise = torch.logit(u) if isinstance(u, Tensor) else math.log(u / (1 - u))
    concrete = torch.sigmoid((noise + log_alpha) / temperature)
    return (concrete * (HIGH - LOW) + LOW).clamp(0, 1)


def sampled_gates(log_alpha: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Draw each gate from torch's generator: what training uses."""
    u = torch.rand(log_alpha.shape, dtype=log_alpha.dtype, device=log_alpha.device)
    return quantile_gates(UNIFORM_MARGIN + (1 - 2 * UNIFORM_MARGIN) * u, log_alpha, temperature)


def median_gates(log_alpha: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the median of each gate: what a finished model uses."""
    return quantile_gates(0.5, log_alpha, temperature)


def open_probability(log_alpha: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the probability that each gate is not 0.

    ``P(z > 0) = sigmoid(log_alpha - beta log(-gamma / zeta))``

    Source: Louizos et al. (2018), equation 12.
    """
    return torch.sigmoid(log_alpha - temperature * math.log(-LOW / HIGH))


class HardConcreteLinear(torch.nn.Linear):
    """A linear layer with one gate for each input unit: ``y = W (z * x) + b``.

    Gates are sampled in training mode and at their median in evaluation mode. The weights start as those of
    ``torch.nn.Linear``, divided by the keep probability so that the first outputs keep their size.

    Args:
        inputs: Input units, and gates.
        outputs: Output units.
        drop_rate: Initial d in (0, 1): ``log_alpha`` starts at N(log((1 - d) / d), 0.01^2).
        temperature: beta.
    """

    def __init__(self, inputs: int, outputs: int, drop_rate: float, temperature: float = TEMPERATURE) -> None:
        super().__init__(inputs, outputs)
        self.temperature = temperature
        self.log_alpha = torch.nn.Parameter(torch.empty(inputs))
        with torch.no_grad():
            self.log_alpha.normal_(math.log((1 - drop_rate) / drop_rate), 0.01)
            self.weight.div_(1 - drop_rate)

    def gates(self) -> Tensor:
        """Return the gates ``[inputs]`` of this mode: sampled, or at their median."""
        return (sampled_gates if self.training else median_gates)(self.log_alpha, self.temperature)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., inputs]`` to ``[..., outputs]``."""
        return torch.nn.functional.linear(x, self.weight * self.gates(), self.bias)


def density(model: torch.nn.Module, openness: Callable[[Tensor, float], Tensor]) -> Tensor:
    """Return the share of the weights in all hard-concrete layers that is in use; biases are left aside.

    Args:
        model: Holds one hard-concrete layer or more.
        openness: Maps a layer's ``(log_alpha, temperature)`` to how far each gate is open, in [0, 1], e.g.
            :func:`open_probability`.

    Returns:
        A scalar in [0, 1].
    """
    layers = [module for module in model.modules() if isinstance(module, HardConcreteLinear)]
    used = [openness(layer.log_alpha, layer.temperature).sum() * layer.out_features for layer in layers]
    return torch.stack(used).sum() / sum(layer.weight.numel() for layer in layers)
