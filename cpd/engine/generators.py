"""The random numbers of a training: the generators of torch, NumPy and Python, seeded, taken and set back together."""

from __future__ import annotations

import ctypes
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

DATA_SEED = 0
"""What the generators are seeded with before a problem is built and gives its data: the same for every run."""

HELD_OUT_SEED = 1
"""Likewise before it gives its held-out examples: drawn from the same state they would be those that are trained on."""


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
        return cls(device, torch.get_rng_state(), cuda, random.getstate(), _numpys.now())

    def restore(self) -> None:
        """Set the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
        random.setstate(self.python)
        _numpys.restore(self.numpy)

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


class _NumPys:
    """NumPy's own generator, of which a look at its memory tells where it stands: to ask it takes ten times as long."""

    def __init__(self) -> None:
        self._memory = b""
        self._words: Any = ()

    def now(self) -> Any:
        """Its state."""
        if not self._words or self._seen() != self._memory:
            own = type(np.random.get_bit_generator()) is np.random.MT19937  # type: ignore[attr-defined]
            self._remember(np.random.get_state(legacy=own))  # type: ignore[call-overload]
        return self._words

    def restore(self, words: Any) -> None:
        """Set it back."""
        if self._words is words and self._seen() == self._memory:
            return
        np.random.set_state(words)
        self._remember(words)

    def _remember(self, words: Any) -> None:
        # A number that is kept for the next draw stands elsewhere; what else sets the generator keeps none.
        own = isinstance(words, tuple) and words[0] == "MT19937" and not words[3]
        known = own and self._seen() == words[1].tobytes() + words[2].to_bytes(4, sys.byteorder)
        self._memory, self._words = (self._seen(), words) if known else (b"", words)

    @staticmethod
    def _seen() -> bytes:
        """The memory of the generator that stands; of another kind than NumPy's own, nothing that equals it."""
        generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
        kind = type(generator) is np.random.MT19937
        return ctypes.string_at(generator.ctypes.state_address, 625 * 4) if kind else b"another"


_numpys = _NumPys()


def _plain(numpy: Any) -> list[Any]:
    if isinstance(numpy, dict):  # of a generator that a user put in the place of NumPy's own
        return [str(numpy)]
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
