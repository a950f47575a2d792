"""A KL ball around a reference model: divergences by NumPy, a reference that stays, and a training that obeys."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import rel_entr

import cpd
from cpd.problems.kl_finetune import KlFinetune, divergence, turned


def test_the_divergence_is_scipy_s() -> None:
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.randn(6, 10, generator=generator, dtype=torch.float64).log_softmax(-1) for _ in range(2))
    expected = rel_entr(p.exp().numpy(), q.exp().numpy()).sum(1)
    assert divergence(p, q).numpy() == pytest.approx(expected)
    assert divergence(p, p).abs().max().item() == 0


def test_images_are_turned_by_a_quarter() -> None:
    images = torch.arange(128.0).reshape(2, 64)
    expected = np.stack([np.rot90(image.reshape(8, 8)) for image in images.numpy()])
    assert (turned(images).reshape(2, 8, 8).numpy() == expected).all()


def test_every_run_starts_at_a_reference_that_reads_upright_digits_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    problem, other = KlFinetune(), KlFinetune()
    first, again = problem.model(), other.model()
    assert torch.equal(torch.random.get_rng_state(), before), "making the reference draws no number of a run"
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert all(p.requires_grad for p in first.parameters())
    at = problem.measure(first, problem.held_out())
    assert at.constraints["kl"].value.item() == pytest.approx(0, abs=1e-6)
    assert at.metrics["old_accuracy"].value.item() > 0.93
    assert at.metrics["new_accuracy"].value.item() < 0.2
    with torch.no_grad():
        next(first.parameters()).zero_()
    assert next(problem.reference.parameters()).abs().max() > 0, "a run moves a copy"


@pytest.mark.parametrize("hidden", [-1, 1.5, True])
def test_other_numbers_of_units_are_refused(hidden: Any) -> None:
    with pytest.raises(cpd.CpdError, match=r"^arguments.hidden: .* is no number of units"):
        KlFinetune(hidden=hidden)


class Tilted(cpd.Problem):
    """The largest mean reward within a KL ball, of which the answer is known: p is p_0 exp(reward / multiplier)."""

    rewards = torch.tensor([1.0, 0.3, -0.5, 2.0, 0.0], dtype=torch.float64)
    known = torch.tensor([0.4, 0.3, 0.1, 0.05, 0.15], dtype=torch.float64).log()

    def model(self) -> torch.nn.Module:
        model = torch.nn.Linear(1, 5, bias=False)
        with torch.no_grad():
            model.weight.copy_(self.known[:, None])
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        log_p = model(torch.ones(1, 1, dtype=torch.float64)).log_softmax(-1)
        return cpd.Evaluation(-(log_p.exp() * self.rewards).sum(), {"kl": divergence(log_p, self.known).sum()})


def test_a_ball_s_optimum_is_the_reference_tilted_by_the_rewards() -> None:
    def tilted(multiplier: float) -> torch.Tensor:
        return (Tilted.known + Tilted.rewards / multiplier).log_softmax(0)

    level = 0.2
    expected = brentq(lambda m: divergence(tilted(m), Tilted.known).item() - level, 0.1, 10)
    found = cpd.sweep(
        problem=Tilted,
        constraints={"kl": f"<= {level}"},
        train={"steps": 3000, "optimizer": {"name": "SGD", "lr": 0.3}, "dtype": "float64"},
        methods={"lagrangian": {"dual_lr": 0.3}, "penalized": {"coefficient": expected}},
        keep=False,
    )
    for run in found.document["runs"]:
        assert run["objective"] == pytest.approx(-(tilted(expected).exp() @ Tilted.rewards).item(), abs=1e-5)
        assert run["constraints"]["kl"]["value"] == pytest.approx(level, abs=1e-5)
    assert found.document["runs"][0]["constraints"]["kl"]["multiplier"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_a_multiplier_keeps_what_fine_tuning_forgets() -> None:
    assign = ("train.steps=300", "penalized.coefficient=0", "lagrangian.dual_lr=1")
    free, bound = cpd.sweep(
        "kl-finetune", cpd.Overrides(set=assign), cpd.Options(keep=False, engine="captured")
    ).document["runs"]
    assert number(free["metrics"]["old_accuracy"]) < 0.5 < 0.85 < number(bound["metrics"]["old_accuracy"])
    assert number(free["metrics"]["new_accuracy"]) > number(bound["metrics"]["new_accuracy"]) > 0.8
    assert number(bound["constraints"]["kl"]["value"]) == pytest.approx(0.1, abs=0.01)


def number(value: Any) -> float:
    assert isinstance(value, float)
    return value
