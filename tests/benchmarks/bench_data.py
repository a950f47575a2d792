"""How long a training waits for data: ``python bench_data.py [--repetitions 3] [--epochs 4]``.

A Dataset of which an item takes 2 ms and is drawn anew each time, read by two processes: eight runs of cpd together
against a plain PyTorch loop of one run over a DataLoader of its own. Seconds in which nothing is trained because the
next minibatch is not there, from before the first step to after the last one, the start of the processes included; and
of the whole: reading, training, and judging the models on one pass more. Exits 1 when cpd waits longer.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import Measured, machine, table, verdicts
from torch import nn
from torch.utils.data import DataLoader, Dataset

import cpd
from cpd.engine.batch import Batch
from cpd.engine.streams import Streamed
from cpd.engine.train import train
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Train

RUNS = 8
SIZE = 32


class Slow(Dataset[Any]):
    """512 points with noise, of which one takes 2 ms."""

    def __init__(self) -> None:
        self.x = torch.randn(512, 20, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> Any:
        time.sleep(0.002)
        return self.x[k] + 0.1 * torch.randn(20), (self.x[k].sum() > 0).float()


class Points(cpd.Problem):
    """A small network on them, whose mean prediction is bounded."""

    def data(self) -> Any:
        """Return the slow points."""
        return Slow()

    def model(self) -> nn.Module:
        """Return two layers."""
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the mean prediction."""
        logits = model(batch[0])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch[1])
        return cpd.Evaluation(loss, {"rate": logits.sigmoid().mean()})


class Waiting:
    """Seconds spent in asking for the next minibatch."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, loader: DataLoader[Any]) -> Iterator[Any]:
        """Its minibatches; they begin with the start of its processes."""
        began = time.perf_counter()
        batches = iter(loader)
        self.seconds += time.perf_counter() - began
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - began
            if batch is None:
                return
            yield batch


def plain(epochs: int) -> tuple[float, float]:
    """Seconds of a plain loop of one run: waiting, and in all."""
    began, waiting = time.perf_counter(), Waiting()
    torch.manual_seed(0)
    problem = Points()
    model = problem.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(Slow(), batch_size=SIZE, shuffle=True, num_workers=2, persistent_workers=True)
    for _ in range(epochs):
        for batch in waiting.timed(loader):
            at = problem.evaluate(model, batch)
            optimizer.zero_grad()
            (at.objective + at.constraints["rate"]).backward()
            optimizer.step()
    waited = waiting.seconds
    with torch.no_grad():
        for batch in loader:
            problem.evaluate(model, batch)
    return waited, time.perf_counter() - began


def ours(epochs: int) -> tuple[float, float]:
    """The same of cpd, all runs together."""
    read, waiting = Streamed._read, Waiting()

    def timed(batches: Streamed) -> Any:
        began = time.perf_counter()
        try:
            return read(batches)
        finally:
            waiting.seconds += time.perf_counter() - began

    source = ProblemSource(
        target="bench_data.py:Points", path=__file__, source=Path(__file__).read_text(), arguments={}
    )
    keys = tuple(RunKey("penalized", {"coefficient": float(k)}, {"rate": 0.4}, 0, str(k)) for k in range(RUNS))
    recipe = Train(epochs=epochs, batch_size=SIZE, optimizer=Optimizer(options={"lr": 0.1}))
    batch = Batch(source, {"rate": Constraint(level=0.4, sense="<=")}, recipe, keys, loader_workers=2)
    began = time.perf_counter()
    Streamed._read = timed  # type: ignore[method-assign, assignment]
    try:
        trained = train(batch)
    finally:
        Streamed._read = read  # type: ignore[method-assign]
    assert [run.status for run in trained.runs] == ["completed"] * RUNS
    return waiting.seconds, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as cpd trains small models: a loop on all cores takes them from those who read
    ways = {"plain loop, 1 run": plain, f"cpd, {RUNS} runs": ours}
    waits, wholes = Measured(), Measured()
    for way in ways.values():
        way(1)  # loaded and warm
    for _ in range(arguments.repetitions):
        for name, way in ways.items():
            waited, whole = way(arguments.epochs)
            waits.add(name, waited)
            wholes.add(name, whole)
    first, second = ways
    print(
        table(
            ["way", "waiting, s", "in all, s"], [[w, f"{waits.median(w):.2f}", f"{wholes.median(w):.2f}"] for w in ways]
        )
    )
    print(machine())
    return verdicts({f"waiting of {RUNS} runs to that of one plain run": (waits.ratio(second, first), 1.0, False)})


if __name__ == "__main__":
    sys.exit(main())
