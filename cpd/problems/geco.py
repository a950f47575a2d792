"""A variational autoencoder that must rebuild its images well enough (GECO)."""

from __future__ import annotations

import torch
from torch import Tensor

import cpd

PIXELS = 64
BRIGHTEST = 16.0
"""The largest value of a pixel."""
NOISE_SEED = 0

Batch = tuple[Tensor, Tensor]


class Autoencoder(torch.nn.Module):
    """Two networks with one hidden layer: from images to the mean and log-variance of a code, and from codes to images.

    Args:
        latent: Entries of a code.
        hidden: Units of each hidden layer; with 0 both networks are linear, and every image has the same variances.
    """

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.log_variance = None if hidden else torch.nn.Parameter(torch.zeros(latent))
        if not hidden:
            self.encoder = torch.nn.Sequential(torch.nn.Linear(PIXELS, latent))
            self.decoder = torch.nn.Sequential(torch.nn.Linear(latent, PIXELS))
            return
        into, out = torch.nn.Linear(PIXELS, hidden), torch.nn.Linear(hidden, PIXELS)
        self.encoder = torch.nn.Sequential(into, torch.nn.ReLU(), torch.nn.Linear(hidden, 2 * latent))
        self.decoder = torch.nn.Sequential(torch.nn.Linear(latent, hidden), torch.nn.ReLU(), out, torch.nn.Sigmoid())

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the images that are rebuilt ``[n, 64]``, and the codes' means and log-variances ``[n, latent]``."""
        found = self.encoder(images)
        mean, log_variance = found.chunk(2, dim=-1) if self.log_variance is None else (found, self.log_variance)
        return self.decoder(mean + (log_variance / 2).exp() * noise), mean, log_variance


class Geco(cpd.Problem):
    r"""The shortest codes of digits from which they can be rebuilt with a given error.

    .. math:: \min E[\mathrm{KL}(q(z \mid x) \,\|\, \mathcal N(0, I))] \quad \text{subject to} \quad
        E[\|x - g(z)\|^2] \leq \text{level}

    q is normal, with the encoder's mean and variances, g the decoder; x has 64 pixels from 0 to 1. A penalty's
    coefficient is the 1 / beta of a beta-VAE, up to the likelihood's scale.

    Constraints: ``reconstruction``, the squared error of an image, on average. Metrics: ``active``, the entries of a
    code whose mean varies over the images by more than 0.01.

    Args:
        latent: Entries of a code.
        hidden: Units of both hidden layers; 0 for linear networks. The optimum of these is known: it is the
            rate-distortion function of a normal distribution, whose multiplier is half of one over the water level.

    Source: Rezende and Viola, "Taming VAEs" (2018), whose multipliers are the method ``geco``; active entries are
    Burda, Grosse and Salakhutdinov (2016), the rate-distortion function Theorem 10.3.3 of Cover and Thomas (2006).
    """

    def __init__(self, latent: int = 8, hidden: int = 64) -> None:
        for name, value, least in (("latent", latent, 1), ("hidden", hidden, 0)):
            if type(value) is not int or value < least:
                hint = f"give a whole number from {least} on"
                raise cpd.CpdError(f"{value!r} is no number of units", place=f"arguments.{name}", hint=hint)
        self.latent, self.hidden = latent, hidden

    def _parts(self) -> tuple[Batch, Batch]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        pixels, labels = load_digits(return_X_y=True)
        generator = torch.Generator().manual_seed(NOISE_SEED)
        parts = train_test_split(pixels / BRIGHTEST, test_size=0.2, random_state=0, stratify=labels)
        images = [torch.tensor(part, dtype=torch.float32) for part in parts]
        noise = [torch.randn(len(part), self.latent, generator=generator) for part in images]
        return (images[0], noise[0]), (images[1], noise[1])

    def data(self) -> Batch:
        """Return the training images ``[n, 64]``, and the noise ``[n, latent]`` by which finished models are judged."""
        return self._parts()[0]

    def held_out(self) -> Batch:
        """Return the images that are kept for judging, and their noise."""
        return self._parts()[1]

    def model(self) -> Autoencoder:
        """Return networks with random weights."""
        return Autoencoder(self.latent, self.hidden)

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the divergence and the error, with new noise in training and that of the data elsewhere."""
        images, noise = batch
        rebuilt, mean, log_variance = model(images, torch.randn_like(noise) if model.training else noise)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1) / 2
        error = (images - rebuilt).square().sum(-1)
        return cpd.Evaluation(objective=kl.mean(), constraints={"reconstruction": cpd.share(error)})

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Add how many entries of the codes say something."""
        at = self.evaluate(model, batch)
        _, mean, _ = model(*batch)
        active = (mean.var(0, unbiased=False) > 0.01).sum().to(mean.dtype)
        return cpd.Evaluation(at.objective, at.constraints, metrics={"active": active})
