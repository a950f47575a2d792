"""The generators of a training are taken and set back as they stood, whatever was drawn from them between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cpd.engine.generators import RandomState, kept_random

CPU = torch.device("cpu")


def _another() -> None:
    np.random.set_bit_generator(np.random.PCG64(1))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "draw",
    [
        np.random.rand,
        np.random.randn,
        lambda: np.random.randint(0, 255, dtype=np.uint8),
        lambda: np.random.permutation(7).tolist(),
        lambda: [np.random.seed(3), np.random.randn(), np.random.rand()],
    ],
)
@pytest.mark.parametrize("before", [lambda: None, np.random.randn, lambda: np.random.seed(3), _another])
def test_numpys_generator_is_seen_to_move_and_set_back(draw: Callable[[], Any], before: Callable[[], Any]) -> None:
    own, words = np.random.get_bit_generator(), np.random.get_state()  # type: ignore[attr-defined]
    try:
        before()
        with kept_random(CPU):
            state = RandomState.now(CPU)
            assert state.drawn_since() == ()
            first = [draw(), draw()]
            assert state.drawn_since() == ("numpy.random",)
            middle = RandomState.now(CPU)
            third = draw()
            middle.restore()
            assert draw() == third
            state.restore()
            assert state.same(RandomState.now(CPU))
            assert [draw(), draw()] == first
    finally:
        np.random.set_bit_generator(own)  # type: ignore[attr-defined]
        np.random.set_state(words)
