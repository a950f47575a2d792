"""A variational autoencoder: divergence and error by torch's distributions, and a training that rebuilds better."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch.distributions import Normal, kl_divergence

import cpd
from cpd.problems.geco import Geco


def test_divergence_and_error_are_those_of_the_distributions() -> None:
    problem = Geco(latent=3, hidden=7)
    torch.manual_seed(0)
    model = problem.model().double().eval()
    images, noise = (t.double() for t in problem.held_out())
    at = problem.measure(model, (images, noise))
    mean, log_variance = model.encoder(images)[:, :3], model.encoder(images)[:, 3:]
    code = Normal(mean, log_variance.exp().sqrt())
    expected = kl_divergence(code, Normal(torch.zeros(3).double(), torch.ones(3).double())).sum(1).mean()
    assert at.objective.item() == pytest.approx(expected.item())
    rebuilt = model.decoder(mean + code.stddev * noise)
    error = ((images - rebuilt) ** 2).sum(1).mean().item()
    assert at.constraints["reconstruction"].value.item() == pytest.approx(error)
    assert at.metrics["active"].item() == sum(mean.detach().numpy().var(0) > 0.01)


def test_noise_is_new_in_training_and_the_data_s_elsewhere() -> None:
    problem = Geco(latent=4)
    torch.manual_seed(0)
    model = problem.model()
    batch = problem.data()

    def error() -> float:
        return float(problem.evaluate(model, batch).constraints["reconstruction"].value.detach())

    model.train()
    assert error() != error()
    model.eval()
    assert error() == error()
    assert all(torch.equal(a, b) for a, b in zip(batch, Geco(latent=4).data(), strict=True))
    assert [len(t) for t in (*batch, *problem.held_out())] == [1437, 1437, 360, 360]


@pytest.mark.parametrize("arguments", [{"latent": 0}, {"hidden": 1.0}, {"hidden": -1}])
def test_what_makes_no_network_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(cpd.CpdError, match=rf"^arguments.{next(iter(arguments))}: "):
        Geco(**arguments)


@pytest.mark.slow
def test_a_large_coefficient_rebuilds_what_a_small_one_forgets() -> None:
    assign = ("arguments.hidden=32", "train.epochs=15", "penalized.coefficient=0.001,100")
    overrides = cpd.Overrides(set=assign, methods=("penalized",))
    runs = cpd.sweep("geco", overrides, cpd.Options(keep=False, engine="captured")).document["runs"]
    error = [run["constraints"]["reconstruction"]["value"] for run in runs]
    codes = [run["objective"] for run in runs]
    assert isinstance(error[0], float)
    assert isinstance(error[1], float)
    assert error[1] < error[0] - 1
    assert isinstance(codes[0], float)
    assert isinstance(codes[1], float)
    assert codes[0] < 0.1 < 3 < codes[1]


@pytest.mark.slow
def test_linear_networks_come_to_the_rate_distortion_function_and_its_slope() -> None:
    latent, level = 12, 2.0
    images = Geco(latent).data()[0].double().numpy()
    spectrum = np.linalg.eigvalsh(np.cov(images.T, bias=True))[::-1]
    kept, lost = spectrum[:latent], spectrum[latent:].sum()
    # What a code of 12 entries cannot say is lost; of the rest each component keeps an error of the water level.
    water = brentq(lambda w: np.minimum(w, kept).sum() + lost - level, 1e-6, kept[0])
    rate, slope = np.log(np.maximum(kept / water, 1)).sum() / 2, 1 / (2 * water)
    arguments = ("arguments.hidden=0", f"arguments.latent={latent}")
    recipe = ("train.steps=2000", "train.batch_size=all", "train.optimizer.lr=0.02")
    schedule = "train.schedule={name: CosineAnnealingLR, T_max: all}"
    settings = (f"penalized.coefficient={slope}", "lagrangian.dual_lr=0.1")
    overrides = cpd.Overrides(
        set=(*arguments, *recipe, schedule, *settings),
        methods=("penalized", "lagrangian"),
        levels=(f"reconstruction={level}",),
    )
    runs = cpd.sweep("geco", overrides, cpd.Options(keep=False, engine="captured")).document["runs"]
    assert len(runs) == 2
    for run in runs:
        at = run["constraints"]["reconstruction"]
        assert run["objective"] == pytest.approx(rate, rel=0.03)
        assert at["value"] == pytest.approx(level, rel=0.04)
        assert at["multiplier"] is None or at["multiplier"] == pytest.approx(slope, rel=0.03)
