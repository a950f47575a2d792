"""The random numbers of a training: the generators of torch, NumPy and Python, seeded, taken and set back together."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

DATA_SEED = 0
"""What the generators are seeded with before a problem is built and gives its data: the same for every run."""


class RandomState(NamedTuple):
    """The state of the generators that user code draws from without naming one."""

    device: torch.device
    cpu: Tensor
    cuda: Tensor | None
    python: tuple[Any, ...]
    numpy: tuple[Any, ...]

    @classmethod
    def now(cls, device: torch.device) -> RandomState:
        """Take the state as it is."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        words: tuple[Any, ...] = np.random.get_state()  # type: ignore[assignment]
        return cls(device, torch.get_rng_state(), cuda, random.getstate(), words)

    def restore(self) -> None:
        """Set the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
        random.setstate(self.python)
        np.random.set_state(self.numpy)

    def drawn_since(self) -> tuple[str, ...]:
        """Which generators have moved on since: ``torch``, ``random``, ``numpy.random``."""
        return self._other_than(RandomState.now(self.device))

    def same(self, other: RandomState) -> bool:
        """Whether nothing was drawn between the two."""
        return not self._other_than(other)

    def _other_than(self, now: RandomState) -> tuple[str, ...]:
        cuda = self.cuda is None or (now.cuda is not None and torch.equal(self.cuda, now.cuda))
        moved = {
            "torch": not torch.equal(self.cpu, now.cpu) or not cuda,
            "random": self.python != now.python,
            "numpy.random": _plain(self.numpy) != _plain(now.numpy),
        }
        return tuple(name for name, has in moved.items() if has)


def _plain(numpy: tuple[Any, ...]) -> list[Any]:
    kind, words, *rest = numpy
    return [kind, words.tolist(), *rest]


def seed_all(seed: int) -> None:
    """Seed torch, NumPy and Python's ``random`` alike."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def kept_random(device: torch.device) -> Iterator[None]:
    """Leave the generators as they were found."""
    before = RandomState.now(device)
    try:
        yield
    finally:
        before.restore()
