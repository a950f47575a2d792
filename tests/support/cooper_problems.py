"""Problems written for Cooper, as its users write them, and the same as problems of cpd."""

from typing import Any

import cooper
import torch
from torch import Tensor, nn
from torch.nn import functional

import cpd

TYPES = cooper.ConstraintType


def constraint(
    kind: Any, size: int, formulation: Any = cooper.formulations.Lagrangian, penalty: float = 1.5, indexed: bool = False
) -> Any:
    """A constraint with whatever its formulation asks for."""
    multiplier: Any = None
    coefficient: Any = None
    if formulation.expects_multiplier:
        make: Any = cooper.multipliers.IndexedMultiplier if indexed else cooper.multipliers.DenseMultiplier
        multiplier = make(init=torch.zeros(size), dtype=torch.float64)
    if formulation.expects_penalty_coefficient:
        own = cooper.penalty_coefficients
        made: Any = own.IndexedPenaltyCoefficient if indexed else own.DensePenaltyCoefficient
        coefficient = made(init=torch.full((size,), penalty, dtype=torch.float64))
    return cooper.Constraint(kind, formulation, multiplier, coefficient)


def points() -> tuple[Tensor, Tensor]:
    """Two clouds ``[60, 3]`` and their labels."""
    generator = torch.Generator().manual_seed(3)
    labels = (torch.rand(60, generator=generator) > 0.5).double()
    return torch.randn(60, 3, generator=generator).double() + labels[:, None], labels


def linear() -> nn.Module:
    """A small model."""
    return nn.Linear(3, 1)


class Rate(cooper.ConstrainedMinimizationProblem):
    """A rate with a proxy; the model and the batch come from outside, as in Cooper's tutorials."""

    def __init__(self, level: float = 0.95, formulation: Any = cooper.formulations.Lagrangian) -> None:
        super().__init__()
        self.level = level
        self.rate = constraint(TYPES.INEQUALITY, 1, formulation)

    def compute_cmp_state(self, model: Any, inputs: Tensor, targets: Tensor) -> Any:
        logits = model(inputs).squeeze(-1)
        state = cooper.ConstraintState(
            violation=self.level - (1 - torch.sigmoid(logits)).mean().unsqueeze(0),
            strict_violation=self.level - (logits < 0).to(logits.dtype).mean().unsqueeze(0),
        )
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        right = ((logits > 0) == (targets > 0.5)).to(logits.dtype).mean()
        return cooper.CMPState(loss, {self.rate: state}, misc={"accuracy": right, "logits": logits, "why": "not"})


class Point(cooper.ConstrainedMinimizationProblem):
    """Two inequalities and an equality on a vector that the problem holds itself; float32 numbers of its own."""

    def __init__(self, formulation: Any = cooper.formulations.Lagrangian) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(4))
        self.target = torch.tensor([1.0, -2.0, 0.5, 3.0])
        self.inside = constraint(TYPES.INEQUALITY, 2, formulation)
        self.line = constraint(TYPES.EQUALITY, 1, formulation)

    def compute_cmp_state(self) -> Any:
        x = self.x
        inside = torch.stack([x.sum() - 1.0, 0.5 - x[0] * x[1]])
        line = x[2] - x[3] ** 2
        states = {
            self.inside: cooper.ConstraintState(inside, strict_violation=(inside.detach() * 4).round() / 4),
            self.line: cooper.ConstraintState(line.unsqueeze(0)),
        }
        return cooper.CMPState(((x - self.target) ** 2).sum(), states)


class Sampled(cooper.ConstrainedMinimizationProblem):
    """One constraint for each example, of which a minibatch shows some; and one of all, of its own model."""

    def __init__(self, model: nn.Module, formulation: Any = cooper.formulations.Lagrangian, count: int = 60) -> None:
        super().__init__()
        self.net = model
        self.each = constraint(TYPES.INEQUALITY, count, formulation, indexed=True)
        self.norm = constraint(TYPES.INEQUALITY, 1, formulation)

    def compute_cmp_state(self, inputs: Tensor, targets: Tensor, index: Tensor) -> Any:
        losses = functional.binary_cross_entropy_with_logits(self.net(inputs).squeeze(-1), targets, reduction="none")
        norm = torch.stack([p.square().sum() for p in self.net.parameters()]).sum()
        each = cooper.ConstraintState(losses - 0.4, constraint_features=index)
        return cooper.CMPState(norm, {self.each: each, self.norm: cooper.ConstraintState(norm - 2.0)})


def numbered() -> tuple[Tensor, ...]:
    """The points with their places."""
    return *points(), torch.arange(60)


RateProblem = cpd.from_cooper(Rate, model=linear, data=points)
PointProblem = cpd.from_cooper(Point)
SampledProblem = cpd.from_cooper(Sampled, model=linear, data=numbered)


class Resting(cooper.ConstrainedMinimizationProblem):
    """A multiplier that moves in each third step, and a constraint that is seen in each second one."""

    def __init__(self, formulation: Any = cooper.formulations.Lagrangian) -> None:
        super().__init__()
        self.calls = 0
        self.sum = constraint(TYPES.INEQUALITY, 1, formulation)
        self.line = constraint(TYPES.EQUALITY, 2, formulation)
        self.far = constraint(TYPES.INEQUALITY, 1, formulation)

    def compute_cmp_state(self, x: Tensor) -> Any:
        self.calls += 1
        state = cooper.ConstraintState
        states = {
            self.sum: state(1.0 - x.sum(), contributes_to_dual_update=self.calls % 3 == 0),
            self.far: state(x[0] - 0.1, strict_violation=x[0].detach() + 1, contributes_to_primal_update=False),
        }
        if self.calls % 2:
            states[self.line] = state(torch.stack([x[0] - 2 * x[1], x[2] - 0.3]))
        return cooper.CMPState((x - 0.1).square().sum(), states)


class Apart(cooper.ConstrainedMinimizationProblem):
    """Some entries drive the model and others move the multipliers; some are named twice."""

    def __init__(self, formulation: Any = cooper.formulations.Lagrangian) -> None:
        super().__init__()
        self.each = constraint(TYPES.INEQUALITY, 60, formulation, indexed=True)

    def compute_cmp_state(self, model: nn.Module, inputs: Tensor, targets: Tensor, index: Tensor) -> Any:
        losses = functional.binary_cross_entropy_with_logits(model(inputs).squeeze(-1), targets, reduction="none")
        first, last = (6, 4) if len(index) < 60 else (60, 0)
        state = cooper.ConstraintState(
            torch.cat([losses[:first], 2 * losses[2:first]]) - 0.4,
            constraint_features=torch.cat([index[:first], index[2:first]]),
            strict_violation=losses[last:].detach() - 0.3,
            strict_constraint_features=index[last:],
        )
        return cooper.CMPState(torch.stack([p.square().sum() for p in model.parameters()]).sum(), {self.each: state})


RestingProblem = cpd.from_cooper(Resting, model=lambda: torch.tensor([0.5, -0.5, 0.2]))
ApartProblem = cpd.from_cooper(Apart, model=linear, data=numbered)


class Branching(Rate):
    """What a run does depends on its numbers."""

    def compute_cmp_state(self, model: Any, inputs: Tensor, targets: Tensor) -> Any:
        if model.bias.item() > 100:
            inputs = inputs * 2
        return super().compute_cmp_state(model, inputs, targets)


def normed() -> nn.Module:
    """A model with statistics of its own."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))


NormedProblem = cpd.from_cooper(Sampled, model=normed, data=numbered)
BranchingProblem = cpd.from_cooper(Branching, model=linear, data=points)
