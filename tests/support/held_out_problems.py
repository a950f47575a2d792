"""Problems with examples that no run trains on, in the form a user writes them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset, IterableDataset

import cpd

EXAMPLES, POSITIVES, FEATURES = 60, 12, 3
KINDS = ("tuple", "list", "dict", "items", "dataset", "noisy")


def drawn(seed: int, examples: int = EXAMPLES) -> tuple[torch.Tensor, torch.Tensor]:
    """Points, and which of them are positive: one in five."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(examples) % (EXAMPLES // POSITIVES) == 0
    return torch.randn(examples, FEATURES, generator=g) + y[:, None], y


class Noisy(Dataset[Any]):
    """Examples that are others each time they are read."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, noise: float) -> None:
        self.x, self.y, self.noise = x, y, noise
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> Any:
        return self.x[k] + self.noise * torch.randn(FEATURES), self.y[k]


class Unending(IterableDataset[Any]):
    """Examples without places."""

    def __iter__(self) -> Any:
        yield from zip(*drawn(0), strict=True)


class Positives(cpd.Problem):
    """A loss, and the share of positives that are found; a model that is judged in another mode than it is trained."""

    def __init__(self, kind: str = "tuple", own: int | None = None, examples: int = EXAMPLES) -> None:
        self.kind = kind
        self.own = own
        self.examples = examples

    def data(self) -> Any:
        """Return the examples in one of many forms."""
        return self.formed(drawn(0, self.examples))

    def held_out(self) -> Any:
        """Return examples of their own, where there are any."""
        return None if self.own is None else self.formed(drawn(1, self.own))

    def formed(self, data: tuple[torch.Tensor, torch.Tensor]) -> Any:
        """Return the same examples in a form."""
        x, y = data
        forms: dict[str, Callable[[], Any]] = {
            "tuple": lambda: data,
            "list": lambda: [x, y],
            "dict": lambda: {"x": x, "y": y},
            "items": lambda: [(x[k], y[k]) for k in range(len(x))],
            "dataset": lambda: Noisy(x, y, 0.0),
            "noisy": lambda: Noisy(x, y, 0.1),
            "iterable": Unending,
            "none": lambda: None,
        }
        return forms[self.kind]()

    def model(self) -> nn.Module:
        """Return a classifier whose evaluation mode differs from its training mode."""
        return nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the recall."""
        x, y = batch.values() if isinstance(batch, dict) else batch
        logits = model(x).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype)),
            constraints={"recall": cpd.share(torch.sigmoid(logits), of=y)},
            strict={"recall": cpd.share(logits > 0, of=y)},
            metrics={"rate": (logits > 0).to(logits.dtype).mean()},
        )


class Unlike(Positives):
    """How differently positives and negatives are treated."""

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the gap."""
        x, y = batch
        logits = model(x).squeeze(-1)
        gap = abs(cpd.share(torch.sigmoid(logits), of=y == 1) - cpd.share(torch.sigmoid(logits), of=y == 0))
        loss = functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype))
        return cpd.Evaluation(loss, {"recall": gap})


class Drawn(Positives):
    """Both methods draw from torch's own generator, in the same way."""

    def data(self) -> Any:
        """Return points as they are drawn."""
        return self.points()

    def held_out(self) -> Any:
        """Likewise."""
        return self.points()

    def points(self) -> Any:
        """Draw points."""
        x = torch.randn(EXAMPLES, FEATURES)
        return x, x[:, 0] > 0


class Infinite(Positives):
    """Positives of which nobody can say how many are found among those that the problem holds out."""

    def held_out(self) -> Any:
        """Return points that are no numbers."""
        x, y = drawn(1, 20)
        return torch.full_like(x, torch.nan), y

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the recall, which is no number where a point is none."""
        at = super().evaluate(model, batch)
        return cpd.Evaluation(at.objective, at.constraints, {"recall": at.constraints["recall"]}, at.metrics)


class Second(Positives):
    """The constraint is measured on examples of its own."""

    def __init__(self, second: int = EXAMPLES, own: int | None = None) -> None:
        super().__init__(own=own)
        self.second = second

    def constraint_data(self) -> Any:
        """Return the same examples, or fewer."""
        return tuple(t[: self.second] for t in drawn(0))

    def evaluate(self, model: nn.Module, batch: Any, constraint_batch: Any) -> cpd.Evaluation:  # type: ignore[override]
        """Evaluate each on its own."""
        own, other = super().evaluate(model, batch), super().evaluate(model, constraint_batch)
        counted = {"seen": torch.tensor(float(len(constraint_batch[0])), dtype=own.objective.dtype)}
        return cpd.Evaluation(own.objective, other.constraints, other.strict, counted)


class Counting(Positives):
    """What is measured depends on how often, and on random numbers."""

    def __init__(self, own: int | None = None) -> None:
        super().__init__(own=own)
        self.calls = 0

    def measure(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate with a trace."""
        self.calls += 1
        at = self.evaluate(model, batch)
        noise = torch.rand((), dtype=at.objective.dtype)
        numbers = {"calls": torch.tensor(float(self.calls), dtype=noise.dtype), "noise": noise}
        return cpd.Evaluation(at.objective, at.constraints, at.strict, numbers)


class Careless(Positives):
    """What is held out is not as it should be."""

    def held_out(self) -> Any:
        """Return something else than the data."""
        x, _ = drawn(1, 20)
        forms: dict[str, Any] = {"other": (x,), "unending": Unending()}
        return forms[self.kind]

    def data(self) -> Any:
        """Return the examples."""
        return drawn(0)


class Attribute(Positives):
    """An attribute has the method's name."""

    def __init__(self) -> None:
        super().__init__()
        self.held_out = drawn(1)  # type: ignore[method-assign,assignment]


class Each(Positives):
    """As many values as there are examples."""

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the error on each."""
        x, y = batch
        p = torch.sigmoid(model(x).squeeze(-1))
        return cpd.Evaluation(p.mean(), {"recall": (p - y.to(p.dtype)).abs()})


class Apart(Positives):
    """One constraint for each example, or for each group of them."""

    def __init__(self, groups: int = EXAMPLES) -> None:
        super().__init__()
        self.groups = groups

    def data(self) -> Any:
        """Return the examples with the number of their constraint."""
        return *drawn(0), torch.arange(EXAMPLES) % self.groups

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the error on each."""
        x, y, place = batch
        p = torch.sigmoid(model(x).squeeze(-1))
        return cpd.Evaluation(p.mean(), {"recall": cpd.observed((p - y.to(p.dtype)).abs(), place, size=self.groups)})


class Spoiling(Positives):
    """A measure that changes what it is given."""

    def measure(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Change the examples where they are few: those that are held out."""
        at = self.evaluate(model, batch)
        if len(batch[0]) < EXAMPLES / 2:
            batch[0].mul_(0.9)
        return at
