"""Blocks of which the fuzzer's models are made: each takes ``[B, 8]`` and gives ``[B, 8]``.

Between them they have what models in the wild have: buffers that change in place or by assignment, noise of every
origin, weights that are computed, shared, frozen, unused, cached, renormed in place or made late, state in Python.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from fuzz_buffers import Averaging, Codebook, Counting
from fuzz_noise import NOISE, WIDTH, Noisy
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize


class Shaped(nn.Module):
    """A module that takes another shape than ``[B, 8]``, and gives as many numbers."""

    def __init__(self, inner: nn.Module, *shape: int) -> None:
        super().__init__()
        self.inner = inner
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.view(len(x), *self.shape)).reshape(len(x), -1)  # type: ignore[no-any-return]


class Settled(nn.BatchNorm1d):
    """Stays in evaluation mode, as one that was trained before does."""

    def __init__(self) -> None:
        super().__init__(WIDTH)

    def train(self, mode: bool = True) -> Settled:
        return super().train(False)


class Recurrent(nn.Module):
    """The last hidden state of a recurrent network over 4 steps of 2 numbers."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.inner = kind(2, WIDTH, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.view(len(x), 4, 2))[0][:, -1]  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Attention of 4 places of 2 numbers to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(2, 1, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        places = x.view(len(x), 4, 2)
        return x + self.inner(places, places, places, need_weights=False)[0].reshape(len(x), -1)  # type: ignore[no-any-return]


class Tokens(nn.Module):
    """The numbers, rounded, looked up in a table."""

    def __init__(self, max_norm: float | None = None) -> None:
        super().__init__()
        self.inner = nn.Embedding(6, 2, max_norm=max_norm)

    def forward(self, x: Tensor) -> Tensor:
        tokens = (x.detach() * 2 + 3).round().long().clamp(0, 5)
        return x + self.inner(tokens).sum(-1)  # type: ignore[no-any-return]


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.there, self.back = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.back.weight = self.there.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.back(torch.tanh(self.there(x)))  # type: ignore[no-any-return]


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).transpose(-1, -2)


class Unused(nn.Module):
    """Parameters that no evaluation uses."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)  # type: ignore[no-any-return]


class Fourier(nn.Module):
    """Filters the spectrum: complex numbers on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.phase = nn.Parameter(torch.ones(5)), nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * torch.polar(self.gain.abs() + 0.1, self.phase), n=WIDTH)  # type: ignore[no-any-return]


class Cached(nn.Module):
    """Keeps a list of its own parameters, and decays them in the loss: see ``penalty``."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.cached = list(self.parameters())

    def penalty(self) -> Tensor:
        return torch.stack([p.square().sum() for p in self.cached]).sum()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


class Hooked(nn.Module):
    """A forward hook keeps the activations, of which the loss takes the size: see ``penalty``."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.kept: list[Tensor] = []
        self.inner.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: Any, output: Tensor) -> None:
        self.kept[:] = [output]

    def penalty(self) -> Tensor:
        return self.kept[0].square().mean()

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.inner(x))


class Scheduled(nn.Module):
    """A temperature that falls with the calls, counted in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return torch.tanh(self.inner(x) / max(0.3, 1 - self.calls / 60))


class Remembering(nn.Module):
    """Adds what it gave the last time: a tensor that is an attribute, and no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        given = self.inner(x)
        before, self.last = self.last, given.detach().mean(0)
        return given if before is None else given + 0.5 * before  # type: ignore[no-any-return]


class Clipped(nn.Module):
    """Clamps its own weight, in place, before it uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.inner.weight.clamp_(-0.25, 0.25)
        return self.inner(x)  # type: ignore[no-any-return]


class Wide(nn.Module):
    """As many hidden units as the seed says."""

    def __init__(self) -> None:
        super().__init__()
        hidden = 3 + int(torch.randint(0, 4, ()))
        self.inner = nn.Sequential(nn.Linear(WIDTH, hidden), nn.Tanh(), nn.Linear(hidden, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


class Scaled(nn.Module):
    """A number of Python's that the seed draws, by one of the generators."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        draws: dict[str, Callable[[], float]] = {
            "torch": lambda: float(torch.rand(())),
            "python": random.random,
            "numpy": np.random.rand,
        }
        self.scale = 0.5 + draws[way]()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.scale  # type: ignore[no-any-return]


class Checkpointed(nn.Module):
    """Forgets its activations and computes them again."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.inner = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Dropout(0.2), nn.Linear(WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        from torch.utils.checkpoint import checkpoint

        return checkpoint(self.inner, x, use_reentrant=self.reentrant)  # type: ignore[no-any-return]


class _Doubled(torch.autograd.Function):
    """A gradient of one's own: twice the true one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


class OwnGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return _Doubled.apply(self.inner(x))  # type: ignore[no-any-return,no-untyped-call]


class Sometimes(nn.Module):
    """A layer that only some minibatches use: its parameters have no gradient in the others."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.other = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) if x.detach().mean() > 0 else self.other(x)  # type: ignore[no-any-return]


def _lazy(ready: bool) -> nn.Module:
    model = nn.Sequential(nn.LazyLinear(WIDTH), nn.Tanh())
    if ready:
        model(torch.zeros(1, WIDTH))
    return model


def _frozen() -> nn.Module:
    frozen = nn.Linear(WIDTH, WIDTH)
    frozen.weight.requires_grad_(False)
    return frozen


def _symmetric() -> nn.Module:
    linear = nn.Linear(WIDTH, WIDTH)
    parametrize.register_parametrization(linear, "weight", Symmetric())
    return linear


def _linear() -> nn.Linear:
    return nn.Linear(WIDTH, WIDTH)


def _conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d((2, 1)), nn.Conv2d(4, 2, 1)
    )


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "linear": _linear,
    "batchnorm": lambda: nn.BatchNorm1d(WIDTH),
    "batchnorm cumulative": lambda: nn.BatchNorm1d(WIDTH, momentum=None),
    "batchnorm plain": lambda: nn.BatchNorm1d(WIDTH, affine=False, momentum=0.3),
    "batchnorm untracked": lambda: nn.BatchNorm1d(WIDTH, track_running_stats=False),
    "batchnorm 2d": lambda: Shaped(nn.BatchNorm2d(2), 2, 2, 2),
    "batchnorm 2d cumulative": lambda: Shaped(nn.BatchNorm2d(2, momentum=None, affine=False), 2, 2, 2),
    "batchnorm settled": Settled,
    "layernorm": lambda: nn.LayerNorm(WIDTH),
    "groupnorm": lambda: nn.GroupNorm(2, WIDTH),
    "instancenorm": lambda: Shaped(nn.InstanceNorm1d(2, affine=True), 2, 4),
    "instancenorm tracked": lambda: Shaped(nn.InstanceNorm1d(2, track_running_stats=True), 2, 4),
    "conv 1d": lambda: Shaped(nn.Conv1d(2, 2, 3, padding=1), 2, 4),
    "conv 2d": lambda: Shaped(_conv(), 1, 4, 2),
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "attention": Attention,
    "transformer": lambda: Shaped(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True), 2, 4),
    "transformer encoder": lambda: Shaped(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 8, dropout=0.0, batch_first=True), 2), 2, 4
    ),
    "tokens": Tokens,
    "tokens max_norm": lambda: Tokens(max_norm=1.0),
    "spectral norm": lambda: parametrizations.spectral_norm(_linear()),
    "spectral norm old": lambda: nn.utils.spectral_norm(_linear()),
    "weight norm": lambda: parametrizations.weight_norm(_linear()),
    "orthogonal": lambda: parametrizations.orthogonal(_linear()),
    "symmetric": _symmetric,
    "tied": Tied,
    "frozen": _frozen,
    "unused": Unused,
    "lazy": lambda: _lazy(ready=True),
    "lazy unready": lambda: _lazy(ready=False),
    "fourier": Fourier,
    "prelu": lambda: nn.PReLU(WIDTH),
    "rrelu": nn.RReLU,
    "dropout": lambda: nn.Dropout(0.3),
    "dropout alpha": lambda: nn.AlphaDropout(0.2),
    "dropout feature": lambda: Shaped(nn.Dropout1d(0.3), 4, 2),
    "counting": Counting,
    "averaging in place": lambda: Averaging(assign=False),
    "averaging assigned": lambda: Averaging(assign=True),
    "averaging unsaved": lambda: Averaging(assign=True, persistent=False),
    "codebook": Codebook,
    "cached": Cached,
    "hooked": Hooked,
    "scheduled": Scheduled,
    "remembering": Remembering,
    "clipped": Clipped,
    "wide": Wide,
    "scaled torch": lambda: Scaled("torch"),
    "scaled python": lambda: Scaled("python"),
    "scaled numpy": lambda: Scaled("numpy"),
    "checkpointed": lambda: Checkpointed(False),
    "checkpointed reentrant": lambda: Checkpointed(True),
    "own gradient": OwnGradient,
    "sometimes": Sometimes,
    **{f"noise {way}": partial(Noisy, way) for way in NOISE},
}
"""By name: how a block is made."""
