"""Models whose buffers change: layers of torch's, and what people register themselves."""

from typing import Any

import torch
from model_problems import Classifier, drawn
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations

import cpd

WIDTH = 6


class Stateful(Classifier):
    """A classifier on examples of some shape.

    Args:
        name: Of one of :data:`MODELS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def data(self) -> tuple[Tensor, Tensor]:
        """Return examples."""
        x = drawn(44, *MODELS[self.name][0])
        return x, (x.flatten(1)[:, 0] > 0).long()

    def model(self) -> Any:
        """Return the model."""
        return MODELS[self.name][1]()


def headed(*layers: nn.Module, inputs: int = WIDTH) -> nn.Module:
    """Layers, and a linear one to two classes."""
    return nn.Sequential(*layers, nn.Flatten(), nn.Tanh(), nn.Linear(inputs, 2))


class Frozen(nn.Module):
    """A BatchNorm that stays in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, WIDTH), nn.BatchNorm1d(WIDTH))
        self.out = nn.Linear(WIDTH, 2)
        self.body[1].get_buffer("running_mean").normal_()

    def train(self, mode: bool = True) -> "Frozen":
        """Leave the BatchNorm as it is."""
        super().train(mode)
        self.body[1].eval()
        return self

    def forward(self, x: Tensor) -> Any:
        """Classify."""
        return self.out(self.body(x).tanh())


class Own(nn.Module):
    """A running mean and a counter, changed in one way or another; what is taken off grows with the counter."""

    mean: Tensor
    calls: Tensor

    def __init__(self, how: str, **options: Any) -> None:
        super().__init__()
        self.how = how
        self.body, self.out = nn.Linear(4, WIDTH), nn.Linear(WIDTH, 2)
        self.register_buffer("mean", torch.zeros(WIDTH), **options)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Any:
        """Classify, and move the buffers on."""
        h = self.body(x).tanh()
        if self.training:
            getattr(self, self.how)(h.detach().mean(0))
        return self.out(h - self.mean[:WIDTH] * torch.clamp(self.calls / 20, max=1))

    def in_place(self, new: Tensor) -> None:
        """Change both in place."""
        self.mean.mul_(0.9).add_(new, alpha=0.1)
        self.calls += 1

    def assigned(self, new: Tensor) -> None:
        """Assign both anew."""
        self.mean = 0.9 * self.mean + 0.1 * new
        self.calls = self.calls + 1

    def sliced(self, new: Tensor) -> None:
        """Write into a part."""
        self.mean[:] = 0.9 * self.mean + 0.1 * new
        self.calls.add_(1)

    def by_data(self, new: Tensor) -> None:
        """Change it by ``.data``."""
        self.mean.data.mul_(0.9).add_(new, alpha=0.1)
        self.calls.data = self.calls.data + 1

    def read(self, new: Tensor) -> None:
        """Read the counter: no program can be made of it."""
        self.mean[int(self.calls) % WIDTH] = new[0]
        self.calls.fill_(int(self.calls) + 1)

    def aliased(self, new: Tensor) -> None:
        """Keep what others own: the bias of a layer."""
        self.mean = self.out.bias.detach().repeat(3) * 0.1
        self.calls += 1

    def grown(self, new: Tensor) -> None:
        """Give it another shape."""
        self.mean = torch.cat([self.mean, new])

    def halved(self, new: Tensor) -> None:
        """Give it another type."""
        self.calls = self.calls + 0.5


class Queue(nn.Module):
    """The last eight means, in a ring."""

    ring: Tensor
    at: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(4, WIDTH), nn.Linear(WIDTH, 2)
        self.register_buffer("ring", torch.zeros(8, WIDTH))
        self.register_buffer("at", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Any:
        """Classify, and put the mean where the oldest stands."""
        h = self.body(x).tanh()
        if self.training:
            self.ring[self.at] = h.detach().mean(0)
            self.at = (self.at + 1) % 8
        return self.out(h - self.ring.mean(0))


class Teacher(nn.Module):
    """A copy of a layer that follows it, and a codebook that follows what it is nearest to."""

    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body, self.slow = nn.Linear(4, WIDTH), nn.Linear(4, WIDTH).requires_grad_(False)
        self.out = nn.Linear(WIDTH, 2)
        self.register_buffer("codes", drawn(5, WIDTH))

    def forward(self, x: Tensor) -> Any:
        """Classify."""
        if self.training:
            with torch.no_grad():
                for old, new in zip(self.slow.parameters(), self.body.parameters(), strict=True):
                    old.lerp_(new, 0.1)
        h = self.body(x).tanh()
        nearest = F.one_hot(torch.cdist(h.detach(), self.codes).argmin(1), 5).to(h.dtype)
        if self.training:
            self.codes.lerp_((nearest.t() @ h.detach()) / (nearest.sum(0)[:, None] + 1), 0.1)
        return self.out(h - 0.3 * self.slow(x).tanh() + 0.1 * nearest @ self.codes)


class Turned(nn.Module):
    """Weights, and a buffer, that do not stand row by row; lists and dictionaries of parameters; a complex table."""

    kept: Tensor
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(drawn(WIDTH, 4).t() * 0.4), nn.Parameter(drawn(WIDTH, WIDTH))])
        self.last = nn.ParameterDict({"out": nn.Parameter(drawn(WIDTH, 2) / 3), "scale": nn.Parameter(torch.ones(()))})
        self.register_buffer("kept", torch.zeros(WIDTH, 3).t())
        self.register_buffer("table", torch.view_as_complex(drawn(WIDTH, 2)))

    def forward(self, x: Tensor) -> Any:
        """Classify."""
        h = x @ self.weights[0]
        if self.training:
            self.kept = (0.9 * self.kept.t() + 0.1 * h.detach().mean(0)[:, None]).t()
        h = ((h - self.kept.mean(0)) * self.table).abs().tanh() @ self.weights[1]
        return self.last["scale"] * h.tanh() @ self.last["out"]


class Flags(nn.Module):
    """Buffers of whole numbers and of booleans."""

    seen: Tensor
    often: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(4, WIDTH), nn.Linear(WIDTH, 2)
        self.register_buffer("seen", torch.zeros(WIDTH, dtype=torch.bool))
        self.register_buffer("often", torch.zeros(WIDTH, dtype=torch.int32))

    def forward(self, x: Tensor) -> Any:
        """Classify."""
        h = self.body(x).tanh()
        if self.training:
            above = h.detach().mean(0) > 0
            self.seen |= above
            self.often += above.int()
        return self.out(h * (1 + 0.1 * self.seen + self.often / 100))


def tied() -> nn.Module:
    """Two layers of one weight, two BatchNorms of one running mean, and a layer and a BatchNorm used twice."""
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    norms = [nn.BatchNorm1d(4), nn.BatchNorm1d(4)]
    second.weight = first.weight
    norms[1].running_mean = norms[0].running_mean
    return headed(first, norms[0], nn.Tanh(), second, norms[1], nn.Tanh(), first, norms[0], inputs=4)


def frozen_layer() -> nn.Module:
    """A BatchNorm behind a layer that is not trained."""
    model = headed(nn.Linear(4, WIDTH), nn.BatchNorm1d(WIDTH))
    model[0].requires_grad_(False)  # type: ignore[index]
    return model


MODELS: dict[str, tuple[tuple[int, ...], Any]] = {
    "BatchNorm1d": ((4,), lambda: headed(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6))),
    "BatchNorm1d of sequences": (
        (4, 5),
        lambda: headed(nn.Conv1d(4, 3, 2, bias=False), nn.BatchNorm1d(3), inputs=12),
    ),
    "BatchNorm2d": ((1, 5, 5), lambda: headed(nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), inputs=27)),
    "BatchNorm3d": ((1, 3, 3, 3), lambda: headed(nn.Conv3d(1, 3, 2, bias=False), nn.BatchNorm3d(3), inputs=24)),
    "BatchNorm of all so far": ((4,), lambda: headed(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6, momentum=None))),
    "BatchNorm without statistics": (
        (4,),
        lambda: headed(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6, track_running_stats=False)),
    ),
    "SyncBatchNorm": ((4,), lambda: headed(nn.Linear(4, 6, bias=False), nn.SyncBatchNorm(6))),
    "frozen BatchNorm": ((4,), Frozen),
    "BatchNorm of a frozen layer": ((4,), frozen_layer),
    "InstanceNorm": ((2, 4, 4), lambda: headed(nn.InstanceNorm2d(2, track_running_stats=True), inputs=32)),
    "spectral norm": (
        (1, 5, 5),
        lambda: headed(parametrizations.spectral_norm(nn.Conv2d(1, 3, 3), n_power_iterations=2), inputs=27),
    ),
    "old spectral norm": ((4,), lambda: headed(nn.utils.spectral_norm(nn.Linear(4, 6)))),
    "weight norm": ((4,), lambda: headed(parametrizations.weight_norm(nn.Linear(4, 6)))),
    "old weight norm": ((4,), lambda: headed(nn.utils.weight_norm(nn.Linear(4, 6)))),
    "in place": ((4,), lambda: Own("in_place", persistent=False)),
    "assigned": ((4,), lambda: Own("assigned")),
    "sliced": ((4,), lambda: Own("sliced")),
    "by data": ((4,), lambda: Own("by_data")),
    "read": ((4,), lambda: Own("read")),
    "aliased": ((4,), lambda: Own("aliased")),
    "grown": ((4,), lambda: Own("grown")),
    "halved": ((4,), lambda: Own("halved")),
    "queue": ((4,), Queue),
    "teacher": ((4,), Teacher),
    "turned": ((4,), Turned),
    "flags": ((4,), Flags),
    "tied": ((4,), tied),
}
"""By name: the shape of an example, and what makes the model."""


class Complex(Classifier):
    """A complex parameter."""

    def model(self) -> nn.Module:
        """Return the network."""
        model = nn.Linear(4, 2)
        model.register_parameter("phase", nn.Parameter(torch.ones(2, dtype=torch.complex64)))
        return model


class Remeasured(Classifier):
    """A measure that changes buffers: the run's statistics in training are as they were."""

    def model(self) -> nn.Module:
        """Return the network."""
        return headed(nn.Linear(4, WIDTH, bias=False), nn.BatchNorm1d(WIDTH))

    def measure(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Measure by the run's own statistics, and then by those of the batch."""
        at = self.evaluate(model, batch)
        model.train()
        again = self.evaluate(model, batch)
        return cpd.Evaluation(at.objective, at.constraints, metrics={"fresh": again.objective})
