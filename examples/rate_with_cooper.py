"""The paper's rate experiment as a plain script with Cooper: a program like any other that cpd can sweep.

``python rate_with_cooper.py --method lagrangian --dual-lr 0.1 --seed 1 --out results`` trains once, on all points in
each of 10,000 steps, and writes ``results/result.json``. ``rate_with_cooper.yaml`` sweeps it.
"""

import argparse
import json
import math
from pathlib import Path

import cooper
import torch
from torch import nn
from torch.nn import functional

LEVEL = 0.7
LR = 0.02


class RateProblem(cooper.ConstrainedMinimizationProblem):
    """At least 70 % of the points predicted as class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.class0_rate = cooper.Constraint(
            constraint_type=cooper.ConstraintType.INEQUALITY,
            formulation_type=cooper.formulations.Lagrangian,
            multiplier=cooper.multipliers.DenseMultiplier(num_constraints=1),
        )

    def compute_cmp_state(self, model: nn.Module, points: torch.Tensor, labels: torch.Tensor) -> cooper.CMPState:
        """Cross-entropy, and by how much the rate is below its level: of the sigmoids, and of the decisions."""
        logits = model(points).squeeze(-1)
        rate = cooper.ConstraintState(
            violation=(LEVEL - (1 - torch.sigmoid(logits)).mean()).reshape(1),
            strict_violation=(LEVEL - (logits < 0).to(logits.dtype).mean()).reshape(1),
        )
        loss = functional.binary_cross_entropy_with_logits(logits, labels)
        return cooper.CMPState(loss=loss, observed_constraints={self.class0_rate: rate})


def gaussians(count: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    """Four clouds of points ``[4 * count, 2]``, always the same, and their labels."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    clouds = [centre + torch.randn(count, 2, generator=generator) * math.sqrt(0.05) for centre in centres]
    return torch.cat(clouds), torch.tensor([1.0, 1.0, 0.0, 0.0]).repeat_interleave(count)


def start() -> nn.Linear:
    """The paper's start, whatever the seed."""
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -1.0]]))
        model.bias.zero_()
    return model


def train_penalized(model: nn.Module, coefficient: float, steps: int, data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Gradient descent on the cross-entropy minus the coefficient times the rate."""
    points, labels = data
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(points).squeeze(-1)
        loss = functional.binary_cross_entropy_with_logits(logits, labels)
        (loss - coefficient * (1 - torch.sigmoid(logits)).mean()).backward()
        optimizer.step()


def train_lagrangian(model: nn.Module, dual_lr: float, steps: int, data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Cooper's gradient descent-ascent, the multiplier first."""
    problem = RateProblem()
    optimizer = cooper.optim.AlternatingDualPrimalOptimizer(
        problem,
        primal_optimizers=torch.optim.SGD(model.parameters(), lr=LR),
        dual_optimizers=torch.optim.SGD(problem.dual_parameters(), lr=dual_lr, maximize=True),
    )
    state = {"model": model, "points": data[0], "labels": data[1]}
    for _ in range(steps):
        optimizer.roll(compute_cmp_state_kwargs=state)


@torch.no_grad()
def judged(model: nn.Module, points: torch.Tensor, labels: torch.Tensor) -> dict[str, float | dict[str, int]]:
    """What the trained model comes to; the rate as a count of points."""
    logits = model(points).squeeze(-1)
    return {
        "cross_entropy": float(functional.binary_cross_entropy_with_logits(logits, labels)),
        "class0_rate": {"hits": int((logits < 0).sum()), "of": len(logits)},
        "accuracy": float(((logits >= 0) == labels.bool()).float().mean()),
    }


def main() -> None:
    """Train once and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=("penalized", "lagrangian"), required=True)
    parser.add_argument("--coefficient", type=float, default=0.0, help="of the penalised approach")
    parser.add_argument("--dual-lr", type=float, default=0.0, help="of the Lagrangian approach")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True, help="the folder of result.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    data, model = gaussians(), start()
    if given.method == "penalized":
        train_penalized(model, given.coefficient, given.steps, data)
    else:
        train_lagrangian(model, given.dual_lr, given.steps, data)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "result.json").write_text(json.dumps(judged(model, *data)), encoding="utf-8")


if __name__ == "__main__":
    main()
