"""The same trainings as people write them: ``python joblib_convolutions.py``: a plain PyTorch loop over joblib.

One training a coefficient, each with one thread, on as many processes as there are cores. Prints as JSON the seconds
from the first task to the last, and the loss that each training ended with.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from convolutions import digits, eights, network
from joblib import Parallel, delayed
from torch.nn.functional import cross_entropy


def train(coefficient: float, norm: bool, epochs: int, batch_size: int) -> float:
    """Train one model and return its loss on all data."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = digits()
    model = network(norm)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for index in order.split(batch_size):
            logits = model(images[index])
            loss = cross_entropy(logits, labels[index]) + coefficient * (eights(logits) - 0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return float(cross_entropy(model(images), labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--norm", action="store_true")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--coefficients", type=float, nargs="+", default=[0.0])
    given = parser.parse_args()
    began = time.perf_counter()
    tasks = (delayed(train)(c, given.norm, given.epochs, given.batch_size) for c in given.coefficients)
    losses = Parallel(n_jobs=given.jobs)(tasks)
    print(json.dumps({"seconds": time.perf_counter() - began, "losses": losses}))


if __name__ == "__main__":
    main()
