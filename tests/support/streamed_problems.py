"""Problems whose data is read while they train, in the form a user writes them."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset

import cpd

SHARED = random.Random(4)
"""A generator that a transform draws from without being handed it."""


def judged(logits: torch.Tensor, y: torch.Tensor) -> cpd.Evaluation:
    """A loss, and the mean prediction as the constraint."""
    loss = functional.binary_cross_entropy_with_logits(logits, y)
    return cpd.Evaluation(loss, {"rate": logits.sigmoid().mean()}, metrics={"largest": logits.max()})


class Noisy(Dataset[Any]):
    """Points with noise from every kind of generator: torch's, numpy's, Python's, and three of its own."""

    def __init__(self, count: int = 50) -> None:
        self.x = torch.randn(count, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        self.own = np.random.default_rng(0)
        self.nested = {"torch": [torch.Generator()]}
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> Any:
        self.read.append(k)
        noise = torch.randn(4, dtype=torch.float64) + np.random.rand() + random.random() + SHARED.random()
        noise = noise + self.own.normal() + torch.rand((), generator=self.nested["torch"][0])
        y = (self.x[k].sum() > 0).double()
        return {"x": self.x[k] + 0.1 * noise, "rest": (torch.complex(self.x[k], noise), y, k)}


class Augmented(cpd.Problem):
    """A linear model on them: nested batches with complex numbers and integers."""

    def data(self) -> Any:
        """Return the noisy points."""
        return Noisy()

    def model(self) -> nn.Module:
        """Return a linear model."""
        return nn.Linear(4, 1)

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate on real parts and on moduli."""
        z, y, k = batch["rest"]
        return judged(model(batch["x"])[:, 0] + model(z.abs())[:, 0] * (k % 2), y)


class Walk(IterableDataset[Any]):
    """So many points, each from where the last one was."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        at = torch.zeros(4, dtype=torch.float64)
        for _ in range(self.count):
            at = 0.5 * at + torch.randn(4, dtype=torch.float64) + np.random.rand() - random.random()
            yield at, (at.sum() > 0).double()


class Walking(Augmented):
    """The linear model on a walk."""

    def __init__(self, count: int = 50, batched: bool = False) -> None:
        self.count = count
        self.batched = batched

    def data(self) -> Any:
        """Return the walk; with ``batched`` as a DataLoader whose items are batches."""
        return DataLoader(Chunks(), batch_size=None) if self.batched else Walk(self.count)

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the model."""
        return judged(model(batch[0])[:, 0], batch[1])


class Chunks(IterableDataset[Any]):
    """Batches of 5 and of 6 points in turn."""

    def __iter__(self) -> Iterator[Any]:
        for k in range(7):
            x = torch.randn(5 + k % 2, 4, dtype=torch.float64)
            yield x, (x.sum(1) > 0).double()


def texts() -> list[tuple[torch.Tensor, float]]:
    """Texts of 3 to 11 words."""
    r = np.random.RandomState(3)
    return [(torch.tensor(r.randint(1, 20, r.randint(3, 12))), float(r.rand() > 0.5)) for _ in range(50)]


def in_a_row(items: list[Any]) -> Any:
    """Texts one after the other, and where each begins."""
    starts = torch.tensor([0, *(len(x) for x, _ in items[:-1])]).cumsum(0)
    return torch.cat([x for x, _ in items]), starts, torch.tensor([y for _, y in items])


class Bags(Augmented):
    """Texts as bags of words."""

    collate = in_a_row

    def data(self) -> Any:
        """Return the texts."""
        return texts()

    def model(self) -> nn.Module:
        """Return an embedding and a layer."""
        return nn.ModuleDict({"words": nn.EmbeddingBag(20, 6), "out": nn.Linear(6, 1)})

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate the mean word."""
        words, starts, y = batch
        return judged(model["out"](model["words"](words, starts))[:, 0], y)


class Sequences(Augmented):
    """Texts word by word, some of which are left out at random when a batch is made."""

    def data(self) -> Any:
        """Return the texts."""
        return texts()

    def collate(self, items: list[Any]) -> Any:
        """Pad the texts."""
        words = pad_sequence([x for x, _ in items], batch_first=True)
        return {"x": words * (torch.rand(words.shape) > 0.1), "y": torch.tensor([y for _, y in items])}

    def model(self) -> nn.Module:
        """Return an LSTM."""
        parts = {"words": nn.Embedding(20, 6), "read": nn.LSTM(6, 6, batch_first=True), "out": nn.Linear(6, 1)}
        return nn.ModuleDict(parts)

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate the mean state."""
        states, _ = model["read"](model["words"](batch["x"]))
        seen = (batch["x"] > 0).to(states.dtype)[..., None]
        return judged(model["out"]((states * seen).sum(1) / seen.sum(1).clamp_min(1))[:, 0], batch["y"])


class Means(Augmented):
    """Texts as the means of their words, padded."""

    def data(self) -> Any:
        """Return the texts."""
        return texts()

    def collate(self, items: list[Any]) -> Any:
        """Pad the texts."""
        return pad_sequence([x for x, _ in items], batch_first=True), torch.tensor([y for _, y in items])

    def model(self) -> nn.Module:
        """Return an embedding and a layer."""
        return nn.Sequential(nn.Embedding(20, 6), nn.Linear(6, 1))

    def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
        """Evaluate the mean word."""
        return judged(model(batch[0])[..., 0].mean(1), batch[1])


class FromFile(Dataset[Any]):
    """Bytes of this file, with noise; it stays open."""

    def __init__(self, late: bool) -> None:
        self.file = None if late else Path(__file__).open("rb")  # noqa: SIM115

    def __len__(self) -> int:
        return 50

    def __getitem__(self, k: int) -> Any:
        if self.file is None:
            self.file = Path(__file__).open("rb")  # noqa: SIM115
        self.file.seek(20 * k)
        x = torch.tensor(list(self.file.read(4)), dtype=torch.float64) / 256
        time.sleep(2e-4)
        return x + 1e-3 * torch.rand(4), (x.sum() > 1.5).double()


class Opened(Walking):
    """The linear model on a file that its Dataset opens at once, or when it is first read."""

    def __init__(self, late: bool = True) -> None:
        super().__init__()
        self.late = late

    def data(self) -> Any:
        """Return the Dataset."""
        return FromFile(self.late)


class Breaking(Noisy):
    """Points of which one raises when it is read again and again."""

    def __getitem__(self, k: int) -> Any:
        if k == 37 and torch.initial_seed() in _late_seeds():
            raise ValueError("a broken image")
        return super().__getitem__(k)


class Slowly(Noisy):
    """Points of which one takes 2 ms."""

    def __getitem__(self, k: int) -> Any:
        time.sleep(0.002)
        return super().__getitem__(k)


class Slow(Augmented):
    """The linear model on points that are read slowly."""

    def data(self) -> Any:
        """Return them."""
        return Slowly()


def _late_seeds() -> set[int]:
    from cpd.engine.items import item_seed

    return {item_seed(1, 2, 37)}


class Broken(Augmented):
    """The linear model on points of which one raises in the third epoch."""

    def data(self) -> Any:
        """Return them."""
        return Breaking()


class Loaded(Walking):
    """The linear model on what a DataLoader of its own is made of."""

    def data(self) -> Any:
        """Return the DataLoader."""
        return DataLoader(Noisy(), batch_size=8, num_workers=2)

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the model."""
        return judged(model(batch["x"])[:, 0], batch["rest"][1])
