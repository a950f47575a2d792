"""Problems of which a minibatch shows only some constraints, in the form a user writes them."""

from typing import Any

import torch
from torch.nn import functional

import cpd

EXAMPLES, POSITIVES = 42, 4


class Recall(cpd.Problem):
    """Few positives among the examples: many minibatches of 8 have none."""

    def __init__(self, positives: int = POSITIVES) -> None:
        self.positives = positives

    def data(self) -> Any:
        """Return points and which of them are positive."""
        g = torch.Generator().manual_seed(3)
        x = torch.randn(EXAMPLES, 3, generator=g)
        return x, torch.arange(EXAMPLES) < self.positives

    def model(self) -> torch.nn.Module:
        """Return a linear classifier."""
        return torch.nn.Linear(3, 1)

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss, the share of positives that are found, and the plain mean of predictions."""
        x, y = batch
        logits = model(x).squeeze(-1)
        p = torch.sigmoid(logits)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype)),
            constraints={"recall": cpd.share(p, of=y), "rate": cpd.share(p)},
            strict={"recall": cpd.share(logits > 0, of=y)},
            metrics={"precision": cpd.share(y, of=logits > 0)},
        )


class Groups(Recall):
    """A vector of shares, one for each of three groups; the last one has a single member."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the mean prediction in each group."""
        x, y = batch
        p = torch.sigmoid(model(x).squeeze(-1))
        group = (x[:, 0] > -1).long() + (x[:, 0] > 2.1)
        onehot = group[:, None] == torch.arange(3)  # functional.one_hot reads numbers off its tensor
        return cpd.Evaluation(
            objective=((p - y.to(p.dtype)) ** 2).mean(),
            constraints={"recall": cpd.share(p[:, None], of=onehot), "rate": p.mean()},
        )


class Gap(Recall):
    """How far apart the mean predictions of two groups are, of which many minibatches lack one or the other."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate it with probabilities and with decisions."""
        x, y = batch
        logits = model(x).squeeze(-1)
        p, other = torch.sigmoid(logits), x[:, 0] > 1
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype)),
            constraints={"recall": abs(cpd.share(p, of=y) - cpd.share(p, of=other)), "rate": p.mean()},
            strict={"recall": torch.abs(cpd.share(logits > 0, of=y) - cpd.share(logits > 0, of=other))},
        )


class Each(Recall):
    """One constraint per example: its loss; the order of the values has nothing to do with that of the batch."""

    def __init__(self, shift: int = 0) -> None:
        super().__init__(EXAMPLES // 2)
        self.shift = shift

    def data(self) -> Any:
        """Return the same with places."""
        return *super().data(), torch.arange(EXAMPLES) + self.shift

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss of each example of the batch."""
        x, y, place = batch
        logits = model(x).squeeze(-1)
        losses = functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="none")
        return cpd.Evaluation(
            objective=torch.cat([w.reshape(-1) for w in model.parameters()]).square().sum(),
            constraints={"loss": cpd.observed(losses, place, size=EXAMPLES)},
        )


class Masked(Recall):
    """A share of what a mask picks: nobody, where a minibatch has no positives."""

    def evaluate(self, model: torch.nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the recall as Recall does."""
        x, y = batch
        logits = model(x).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype)),
            constraints={"recall": cpd.share(torch.sigmoid(logits)[y]), "rate": cpd.share(torch.sigmoid(logits))},
            strict={"recall": cpd.share((logits > 0)[y])},
        )


class Annealed(Recall):
    """A loss that depends on the share of the training that is done."""

    def evaluate(self, model: torch.nn.Module, batch: Any, progress: torch.Tensor) -> cpd.Evaluation:  # type: ignore[override]
        """Evaluate the loss, more and more of it, and what the progress is."""
        x, y = batch
        logits = model(x).squeeze(-1)
        loss = functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype))
        return cpd.Evaluation(
            progress * loss, {"rate": torch.sigmoid(logits).mean() * 0 + progress}, metrics={"done": progress}
        )


class Twice(Recall):
    """A loss on one set of examples, a rate on another one."""

    def __init__(self, second: int = 30) -> None:
        super().__init__()
        self.second = second

    def constraint_data(self) -> Any:
        """Return points alone."""
        return (torch.randn(self.second, 3, generator=torch.Generator().manual_seed(4)),) if self.second else None

    def evaluate(  # type: ignore[override]
        self, model: torch.nn.Module, batch: Any, constraint_batch: Any, progress: torch.Tensor
    ) -> cpd.Evaluation:
        """Evaluate each on its own."""
        logits, others = model(batch[0]).squeeze(-1), model(constraint_batch[0]).squeeze(-1)
        return cpd.Evaluation(
            objective=functional.binary_cross_entropy_with_logits(logits, batch[1].to(logits.dtype)),
            constraints={"rate": torch.sigmoid(others).mean() + 0 * progress},
            metrics={"others": torch.tensor(float(len(others)), dtype=logits.dtype)},
        )
