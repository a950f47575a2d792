"""The random numbers of a training: torch's generators, taken and set back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RandomState(NamedTuple):
    """The state of torch's generators that a training on ``device`` draws from."""

    device: torch.device
    cpu: Tensor
    cuda: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> RandomState:
        """Take the state as it is."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(device, torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Set the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)

    def same(self, other: RandomState) -> bool:
        """Whether nothing was drawn between the two."""
        cuda = self.cuda is None or (other.cuda is not None and torch.equal(self.cuda, other.cuda))
        return torch.equal(self.cpu, other.cpu) and cuda
