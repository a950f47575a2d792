"""The 40 runs of Figure 2 one after another with Cooper: what cpd is measured against.

``python cooper_figure2.py [--steps 10000] [--runs 40] [--with loop|joblib|optuna]`` prints the seconds of the training
loops as JSON: one run after another, over joblib with one process a core, or as the trials of Optuna's grid sampler.
"""

import argparse
import json
import math
import time

import cooper
import torch
from torch import nn

LEVEL = 0.7


def gaussians(points: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    """The paper's four Gaussians."""
    generator = torch.Generator().manual_seed(0)
    means = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    x = torch.cat([mean + torch.randn(points, 2, generator=generator) * math.sqrt(0.05) for mean in means])
    return x, torch.cat([torch.ones(2 * points), torch.zeros(2 * points)])


def model() -> nn.Linear:
    """The paper's start."""
    linear = nn.Linear(2, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, -1.0]]))
        linear.bias.zero_()
    return linear


class RateProblem(cooper.ConstrainedMinimizationProblem):
    """At least 70 % of the points predicted as class 0."""

    def __init__(self, net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        super().__init__()
        self.net, self.x, self.y = net, x, y
        self.rate = cooper.Constraint(
            constraint_type=cooper.ConstraintType.INEQUALITY,
            formulation_type=cooper.formulations.Lagrangian,
            multiplier=cooper.multipliers.DenseMultiplier(num_constraints=1),
        )

    def compute_cmp_state(self) -> cooper.CMPState:
        """Loss, proxy rate and true rate."""
        logits = self.net(self.x).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, self.y)
        state = cooper.ConstraintState(
            violation=(LEVEL - (1 - torch.sigmoid(logits)).mean()).reshape(1),
            strict_violation=(LEVEL - (logits <= 0).float().mean()).reshape(1),
        )
        return cooper.CMPState(loss=loss, observed_constraints={self.rate: state})


def train_constrained(dual_lr: float, steps: int, x: torch.Tensor, y: torch.Tensor) -> float:
    """One Lagrangian run; returns the rate."""
    net = model()
    problem = RateProblem(net, x, y)
    optimizer = cooper.optim.AlternatingDualPrimalOptimizer(
        problem,
        primal_optimizers=torch.optim.SGD(net.parameters(), lr=0.02),
        dual_optimizers=torch.optim.SGD(problem.dual_parameters(), lr=dual_lr, maximize=True),
    )
    for _ in range(steps):
        optimizer.roll()
    return rate(net, x)


def train_penalized(coefficient: float, steps: int, x: torch.Tensor, y: torch.Tensor) -> float:
    """One penalised run, without Cooper's machinery: as the released script does it."""
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = net(x).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        (loss - coefficient * (1 - torch.sigmoid(logits)).mean()).backward()
        optimizer.step()
    return rate(net, x)


def rate(net: nn.Module, x: torch.Tensor) -> float:
    """Share of points predicted as class 0."""
    with torch.no_grad():
        return float((net(x) <= 0).float().mean())


def grid() -> list[float]:
    """The paper's 20 values."""
    return [0.0, *(10 ** (-4 + 6 * k / 18) for k in range(19))]


def train_one(method: str, value: float, steps: int) -> float:
    """One run of either kind, on one thread."""
    torch.set_num_threads(1)
    x, y = gaussians()
    return (train_penalized if method == "penalized" else train_constrained)(value, steps, x, y)


def loop(trainings: list[tuple[str, float]], steps: int) -> list[float]:
    """One after another."""
    return [train_one(method, value, steps) for method, value in trainings]


def with_joblib(trainings: list[tuple[str, float]], steps: int) -> list[float]:
    """One process a core."""
    from joblib import Parallel, delayed

    rates: list[float] = Parallel(n_jobs=-1)(delayed(train_one)(method, value, steps) for method, value in trainings)
    return rates


def with_optuna(trainings: list[tuple[str, float]], steps: int) -> list[float]:
    """Each method's values as a grid of Optuna's, in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rates: list[float] = []
    for method in dict.fromkeys(method for method, _ in trainings):
        values = [value for own, value in trainings if own == method]

        def objective(trial: optuna.Trial, method: str = method, values: list[float] = values) -> float:
            return train_one(method, trial.suggest_categorical("value", values), steps)

        study = optuna.create_study(sampler=optuna.samplers.GridSampler({"value": values}))
        study.optimize(objective)
        rates += [trial.value or 0.0 for trial in study.trials]
    return rates


def main() -> None:
    """Run and print seconds."""
    ways = {"loop": loop, "joblib": with_joblib, "optuna": with_optuna}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--with", dest="way", choices=ways, default="loop")
    arguments = parser.parse_args()
    trainings = [(method, value) for method in ("penalized", "lagrangian") for value in grid()]
    trainings = trainings[:: max(1, len(trainings) // arguments.runs)]
    started = time.perf_counter()
    rates = ways[arguments.way](trainings, arguments.steps)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "runs": len(rates), "steps": arguments.steps, "rates": rates}))


if __name__ == "__main__":
    main()
