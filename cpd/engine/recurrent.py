"""LSTM, GRU and RNN layers as loops over their cells: ``vmap`` takes them, and has no rule for torch's own layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Hidden = tuple[Tensor, ...]
"""``h``, and of an LSTM ``c``: ``[B, H]`` each."""
Cell = Callable[[Tensor, Hidden, Sequence[Tensor]], Hidden]
"""``(input's part of the gates, hidden, (w_hh, b_hh, w_hr)) -> hidden``; biases and projection where there are any."""


def lstm_cell(x: Tensor, hidden: Hidden, weights: Sequence[Tensor]) -> Hidden:
    r"""``c' = s(f) c + s(i) tanh(g)``, ``h' = s(o) tanh(c')``, projected where the layer has a ``proj_size``."""
    h, c = hidden
    rest = weights[1:]
    bias = rest[0] if rest and rest[0].dim() == 1 else None
    i, f, g, o = (x + functional.linear(h, weights[0], bias)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (functional.linear(h, rest[-1]) if rest and rest[-1].dim() == 2 else h), c


def gru_cell(x: Tensor, hidden: Hidden, weights: Sequence[Tensor]) -> Hidden:
    r"""``n = tanh(x_n + s(r) h_n)``, ``h' = n + s(z) (h - n)``."""
    (h,) = hidden
    of_x, of_h = x.chunk(3, -1), functional.linear(h, *weights).chunk(3, -1)
    r, z = (torch.sigmoid(a + b) for a, b in zip(of_x[:2], of_h[:2], strict=True))
    n = torch.tanh(of_x[2] + r * of_h[2])
    return (n + z * (h - n),)


def _plain_cell(activation: Callable[[Tensor], Tensor]) -> Cell:
    return lambda x, hidden, weights: (activation(x + functional.linear(hidden[0], *weights)),)


CELLS: dict[str, Cell] = {
    "lstm": lstm_cell,
    "gru": gru_cell,
    "rnn_tanh": _plain_cell(torch.tanh),
    "rnn_relu": _plain_cell(torch.relu),
}
"""By the name of torch's own function for the whole layer."""


class _Layers(NamedTuple):
    """What torch's function is given beside input and state."""

    weights: Sequence[Tensor]
    biases: bool
    number: int
    dropout: float
    training: bool
    both_ways: bool
    batch_first: bool = False


def recurrent(name: str, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """What torch's function of this name gives: outputs, and the last state of each layer and direction.

    Args:
        name: One of :data:`CELLS`.
        args: Its arguments: ``(input, state, weights, ...)`` with the input ``[T, B, F]``, or
            ``(data, batch_sizes, state, weights, ...)`` of a packed sequence, the data ``[sum(batch_sizes), F]``.
    """
    packed = not isinstance(args[3], bool)
    sizes = args[1].tolist() if packed else None
    x, state = args[0], args[2 if packed else 1]
    layers = _Layers(*args[3 if packed else 2 :])
    hidden = tuple(state) if isinstance(state, tuple | list) else (state,)
    if layers.batch_first:
        x = x.transpose(0, 1)
    steps = x.split(sizes) if sizes is not None else x.unbind(0)
    ways = 2 if layers.both_ways else 1
    each = len(layers.weights) // (layers.number * ways)
    last: list[Hidden] = []
    for layer in range(layers.number):
        outputs = []
        for way in range(ways):
            k = layer * ways + way
            own = layers.weights[k * each : (k + 1) * each]
            made, end = _one_way(CELLS[name], steps, tuple(h[k] for h in hidden), own, layers.biases, way == 1)
            outputs.append(made)
            last.append(end)
        joined = [torch.cat(at, -1) if ways == 2 else at[0] for at in zip(*outputs, strict=True)]
        if layers.dropout and layers.training and layer < layers.number - 1:
            whole = functional.dropout(torch.cat(joined) if sizes else torch.stack(joined), layers.dropout)
            joined = list(whole.split(sizes) if sizes is not None else whole.unbind(0))
        steps = tuple(joined)
    out = torch.cat(list(steps)) if sizes is not None else torch.stack(list(steps))
    return (
        out.transpose(0, 1) if layers.batch_first else out,
        *(torch.stack(ends) for ends in zip(*last, strict=True)),
    )


def one_step(name: str, args: tuple[Any, ...]) -> Tensor | Hidden:
    """What torch's function of a single cell gives, ``(input, state, w_ih, w_hh, b_ih, b_hh) -> state``."""
    x, state, into, *others = args
    own, bias, *rest = others if len(others) == 3 else (others[0], None)
    hidden = state if isinstance(state, tuple) else (state,)
    new = CELLS[name](functional.linear(x, into, bias), hidden, [w for w in (own, *rest) if w is not None])
    return new if isinstance(state, tuple) else new[0]


def _one_way(
    cell: Cell, steps: Sequence[Tensor], hidden: Hidden, weights: Sequence[Tensor], biases: bool, backwards: bool
) -> tuple[list[Tensor], Hidden]:
    """Outputs of all steps in their order, and the state after the last one; shorter sequences end sooner."""
    into, others = weights[0], [weights[1], *weights[4 if biases else 2 :]]
    bias = weights[2] if biases else None
    if biases:
        others.insert(1, weights[3])
    outputs = []
    for x in reversed(steps) if backwards else steps:
        n = len(x)
        new = cell(functional.linear(x, into, bias), tuple(h[:n] for h in hidden), others)
        outputs.append(new[0])
        hidden = tuple(torch.cat([a, b[n:]]) if n < len(b) else a for a, b in zip(new, hidden, strict=True))
    return (outputs[::-1] if backwards else outputs), hidden
