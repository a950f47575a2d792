"""Problems as people write them: state in Python, masks, buffers, numbers of their own."""

import functools
import itertools
import random
import time
from typing import Any

import numpy as np
import own_counter
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import cpd

G = torch.Generator().manual_seed(0)
X = torch.randn(60, 4, generator=G)
Y = (X.sum(1) > 0).float()


class Base(cpd.Problem):
    """A small classifier whose rate of positives is bounded."""

    def data(self) -> Any:
        """Return 60 examples."""
        return X.clone(), Y.clone()

    def model(self) -> Any:
        """Return a small network."""
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def logits(self, model: Any, x: torch.Tensor) -> Any:
        """Return one number an example."""
        return model(x).squeeze(-1)

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return the constraint's value."""
        return p.mean()

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate."""
        x, y = batch
        z = self.logits(model, x)
        return cpd.Evaluation(F.binary_cross_entropy_with_logits(z, y), {"rate": self.rate(torch.sigmoid(z), x)})


class Mask(Base):
    """The mean over a group of the minibatch."""

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return the group's mean."""
        return p[x[:, 0] > -0.8].mean()


class Length(Base):
    """A sum over as many as are in the group, as Python's len."""

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return the group's mean."""
        group = x[:, 0] > 0.2
        return (p * group).sum() / max(1, len(x[group]))


class Numpy(Base):
    """A weight that NumPy reads off each minibatch."""

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return the weighted mean."""
        return p.mean() * float(np.abs(x.numpy()).mean())


class Counter(Base):
    """A temperature that falls with the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return a rate that is weighed by the calls."""
        self.calls += 1
        return p.mean() * (1 + self.calls / 50)


class Hidden(Base):
    """A schedule in a closure, which nothing can see: it begins after 120 calls."""

    def __init__(self) -> None:
        count = itertools.count()
        self.weight: Any = lambda: 1.0 if next(count) < 120 else 2.0

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return a rate that is weighed by the schedule."""
        return p.mean() * self.weight()


class Partial(Hidden):
    """The same schedule in an iterator that a partial function holds."""

    def __init__(self) -> None:
        count = itertools.count()
        self.count = functools.partial(next, count)
        self.weight: Any = lambda: 1.0 if self.count() < 120 else 2.0


class Helped(Base):
    """A counter in another module."""

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return a rate that is weighed by the calls."""
        return p.mean() * (1 + own_counter.up() / 50)


class Clock(Base):
    """A schedule by the clock."""

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return a rate that is weighed by the time."""
        return p.mean() * (1 + time.monotonic())


class Draws(Base):
    """Noise of every generator, and of one of its own."""

    def __init__(self) -> None:
        self.own = np.random.default_rng(3)

    def logits(self, model: Any, x: torch.Tensor) -> Any:
        """Return noisy logits."""
        noise = random.gauss(0, 1) + np.random.randn() + self.own.normal() + torch.randn(())
        return model(x + 0.1 * noise).squeeze(-1)


class Averaged(Base):
    """A moving average of the run's own rate, kept on self."""

    def rate(self, p: torch.Tensor, x: torch.Tensor) -> Any:
        """Return the rate, drawn to its average."""
        self.average = 0.9 * getattr(self, "average", 0.5) + 0.1 * p.mean().detach()
        return p.mean() + 0.1 * self.average


class Started(Base):
    """The distance from where the model began, kept on self by model()."""

    def model(self) -> Any:
        """Return a network, and remember its weights."""
        model = super().model()
        self.start = [p.detach().clone() for p in model.parameters()]
        return model

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the distance."""
        at = super().evaluate(model, batch)
        far = torch.stack([((p - s) ** 2).sum() for p, s in zip(model.parameters(), self.start, strict=True)]).sum()
        return cpd.Evaluation(at.objective, {"rate": far})


class Cached(Base):
    """A regulariser over a list of parameters that was made once."""

    def model(self) -> Any:
        """Return a network, and remember its parameters."""
        model = super().model()
        self.parameters = list(model.parameters())
        return model

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the size of the weights."""
        at = super().evaluate(model, batch)
        return cpd.Evaluation(at.objective, {"rate": torch.stack([(p**2).sum() for p in self.parameters]).sum()})


class Wide(Base):
    """An architecture that the seed decides."""

    def model(self) -> Any:
        """Return a network of some width."""
        width = 4 + int(torch.randint(0, 8, ()))
        return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1))


class Lazy(Base):
    """Layers that take their shapes at the first call."""

    def model(self) -> Any:
        """Return a lazy network."""
        return nn.Sequential(nn.LazyLinear(8, bias=False), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(1))


class Norm(Base):
    """Statistics that every call moves; the layer before them has no bias, whose gradient would be rounding alone."""

    def model(self) -> Any:
        """Return a normalised network."""
        return nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))


class Clipped(Base):
    """Weights that are clipped where they stand."""

    def logits(self, model: Any, x: torch.Tensor) -> Any:
        """Clip and call."""
        with torch.no_grad():
            for p in model.parameters():
                p.clamp_(-0.3, 0.3)
        return super().logits(model, x)


class Unused(Base):
    """A layer that no call uses."""

    def model(self) -> Any:
        """Return a network with a layer too many."""
        model = super().model()
        model.extra = nn.Linear(2, 2)
        return model

    def logits(self, model: Any, x: torch.Tensor) -> Any:
        """Call the others."""
        return model[2](model[1](model[0](x))).squeeze(-1)


class Checkpointed(Base):
    """Memory saved in the backward pass."""

    def logits(self, model: Any, x: torch.Tensor) -> Any:
        """Call it again in the backward pass."""
        from torch.utils.checkpoint import checkpoint

        return checkpoint(model, x, use_reentrant=False).squeeze(-1)


class InPlace(Base):
    """Changes the examples that it is given."""

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Shrink the examples."""
        batch[0].mul_(0.9)
        return super().evaluate(model, batch)


class Slope(Base):
    """The gradient of the model itself, in measure as well."""

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the squared slope."""
        x, y = batch
        x = x.clone().requires_grad_()
        z = self.logits(model, x)
        (slope,) = torch.autograd.grad(z.sum(), x, create_graph=True)
        return cpd.Evaluation(F.binary_cross_entropy_with_logits(z, y), {"rate": slope.pow(2).sum(1).mean()})


class Picky(Base):
    """A measure that raises once the model has moved far enough."""

    def measure(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Refuse a low rate."""
        at = self.evaluate(model, batch)
        if at.constraints["rate"].item() < 0.4:
            raise ArithmeticError("the rate is too low to be measured")
        return at


class Broken(cpd.Problem):
    """Something of it is not finite, from a step on or in its gradient.

    Args:
        what: ``objective``, ``constraint``, ``gradient`` or ``measure``.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def model(self) -> Any:
        """Return two numbers that fall."""
        model = nn.Module()
        model.x = nn.Parameter(torch.ones(2))
        return model

    def evaluate(self, model: Any, batch: None) -> cpd.Evaluation:
        """Evaluate; x falls by 0.1 a step, from 1."""
        x = model.x
        bad = torch.where(x.detach() < 0.65, float("nan"), 0.0)
        objective, g = x.sum(), x * 1
        if self.what == "objective":
            objective = objective + bad.sum()
        if self.what == "constraint":
            g = torch.stack([x[0], x[1] + bad[1]])
        if self.what == "gradient":
            g = torch.where(x < 9, x, x / (x - x))
        return cpd.Evaluation(objective, {"g": g})

    def measure(self, model: Any, batch: None) -> cpd.Evaluation:
        """Evaluate, or 0/0."""
        at = self.evaluate(model, batch)
        return cpd.Evaluation(at.objective * (0 / torch.zeros(()) if self.what == "measure" else 1), at.constraints)


class Random(Base):
    """Data and weights of whichever generator comes to hand."""

    def data(self) -> Any:
        """Return random examples."""
        x = torch.randn(30, 4) + torch.from_numpy(np.random.randn(30, 4)).float() + random.random()
        return x, (x.sum(1) > 0).float()

    def model(self) -> Any:
        """Return a network with NumPy's weights."""
        model = super().model()
        with torch.no_grad():
            model[0].weight.copy_(torch.as_tensor(np.random.randn(8, 4)))
        return model


def seeded(seed: int) -> None:
    """Seed every generator that user code may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def plainly(problem: Base, seed: int, steps: int, lr: float, coefficient: float = 0.0) -> tuple[nn.Module, Any]:
    """A plain loop over all data: the model that it comes to, and the data."""
    seeded(0)
    data = problem.data()
    seeded(seed)
    model = problem.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        at = problem.evaluate(model, data)
        optimizer.zero_grad()
        (at.objective + coefficient * (at.constraints["rate"] - 0.4)).backward()
        optimizer.step()
    return model, data
