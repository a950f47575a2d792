"""The 40 runs of Figure 2 as an expert would write them for this problem alone: batched by hand, gradient by hand.

``python manual_figure2.py [--steps 10000] [--runs 40]`` prints the seconds of the loop as JSON. Eager PyTorch, one
matrix of parameters for all runs, nothing recorded on the way; another model or constraint is another derivation.
"""

import argparse
import json
import time

import torch
from cooper_figure2 import LEVEL, gaussians, grid


@torch.inference_mode()
def train(trainings: list[tuple[str, float]], steps: int) -> list[float]:
    """Every run at once; the rates at the end."""
    x, y = gaussians()
    x, y = torch.cat([x, torch.ones(len(x), 1)], 1), y[:, None]  # the last column is the bias
    values = torch.tensor([value for _, value in trainings])
    constrained = torch.tensor([method == "lagrangian" for method, _ in trainings])
    dual_lr, multiplier = values * constrained, values * ~constrained  # a coefficient is a multiplier that rests
    weights = torch.tensor([[1.0], [-1.0], [0.0]]).repeat(1, len(trainings))
    step = (0.02 / len(x)) * x.T
    for _ in range(steps):
        logits = x @ weights
        strict = (logits <= 0).float().mean(0)
        multiplier = (multiplier + dual_lr * (LEVEL - strict)).clamp_(min=0)
        p = logits.sigmoid_()
        # d/dlogit of cross-entropy + multiplier * (LEVEL - mean(1 - p))
        weights -= step @ (p - y + multiplier * (p - p * p))
    return [float(rate) for rate in (x @ weights <= 0).float().mean(0)]


def main() -> None:
    """Run and print seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainings = [(method, value) for method in ("penalized", "lagrangian") for value in grid()]
    trainings = trainings[:: max(1, len(trainings) // arguments.runs)]
    train(trainings, 10)
    started = time.perf_counter()
    rates = train(trainings, arguments.steps)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "runs": len(rates), "steps": arguments.steps, "rates": rates}))


if __name__ == "__main__":
    main()
