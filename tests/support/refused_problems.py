"""Problems whose runs cannot be fused, each with the line that is to be named marked by its kind."""

from typing import Any

import torch
from model_problems import Classifier
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

import cpd


class Square(torch.autograd.Function):
    """A function without a rule for several runs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Square."""
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Twice the number."""
        return 2 * ctx.saved_tensors[0] * gradients[0]


class Refused(Classifier):
    """A value that is taken in one way or another.

    Args:
        kind: Which way: a method's name.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def model(self) -> nn.Module:
        """Return the network; of ``batch_norm`` with statistics over all minibatches so far."""
        between = nn.BatchNorm1d(6, momentum=None) if self.kind == "batch_norm" else nn.Tanh()
        return nn.Sequential(nn.Linear(4, 6, bias=self.kind != "batch_norm"), between, nn.Linear(6, 2))

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate."""
        x, y = batch
        z = model(x)  # batch_norm
        p = z.softmax(-1)[:, 1]
        return cpd.Evaluation(F.cross_entropy(z, y), {"value": getattr(self, self.kind)(model, x, p)})

    def batch_norm(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Take the mean."""
        return p.mean()

    def item(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Read a number."""
        return p.mean() * p.max().item()  # item

    def numpy(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Read an array."""
        return p.mean() * float(p.detach().numpy().max())  # numpy

    def branch(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Choose by a number."""
        if p.mean() > 0.5:  # branch
            return p.mean() * 1.01
        return p.mean()

    def mask(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Take the mean of some."""
        return p[p > 0.3].mean()  # mask

    def own_gradient(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Take a gradient."""
        (g,) = torch.autograd.grad(p.sum(), list(model.parameters())[:1], create_graph=True)  # own_gradient
        return g.square().sum()

    def function(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Call a function of one's own."""
        square: Any = Square.apply
        return square(p).mean()  # function

    def drawn(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Draw by probabilities."""
        return (p * torch.bernoulli(p.detach())).mean()  # drawn

    def recomputed(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Run the first layer again."""
        return checkpoint(model[2], model[:2](x), use_reentrant=True).sigmoid().mean()  # recomputed

    def shared(self, model: Any, x: Tensor, p: Tensor) -> Any:
        """Change in place what all runs share."""
        total = x[:, 0] * 0
        total += p  # shared
        return total.mean()
