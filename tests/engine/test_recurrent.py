"""Recurrent layers as loops over their cells are torch's own, whatever their options."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cpd.engine import recurrent
from cpd.engine.rewriting import Rewriting

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2, "num_layers": 2}),
    ("LSTM", {"dropout": 0.3, "num_layers": 2}),
    ("GRU", {}),
    ("GRU", {"dropout": 0.3, "num_layers": 2}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
]


def flat(given: Any) -> list[Tensor]:
    out, last = given
    first = out.data if isinstance(out, nn.utils.rnn.PackedSequence) else out
    return [first, *(last if isinstance(last, tuple) else (last,))]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is written otherwise."""
    names: list[str] = []
    for each in ("recurrent", "one_step"):
        own = getattr(recurrent, each)

        def watched(name: str, args: Any, own: Any = own) -> Any:
            names.append(name)
            return own(name, args)

        monkeypatch.setattr(f"cpd.engine.rewriting.{each}", watched)
    return names


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_layers_are_loops_over_their_cells(kind: str, options: dict[str, Any], called: list[str]) -> None:
    for both, first, bias in itertools.product([False, True], repeat=3):
        torch.manual_seed(0)
        own = {"bidirectional": both, "batch_first": first, "bias": bias, **options}
        layer = getattr(nn, kind)(3, 4, **own).double()
        x = torch.randn(5, 6, 3, dtype=torch.double)
        lengths = torch.tensor([5, 2, 5, 1, 3] if first else [5, 2, 5, 1, 3, 4])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False)
        for given in (x, x[0], packed):
            torch.manual_seed(1)
            expected = layer(given)
            torch.manual_seed(1)
            with Rewriting(torch.zeros(())):
                found = layer(given)
            torch.testing.assert_close(flat(found), flat(expected), rtol=1e-13, atol=1e-14)
    assert len(called) == 24


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_are_products(kind: str, bias: bool, called: list[str]) -> None:
    torch.manual_seed(0)
    cell = getattr(nn, kind)(3, 4, bias=bias).double()
    x, h = torch.randn(5, 3, dtype=torch.double), torch.randn(5, 4, dtype=torch.double)
    state = (h, h + 1) if kind == "LSTMCell" else h
    expected = cell(x, state)
    with Rewriting(torch.zeros(())):
        found = cell(x, state)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)
    assert len(called) == 1
