"""Twelve models that people train, small: each a problem with one soft constraint, in the form a user writes it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint

import cpd

EXAMPLES = 44
"""Which 16 does not divide: an epoch's last minibatch has 12."""


def drawn(*shape: int, seed: int = 3) -> Tensor:
    """Standard normal numbers of a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Classifier(cpd.Problem):
    """Two classes, and how often the second is predicted."""

    def data(self) -> tuple[Tensor, Tensor]:
        """Return examples of four features."""
        x = drawn(EXAMPLES, 4)
        return x, (x[:, 0] + 0.3 * x[:, 1] > 0).long()

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate the loss and the soft rate."""
        x, y = batch
        logits = model(x)
        return cpd.Evaluation(
            objective=F.cross_entropy(logits, y),
            constraints={"value": logits.softmax(-1)[:, 1].mean()},
            metrics={"accuracy": (logits.argmax(-1) == y).to(logits.dtype).mean()},
        )


class Mlp(Classifier):
    """A multi-layer perceptron."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2))


class Images(Classifier):
    """Images of 6 x 6."""

    def data(self) -> tuple[Tensor, Tensor]:
        """Return images with more light on one side."""
        x = drawn(EXAMPLES, 1, 6, 6)
        return x, (x[:, 0, :, :3].sum((1, 2)) > 0).long()


class ConvNormed(Images):
    """Convolutions with BatchNorm and dropout."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ELU(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.SiLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(54, 2),
        )


class GroupNormed(Images):
    """Convolutions with GroupNorm, and dropout of whole channels."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.Dropout2d(0.2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 2),
        )


class Block(nn.Module):
    """Two convolutions around which the input goes as it is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make."""
        inner = F.silu(self.norms[0](self.first(x)))
        return F.silu(x + self.norms[1](self.second(inner)))


class Residual(Images):
    """A small residual network."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            Block(4),
            nn.AvgPool2d(2),
            Block(4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )


class Sequences(Classifier):
    """Sequences of seven words."""

    def data(self) -> tuple[Tensor, Tensor]:
        """Return words of a vocabulary of ten."""
        words = torch.randint(0, 10, (EXAMPLES, 7), generator=torch.Generator().manual_seed(3))
        return words, (words.sum(1) > 31).long()


class LastState(nn.Module):
    """A recurrent layer over embedded words, and its last output."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4, padding_idx=0)
        self.layer = getattr(nn, kind)(4, 5, batch_first=True)
        self.out = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Read the words one after the other."""
        outputs, _ = self.layer(self.words(x))
        return self.out(outputs[:, -1])  # type: ignore[no-any-return]


class Recurrent(Sequences):
    """A recurrent network: LSTM, GRU or RNN."""

    def __init__(self, kind: str = "LSTM") -> None:
        self.kind = kind

    def model(self) -> nn.Module:
        """Return the network."""
        return LastState(self.kind)


class Attending(nn.Module):
    """Embedded words through a transformer's encoder."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 8)
        self.places = nn.Parameter(torch.randn(7, 8) * 0.1)
        # Without ReLU's kink, at which rounding would decide.
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout, F.gelu, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 1)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Read the mean of the encoded words."""
        return self.out(self.layers(self.words(x) + self.places).mean(1))  # type: ignore[no-any-return]


class Transformer(Sequences):
    """A transformer's encoder."""

    def __init__(self, dropout: float = 0.0) -> None:
        self.dropout = dropout

    def model(self) -> nn.Module:
        """Return the network."""
        return Attending(self.dropout)


class Autoencoder(cpd.Problem):
    """A variational autoencoder: its noise is drawn anew in each step; the rate of its code is bounded."""

    def data(self) -> tuple[Tensor]:
        """Return examples near a line."""
        return (drawn(EXAMPLES, 1) * torch.tensor([1.0, -0.5, 0.25, 2.0]) + 0.1 * drawn(EXAMPLES, 4, seed=4),)

    def model(self) -> nn.Module:
        """Return encoder and decoder."""
        encoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
        decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 4))
        return nn.ModuleDict({"encoder": encoder, "decoder": decoder})

    def evaluate(self, model: nn.Module, batch: tuple[Tensor]) -> cpd.Evaluation:
        """Evaluate the error of reconstruction and the code's distance from noise."""
        assert isinstance(model, nn.ModuleDict)
        mean, log_variance = model["encoder"](batch[0]).chunk(2, -1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        far = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1).mean()
        return cpd.Evaluation(F.mse_loss(model["decoder"](code), batch[0]), {"value": far})


class Physics(cpd.Problem):
    """u'' = -sin(x) on the line by a network, with its value at the ends as the constraint.

    Args:
        by: ``func`` takes derivatives with ``torch.func.grad``, ``autograd`` with ``torch.autograd.grad``.
    """

    def __init__(self, by: str = "func") -> None:
        self.by = by

    def data(self) -> tuple[Tensor]:
        """Return places."""
        return (torch.linspace(0, 3, EXAMPLES).unsqueeze(1),)

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def curvature(self, model: nn.Module, x: Tensor) -> Tensor:
        """Return the second derivatives ``[B]``."""
        if self.by == "func":
            return vmap(grad(grad(lambda t: model(t.view(1, 1)).squeeze())))(x.squeeze(1))  # type: ignore[no-any-return]
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return bend.squeeze(1)

    def evaluate(self, model: nn.Module, batch: tuple[Tensor]) -> cpd.Evaluation:
        """Evaluate the residual and the ends."""
        (x,) = batch
        ends = model(x.new_tensor([[0.0], [3.0]])).squeeze(1) - x.new_tensor([0.0, 3.0]).sin()
        residual = self.curvature(model, x) + x.squeeze(1).sin()
        return cpd.Evaluation((residual**2).mean(), {"value": (ends**2).sum()})


class Pair(nn.Module):
    """A generator, and a critic whose layers have a Lipschitz constant of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 4))
        self.critic = nn.Sequential(spectral_norm(nn.Linear(4, 6)), nn.Softplus(), spectral_norm(nn.Linear(6, 1)))


class Critic(cpd.Problem):
    """A generator and a critic in one module, each trained by a loss of its own; the spread of samples is bounded."""

    def data(self) -> tuple[Tensor]:
        """Return what is to be generated."""
        return (drawn(EXAMPLES, 4) + 1,)

    def model(self) -> nn.Module:
        """Return both."""
        return Pair()

    def evaluate(self, model: nn.Module, batch: tuple[Tensor]) -> cpd.Evaluation:
        """Evaluate the critic on samples that it does not reach, and the generator by a critic that stays."""
        assert isinstance(model, Pair)
        (x,) = batch
        made = model.generator(torch.randn(len(x), 2))
        both = model.critic(torch.cat([x, made.detach()]))
        gap = both[len(x) :].mean() - both[: len(x)].mean()
        still = {n: p.detach() for n, p in model.critic.named_parameters()}
        still |= {n: b.clone() for n, b in model.critic.named_buffers()}
        fooled = functional_call(model.critic, still, (made,)).mean()
        return cpd.Evaluation(gap - fooled, {"value": made.square().mean()})


class Gates(nn.Module):
    """Hard-concrete gates: zero or one with some probability, and differentiable."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.randn(size) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply with gates drawn anew; with their medians when the model is judged."""
        a = self.log_alpha
        if self.training:
            u = torch.rand_like(a).clamp(1e-6, 1 - 1e-6)
            s = torch.sigmoid((u.log() - (1 - u).log() + a) / 0.66)
        else:
            s = torch.sigmoid(a)
        return x * (s * 1.2 - 0.1).clamp(0, 1)

    def density(self) -> Tensor:
        """The expected share of gates that are not zero."""
        return torch.sigmoid(self.log_alpha + 1.4).mean()


class HardConcrete(Classifier):
    """A perceptron with a gate before each input."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(Gates(4), nn.Linear(4, 8), nn.Tanh(), Gates(8), nn.Linear(8, 2))

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate the loss and the density."""
        density = torch.stack([m.density() for m in model.modules() if isinstance(m, Gates)]).mean()
        return cpd.Evaluation(F.cross_entropy(model(batch[0]), batch[1]), {"value": density})


class Bag(Sequences):
    """The mean of embedded words."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(nn.EmbeddingBag(10, 6, mode="mean"), nn.Linear(6, 2))


class Branching(Classifier):
    """A network that looks at its own numbers: ``vmap`` refuses it."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate with a penalty once the weights are large."""
        at = super().evaluate(model, batch)
        size = torch.stack([p.square().sum() for p in model.parameters()]).sum()
        if size > 5.0:
            return cpd.Evaluation(at.objective + 0.01 * (size - 5.0), at.constraints, metrics=at.metrics)
        return at


class Typed(Images):
    """Layers that autocast does in lower precision; the loss is in float32."""

    def model(self) -> nn.Module:
        """Return the layers."""
        attention = nn.MultiheadAttention(6, 2, batch_first=True)
        return nn.ModuleDict({"conv": nn.Conv2d(1, 2, 3), "attention": attention, "out": nn.Linear(6, 2)})

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate; each result's type is as expected."""
        assert isinstance(model, nn.ModuleDict)
        x, y = batch
        lower = torch.bfloat16 if model.training else torch.get_default_dtype()
        lit = model["conv"](x)
        read = model["attention"](x[:, 0], x[:, 0], x[:, 0])[0]
        z = model["out"](read.mean(1))
        flat = lit.flatten(1).float()
        assert {t.dtype for t in (lit, read, z, flat @ flat.t())} == {lower}
        loss = F.cross_entropy(z, y)
        assert loss.dtype == torch.get_default_dtype()
        return cpd.Evaluation(loss + 0.01 * lit.square().mean(), {"value": z.softmax(-1)[:, 1].mean()})


class Checkpointed(Classifier):
    """A network of which a part is run again for its gradient: one run at a time."""

    def __init__(self, use_reentrant: bool) -> None:
        self.use_reentrant = use_reentrant

    def model(self) -> nn.Module:
        """Return the network."""
        inner = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.2), nn.Tanh())
        return nn.Sequential(nn.Linear(4, 8), inner, nn.Linear(8, 2))

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate."""
        assert isinstance(model, nn.Sequential)
        h = checkpoint(model[1], model[0](batch[0]), use_reentrant=self.use_reentrant)
        logits = model[2](h)
        value = logits.softmax(-1)[:, 1].mean()
        return cpd.Evaluation(F.cross_entropy(logits, batch[1]), {"value": value})


class Packed(Sequences):
    """Sequences of several lengths, packed."""

    def model(self) -> nn.Module:
        """Return the network."""
        return LastState("GRU")

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate on the last state of each sequence."""
        assert isinstance(model, LastState)
        words, y = batch
        lengths = words[:, 0] % 5 + 1
        packed = nn.utils.rnn.pack_padded_sequence(model.words(words), lengths, batch_first=True, enforce_sorted=False)
        logits = model.out(model.layer(packed)[1][-1])
        return cpd.Evaluation(F.cross_entropy(logits, y), {"value": logits.softmax(-1)[:, 1].mean()})


class Filled(Classifier):
    """Tensors that are made in the evaluation and filled in place."""

    def model(self) -> nn.Module:
        """Return the network."""
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> cpd.Evaluation:
        """Evaluate the mean probability of each class, one after the other."""
        x, y = batch
        p = model(x).softmax(-1)
        shares, total = torch.zeros(2), torch.tensor(0.0)
        for k in range(2):
            shares[k] = p[:, k].mean()
            total += k * shares[k]
        return cpd.Evaluation(F.nll_loss(p.log(), y), {"value": total})


TWELVE: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("Mlp", {}),
    "cnn": ("ConvNormed", {}),
    "group norm": ("GroupNormed", {}),
    "resnet": ("Residual", {}),
    "lstm": ("Recurrent", {}),
    "transformer": ("Transformer", {}),
    "autoencoder": ("Autoencoder", {}),
    "pinn": ("Physics", {}),
    "critic": ("Critic", {}),
    "gates": ("HardConcrete", {}),
    "bag": ("Bag", {}),
    "branching": ("Branching", {}),
}
"""The class and its arguments, by name."""
