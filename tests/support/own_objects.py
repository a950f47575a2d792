"""Problems whose state is in objects: configurations, slots, iterators, optimizers of their own."""

import argparse
import itertools
import types
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from own_code import Base, X, Y
from torch import nn
from torch.nn import functional as F  # noqa: N812

import cpd


@dataclass
class Schedule:
    """Another weight from the fortieth call on."""

    calls: int = 0

    def weight(self) -> float:
        """Return the weight of a call."""
        self.calls += 1
        return 1.0 if self.calls < 40 else 3.0


@dataclass(slots=True)
class Slotted(Schedule):
    """The same without a dictionary."""

    calls: int = 0


class InDataclass(Base):
    """A schedule in an object of a class of this file."""

    def __init__(self) -> None:
        self.schedule: Any = Schedule()

    def weight(self) -> float:
        """Return the weight of a call."""
        weight: float = self.schedule.weight()
        return weight

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate, weighed by the calls in training."""
        x, y = batch
        z = self.logits(model, x)
        weight = self.weight() if model.training else 1.0
        return cpd.Evaluation(F.binary_cross_entropy_with_logits(z, y) * weight, {"rate": torch.sigmoid(z).mean()})


class InSlots(InDataclass):
    """In slots."""

    def __init__(self) -> None:
        self.schedule = Slotted()


class InNamespace(InDataclass):
    """In a namespace of Python's."""

    def __init__(self) -> None:
        self.schedule = types.SimpleNamespace(calls=0)

    def weight(self) -> float:
        """Return the weight of a call."""
        self.schedule.calls += 1
        return 1.0 if self.schedule.calls < 40 else 3.0


class InArguments(InNamespace):
    """In parsed arguments."""

    def __init__(self) -> None:
        self.schedule = argparse.Namespace(calls=0)


class InMethod(InDataclass):
    """In the object of a method."""

    def __init__(self) -> None:
        self.weight = Schedule().weight  # type: ignore[method-assign]


class InCycle(InDataclass):
    """In an iterator that comes round again and again."""

    def __init__(self) -> None:
        self.weights = itertools.cycle([1.0, 0.5, 2.0, 0.1, 4.0])

    def weight(self) -> float:
        """Return the weight of a call."""
        return next(self.weights)


class InTwice(InCycle):
    """In an iterator that two names hold, one of them in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.again = (self.weights,)

    def weight(self) -> float:
        """Return the weight of a call."""
        return next(self.weights) + next(self.again[0])


CALLS = {"n": 0}


class InGlobal(InDataclass):
    """In a dictionary of this file."""

    def weight(self) -> float:
        """Return the weight of a call."""
        CALLS["n"] += 1
        return 1.0 if CALLS["n"] < 40 else 3.0


class Adversary(Base):
    """A second network with an optimizer of its own."""

    def __init__(self) -> None:
        self.judge = nn.Linear(1, 1)
        with torch.no_grad():
            self.judge.weight.fill_(0.3)
            self.judge.bias.zero_()
        self.adam = torch.optim.Adam(self.judge.parameters(), lr=0.05)

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate; in training the second network makes a step first."""
        x, y = batch
        z, group = self.logits(model, x), (x[:, 0] > 0).to(x.dtype)
        if model.training:
            self.adam.zero_grad()
            F.binary_cross_entropy_with_logits(self.judged(z.detach()), group).backward()
            self.adam.step()
        fooled = -F.binary_cross_entropy_with_logits(self.judged(z), group)
        return cpd.Evaluation(F.binary_cross_entropy_with_logits(z, y) + fooled, {"rate": torch.sigmoid(z).mean()})

    def judged(self, z: torch.Tensor) -> Any:
        """Return the second network's logits."""
        return self.judge.to(z.dtype)(z.unsqueeze(-1)).squeeze(-1)


class Kept(InDataclass):
    """Containers of what may not be built anew: a bounded queue, a counter, objects within a list."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=3)
        self.count: Counter[str] = Counter()
        self.parts = [Schedule(), torch.Generator().manual_seed(2)]

    def weight(self) -> float:
        """Return a weight of all of them."""
        schedule: Any = self.parts[0]
        drawn = float(torch.rand((), generator=self.parts[1]))  # type: ignore[call-overload]
        self.count["calls"] += 1
        self.count["odd"] += self.count["never"] + self.count["calls"] % 2
        self.recent.append(drawn)
        return float(schedule.weight() + sum(self.recent) + self.count["odd"] / 10)


class InGenerator(InDataclass):
    """In a generator function under way."""

    def __init__(self) -> None:
        self.weights = self.falling()

    def falling(self) -> Iterator[float]:
        """Yield weights."""
        weight = 1.0
        while True:
            yield weight
            weight *= 0.99

    def weight(self) -> float:
        """Return the weight of a call."""
        return next(self.weights)


class InLoader(InDataclass):
    """In a loader of other examples."""

    def __init__(self) -> None:
        self.others = iter(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=1))

    def weight(self) -> float:
        """Return the weight of a call."""
        return float(next(self.others)[0].mean())


class Late(nn.Module):
    """Registers its running mean when it is first called."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> Any:
        """Return one number an example."""
        if not hasattr(self, "mean"):
            self.register_buffer("mean", x.new_zeros(4))
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return self.last(x - self.mean)


class InLateBuffer(Base):
    """In a buffer that is there after the first call only."""

    def model(self) -> Any:
        """Return the model."""
        return Late()
