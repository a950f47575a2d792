"""Problems whose gradients on all training data are known by hand, in the form a user writes them."""

from typing import Any

import torch
from torch.nn import functional

import cpd

EXAMPLES = 41


class Shares(cpd.Problem):
    """A normalised network with a recall, a precision (whose group the model decides) and a vector of shares."""

    def data(self) -> Any:
        """Return points and labels."""
        g = torch.Generator().manual_seed(3)
        x = torch.randn(EXAMPLES, 3, generator=g)
        return x, (x[:, 0] + 0.5 * torch.randn(EXAMPLES, generator=g) > 0.6).to(x.dtype)

    def model(self) -> torch.nn.Module:
        """Return a small network whose statistics move in training mode."""
        return torch.nn.Sequential(
            torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
        )

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the shares."""
        x, y = batch
        logits = model(x).squeeze(-1)
        p = torch.sigmoid(logits)
        groups = (x[:, 1] > 0).long()[:, None] == torch.arange(2)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, y),
            constraints={
                "recall": cpd.share(p, of=y),
                "precision": cpd.share(y, of=p),
                "groups": cpd.share(p[:, None], of=groups),
            },
            strict={"recall": cpd.share(logits > 0, of=y)},
        )


class Largest(Shares):
    """Its constraint is no mean over examples: the values of minibatches do not make it up."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss, and the largest prediction as a constraint."""
        x, y = batch
        logits = model(x).squeeze(-1)
        p = torch.sigmoid(logits)
        objective = functional.binary_cross_entropy_with_logits(logits, y)
        return cpd.Evaluation(objective, {"largest": p.amax()})


class Branching(Largest):
    """Its code looks at numbers, so that no two runs are one program."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the same, after a look."""
        at = super().evaluate(model, batch)
        return at if at.objective.item() >= 0 else cpd.Evaluation(-at.objective, at.constraints)


class OwnStrict(Largest):
    """Its strict value is another one, and has a gradient."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the largest prediction, of twice as steep a sigmoid where it is strict."""
        x, y = batch
        logits = model(x).squeeze(-1)
        objective = functional.binary_cross_entropy_with_logits(logits, y)
        surrogate, strict = torch.sigmoid(logits).mean(), torch.sigmoid(2 * logits).mean()
        return cpd.Evaluation(objective, {"largest": surrogate}, {"largest": strict})


class OnlyTrains(Largest):
    """It cannot be evaluated in evaluation mode; how it is measured can."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate, in training mode alone."""
        if not model.training:
            raise RuntimeError("only trains")
        return super().evaluate(model, batch)

    def measure(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Measure the same in any mode."""
        return Largest.evaluate(self, model, batch)


class Box(cpd.Problem):
    """``min |x - (2, -1)|^2`` with x within [0, 1]^2 and ``x1 + x2 <= level``."""

    def model(self) -> torch.nn.Module:
        """Return a point in the middle."""
        model = torch.nn.Linear(2, 1, bias=False)
        torch.nn.init.constant_(model.weight, 0.5)
        return model

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate at the point."""
        x = next(iter(model.parameters())).reshape(-1)
        goal = x.new_tensor([2.0, -1.0])
        return cpd.Evaluation(((x - goal) ** 2).sum(), {"sum": x.sum()})

    def project(self, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Clip to the box."""
        return {name: p.clamp(0, 1) for name, p in parameters.items()}


class MeasuresElse(Largest):
    """How it is measured tells of the strict value alone, which is not what training evaluates."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the mean prediction."""
        at = super().evaluate(model, batch)
        return cpd.Evaluation(at.objective, {"largest": torch.sigmoid(model(batch[0])).mean()})

    @torch.no_grad()
    def measure(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Measure the share of decisions."""
        at = super().evaluate(model, batch)
        return cpd.Evaluation(at.objective, {"largest": (model(batch[0]) > 0).to(batch[0].dtype).mean()})
