"""A bound on a Lipschitz constant: norms and margins by NumPy, what a certificate promises, and a training."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import cpd
from cpd.problems.lipschitz import Lipschitz, largest, layers, margin, slopes, spectral_product


def made(hidden: int = 12) -> tuple[Lipschitz, torch.nn.Sequential]:
    problem = Lipschitz(hidden=hidden, radius=0.3)
    torch.manual_seed(0)
    return problem, problem.model().double()


@pytest.mark.parametrize("hidden", [1, 12, 80])
def test_the_product_is_of_the_largest_singular_values(hidden: int) -> None:
    _, model = made(hidden)
    weights = [layer.weight.detach().numpy() for layer in layers(model)]
    expected = math.prod(np.linalg.svd(weight, compute_uv=False)[0] for weight in weights)
    assert spectral_product(model).item() == pytest.approx(expected)


@pytest.mark.parametrize("size", [0.0, 1e-18, 1e-30])
def test_a_network_that_collapses_has_a_product_and_a_slope_that_are_finite(size: float) -> None:
    _, model = made()
    model = model.float()
    with torch.no_grad():
        for layer in layers(model):
            layer.weight.mul_(size)
    expected = math.prod(
        np.linalg.svd(layer.weight.detach().double().numpy(), compute_uv=False)[0] for layer in layers(model)
    )
    product = spectral_product(model)
    product.backward()
    assert product.item() == pytest.approx(expected, rel=1e-5, abs=1e-30)
    for layer, other in zip(layers(model), reversed(layers(model)), strict=True):
        assert layer.weight.grad is not None
        steepest = np.linalg.svd(other.weight.detach().double().numpy(), compute_uv=False)[0]
        assert np.linalg.norm(layer.weight.grad.double().numpy(), 2) == pytest.approx(steepest, rel=1e-4, abs=1e-30)


def test_the_slope_at_an_image_is_that_of_its_jacobian() -> None:
    problem, model = made()
    x = problem.data()[0][:20].double()
    jacobians = [torch.autograd.functional.jacobian(model, image) for image in x]
    expected = [np.linalg.svd(jacobian.numpy(), compute_uv=False)[0] for jacobian in jacobians]
    assert slopes(model, x).tolist() == pytest.approx(expected)
    assert slopes(model, x).max().item() <= spectral_product(model).item()


def test_no_step_goes_further_than_the_product_allows() -> None:
    problem, model = made()
    x = problem.data()[0][:200].double()
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype) * 0.1
    moved = (model(x + step) - model(x)).norm(dim=1) / step.norm(dim=1)
    assert 0 < moved.max().item() <= spectral_product(model).item()


def test_a_margin_is_the_right_logit_less_the_largest_other() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 2.0, 1.0], [1.0, 1.0, 0.0]])
    assert margin(logits, torch.tensor([0, 2, 1])).tolist() == [0.5, -1.0, 0.0]


def test_what_is_certified_is_still_read_right_after_the_worst_step() -> None:
    problem, model = made()
    with torch.no_grad():
        for layer in layers(model):
            layer.weight.mul_(3)
    x, labels = (t[:300] for t in problem.data())
    x = x.double().requires_grad_()
    labels = model(x).argmax(-1)  # as if each were read right
    at = problem.measure(model, (x, labels))
    margins = margin(model(x), labels)
    sure = margins > math.sqrt(2) * problem.radius * spectral_product(model)
    assert at.metrics["accuracy"].value.item() == 1
    assert at.metrics["certified"].value.item() == pytest.approx(sure.double().mean().item())
    (slope,) = torch.autograd.grad(margins.sum(), x)
    after = margin(model(x - problem.radius * slope / slope.norm(dim=1, keepdim=True)), labels)
    assert (after[sure] > 0).all()
    assert (margins - after <= math.sqrt(2) * problem.radius * spectral_product(model)).all()


@pytest.mark.parametrize("arguments", [{"hidden": 0}, {"radius": -1.0}, {"radius": math.inf}])
def test_what_makes_no_problem_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(cpd.CpdError, match=rf"^arguments.{next(iter(arguments))}: "):
        Lipschitz(**arguments)


@pytest.mark.slow
def test_a_multiplier_bounds_the_product_and_certifies_more() -> None:
    assign = ("train.steps=200", "penalized.coefficient=0", "lagrangian.dual_lr=0.001")
    found = cpd.sweep("lipschitz", cpd.Overrides(set=assign), cpd.Options(keep=False, engine="captured")).document
    free, bound = ({n: float(v) for n, v in run["metrics"].items() if v is not None} for run in found["runs"])
    assert free["certified"] < bound["certified"] - 0.02
    assert min(free["accuracy"], bound["accuracy"]) > 0.9
    for run in found["runs"]:
        at = run["constraints"]["lipschitz"]["value"]
        assert isinstance(at, float)
        steepest = run["metrics"]["steepest"]
        assert steepest is not None
        assert at / 4 < steepest <= at


def test_a_network_that_blew_up_has_no_product_and_leaves_its_neighbours_theirs() -> None:
    matrices = torch.stack(
        [torch.eye(3), torch.full((3, 3), torch.inf), torch.full((3, 3), torch.nan), 2 * torch.eye(3)]
    )
    matrices.requires_grad_()
    found = largest(matrices)
    assert found.isnan().tolist() == [False, True, True, False]
    assert found[[0, 3]].tolist() == pytest.approx([1, 2])
    (gradient,) = torch.autograd.grad(found[[0, 3]].sum(), matrices)
    assert gradient.isfinite().all()
