"""Models whose ``state_dict`` says less, or more, than their tensors."""

from typing import Any

import torch
from torch import nn

import cpd


class Aging(nn.Module):
    """Counts its calls in Python, and says so in its ``state_dict``."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what was given, and count."""
        self.calls += 1
        return x

    def get_extra_state(self) -> dict[str, int]:
        """Return what is no tensor."""
        return {"calls": self.calls}

    def set_extra_state(self, state: Any) -> None:
        """Take it back."""
        self.calls = state["calls"]


class Weight(nn.Module):
    """One number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.kind = Aging()

    def forward(self) -> torch.Tensor:
        """Return it."""
        out: torch.Tensor = self.kind(self.weight)
        return out


class Aged(cpd.Problem):
    """A model that counts."""

    def model(self) -> nn.Module:
        """Return it."""
        return Weight()

    def evaluate(self, model: nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate at x."""
        x = model()
        return cpd.Evaluation((x - 2) ** 2, {"size": x})


class Shut(nn.Module):
    """One number that nobody is to have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self) -> torch.Tensor:
        """Return it."""
        return self.weight

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse."""
        raise RuntimeError("not this one")


class Refusing(Aged):
    """A model that does not say what it is."""

    def model(self) -> nn.Module:
        """Return it."""
        return Shut()
