"""Problems whose modules are not plain: made with what ``data()`` has seen, tied, lazy, kept by the problem itself."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import cpd


class Of(cpd.Problem):
    """A line through points, with its module left to others."""

    def data(self) -> Any:
        x = torch.randn(24, 3)
        self.inputs = x.shape[1]
        return x, (x.sum(1) > 0).long()

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        out = model(batch[0])
        loss = nn.functional.cross_entropy(out, batch[1])
        return cpd.Evaluation(
            loss, {"g": out.softmax(1)[:, 0].mean()}, strict={"g": (out[:, 0] > out[:, 1]).double().mean()}
        )


class Normed(Of):
    """BatchNorm: buffers, one of them of whole numbers; the data say how wide it is."""

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(self.inputs, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))
        return y


class Tied(Of):
    """One weight of two layers."""

    def model(self) -> nn.Module:
        return _Tied()


class Lazy(Of):
    """Layers that take their shapes from a minibatch."""

    def model(self) -> nn.Module:
        return nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))


class _Shuffled(nn.Module):
    """Keeps an order that no ``state_dict`` has, and one that it has as extra state."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.order = torch.randperm(3)
        self.extra = {"of": "the model"}
        self.register_buffer("scale", torch.rand(3), persistent=False)
        self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x[:, self.order] * self.scale)
        return y


class Loaded(Of):
    """Its data are a DataLoader, which says how large minibatches are; the model is as wide as they are."""

    def data(self) -> Any:
        points = super().data()
        return DataLoader(TensorDataset(*points), batch_size=6)

    def model(self) -> nn.Module:
        return nn.Linear(self.inputs, 2)


class Shuffled(Of):
    """Random numbers that are no weights: they are what the seed gives."""

    def model(self) -> nn.Module:
        return _Shuffled()


class Own(Of):
    """The problem has one module, and gives it to every run."""

    def __init__(self) -> None:
        self.net = nn.Linear(3, 2)

    def model(self) -> nn.Module:
        return self.net


class Cached(Of):
    """Likewise, made at the first call."""

    net: Any = None

    def model(self) -> nn.Module:
        if self.net is None:
            self.net = nn.Linear(3, 2)
        net: nn.Module = self.net
        return net


class NoData(Of):
    """Its data are gone."""

    def data(self) -> Any:
        raise FileNotFoundError("train.csv")

    def model(self) -> nn.Module:
        return nn.Linear(3, 2)


class NeedsData(NoData):
    """Its data are gone, and its model is as wide as they were."""

    def model(self) -> nn.Module:
        return nn.Linear(self.inputs, 2)
