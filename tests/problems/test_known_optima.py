"""Bundled problems whose optimum and multipliers are known: in closed form, by a dual, by another solver."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import cpd
from cpd.errors import CpdError
from cpd.problems.contradictory import Contradictory
from cpd.problems.entropy import Entropy
from cpd.problems.max_margin import MaxMargin
from cpd.problems.min_norm import ROWS, MinNorm
from cpd.verdict.document import RunRow

A, B = torch.tensor(ROWS, dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64)
WITH_MULTIPLIERS = ("lagrangian", "nupi", "augmented_lagrangian")


def shortest() -> tuple[Tensor, Tensor]:
    """x = A^T (A A^T)^-1 b and mu = -(A A^T)^-1 b."""
    mu = -torch.linalg.solve(A @ A.T, B)
    return -A.T @ mu, mu


def largest_entropy(mean: float = 4.5, square: float = 22.0) -> tuple[Tensor, Tensor]:
    """p and its two multipliers, by Newton's method on the dual's gradient: the moments minus their levels."""
    x = torch.arange(1, 7, dtype=torch.float64)
    moments, levels = torch.stack([x, x**2]), torch.tensor([mean, square], dtype=torch.float64)
    dual = torch.zeros(2, dtype=torch.float64)
    for _ in range(200):
        p = torch.softmax(-dual @ moments, 0)
        off = moments @ p - levels
        covariance = (moments * p) @ moments.T - torch.outer(moments @ p, moments @ p)
        dual = dual + 0.5 * torch.linalg.solve(covariance, off)
    return p, dual


def left(model: torch.nn.Module, at: cpd.Evaluation, multipliers: Mapping[str, Tensor], signs: int = 1) -> float:
    """Norm of the gradient of f and multipliers times values."""
    total = at.objective + sum((multipliers[n] * signs * v).sum() for n, v in at.constraints.items())
    gradients = torch.autograd.grad(total, list(model.parameters()))
    return float(torch.cat([g.reshape(-1) for g in gradients]).norm())


def test_the_shortest_solution_is_stationary_with_its_multipliers() -> None:
    x, mu = shortest()
    assert mu.tolist() == pytest.approx([-1 / 17, -11 / 17])
    problem = MinNorm()
    model = problem.model().double()
    model.load_state_dict({"weight": x[None]})
    torch.set_default_dtype(torch.float64)
    try:
        at = problem.evaluate(model, None)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [v.item() for v in at.constraints.values()] == pytest.approx(B.tolist())
    assert at.objective.item() == pytest.approx(x.square().sum().item() / 2)
    assert left(model, at, {"row1": mu[0], "row2": mu[1]}) < 1e-12


def test_the_largest_entropy_is_stationary_with_its_multipliers() -> None:
    p, dual = largest_entropy()
    problem = Entropy()
    model = problem.model().double()
    model.load_state_dict({"weight": p.log()[None]})
    at = problem.evaluate(model, None)
    assert [v.item() for v in at.constraints.values()] == pytest.approx([4.5, 22.0])
    assert at.metrics["entropy"].item() == pytest.approx(-(p * p.log()).sum().item())
    assert left(model, at, {"mean": dual[0], "square": dual[1]}) < 1e-10
    jaynes = torch.softmax(0.371048938 * torch.arange(1, 7, dtype=torch.float64), 0)
    assert jaynes.tolist() == pytest.approx([0.05435, 0.07877, 0.11416, 0.16545, 0.23977, 0.34749], abs=1e-5)
    assert dual[0] < 0 < dual[1], "the die is loaded upwards, and the bound on the square binds"


@pytest.mark.parametrize("cost", [None, 1.0, 0.1])
def test_the_street_of_another_solver_is_stationary_with_its_dual(cost: float | None) -> None:
    w, b, alpha = support_vectors(cost)
    problem = MaxMargin(slack_cost=cost)
    x, y = (t.double() for t in problem.data())
    model = problem.model().double()
    slack = (1 - y * (x @ w + b)).clamp_min(0)
    state = {"plane.weight": w[None], "plane.bias": b[None]} | ({} if cost is None else {"slack.weight": slack[None]})
    model.load_state_dict(state)
    at = problem.evaluate(model, (x, y))
    assert at.constraints["margin"].min().item() == pytest.approx(1, abs=1e-5)
    total = at.objective - (alpha * at.constraints["margin"]).sum()
    gradients = dict(zip(state, torch.autograd.grad(total, list(model.parameters())), strict=True))
    assert gradients["plane.weight"].norm() < 1e-4
    assert gradients["plane.bias"].norm() < 1e-4
    if cost is not None:  # where there is slack nothing is left; at 0 slack costs more than it saves
        assert gradients["slack.weight"][0][slack > 1e-6].abs().max() < 1e-4
        assert gradients["slack.weight"].min() > -1e-4


def support_vectors(cost: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """w, b and the dual variables, of scikit-learn."""
    svm = pytest.importorskip("sklearn.svm", reason="needs scikit-learn")
    x, y = MaxMargin(slack_cost=cost).data()
    found = svm.SVC(C=cost or 1e8, kernel="linear", tol=1e-9).fit(x.double().numpy(), y.numpy())
    alpha = torch.zeros(len(y), dtype=torch.float64)
    alpha[found.support_] = torch.tensor(found.dual_coef_[0].tolist(), dtype=torch.float64).abs()
    return (
        torch.tensor(found.coef_[0].tolist(), dtype=torch.float64),
        torch.tensor(float(found.intercept_[0]), dtype=torch.float64),
        alpha,
    )


def test_what_contradicts_itself_has_its_values() -> None:
    problem = Contradictory()
    model = problem.model()
    at = problem.evaluate(model, None)
    assert (at.objective.item(), at.metrics["y"].item()) == (1.25, 0.0)
    assert {n: v.item() for n, v in at.constraints.items()} == {"low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("problem", "arguments", "place"),
    [
        (MinNorm, {"rows": [[1, 2], [1]]}, "arguments.rows"),
        (Entropy, {"faces": 1}, "arguments.faces"),
        (MaxMargin, {"points_per_class": 0}, "arguments.points_per_class"),
        (MaxMargin, {"slack_cost": -1.0}, "arguments.slack_cost"),
    ],
)
def test_arguments_that_make_no_problem_are_refused(problem: Any, arguments: dict[str, Any], place: str) -> None:
    with pytest.raises(CpdError, match=rf"^{place}: "):
        problem(**arguments)


def trained(task: str, *assign: str) -> list[RunRow]:
    """All runs of a bundled task."""
    options = cpd.Options(keep=False, engine="captured")
    return cpd.sweep(task, cpd.Overrides(set=assign), options).document["runs"]


def ends(run: RunRow) -> dict[str, Any]:
    return {n: (c["value"], c["multiplier"]) for n, c in run["constraints"].items()}


def stationary(run: RunRow) -> bool:
    kkt = run["kkt"]
    assert kkt is not None
    return kkt["stationary"]


@pytest.mark.slow
def test_every_method_comes_to_the_shortest_solution() -> None:
    x, mu = shortest()
    best = x.square().sum().item() / 2
    for run in trained("min_norm"):
        found, name = ends(run), run["method"]
        if name in WITH_MULTIPLIERS or (name == "penalized" and isinstance(run["setting"]["coefficient"], list)):
            assert run["feasible"], run
            assert stationary(run), run
            assert run["objective"] == pytest.approx(best, abs=1e-6)
        if name in WITH_MULTIPLIERS:
            assert [m for _, m in found.values()] == pytest.approx(mu.tolist(), abs=1e-6)
        if name == "quadratic_penalty":  # x (1 + c A^T A) = c A^T b
            c: Any = run["setting"]["coefficient"]
            own = torch.linalg.solve(torch.eye(4, dtype=torch.float64) + c * A.T @ A, c * A.T @ B)
            assert [v for v, _ in found.values()] == pytest.approx((A @ own).tolist(), abs=1e-6)
            assert not run["feasible"]


@pytest.mark.slow
def test_every_method_comes_to_the_largest_entropy() -> None:
    p, dual = largest_entropy()
    entropy = -(p * p.log()).sum().item()
    for run in trained("entropy"):
        found, name = ends(run), run["method"]
        at_multipliers = name == "penalized" and run["setting"]["coefficient"][1] > 0  # type: ignore[index,operator]
        if name in WITH_MULTIPLIERS or at_multipliers:
            assert run["feasible"], run
            assert stationary(run), run
            assert run["metrics"]["entropy"] == pytest.approx(entropy, abs=1e-4)
        else:
            assert not run["feasible"], run
        if name in WITH_MULTIPLIERS:
            assert [m for _, m in found.values()] == pytest.approx(dual.tolist(), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("cost", [None, 1.0])
def test_every_method_with_multipliers_comes_to_the_street_of_another_solver(cost: float | None) -> None:
    w, b, alpha = support_vectors(cost)
    slack = 0.0
    if cost is not None:
        x, y = (t.double() for t in MaxMargin(slack_cost=cost).data())
        slack = cost * (1 - y * (x @ w + b)).clamp_min(0).sum().item()
    best = w.square().sum().item() / 2 + slack
    for run in trained("max_margin", f"arguments.slack_cost={'null' if cost is None else cost}"):
        name = run["method"]
        settles = cost is None or name != "lagrangian"  # of a linear objective in slack, plain ascent swings for ever
        if name in WITH_MULTIPLIERS and settles:
            assert run["feasible"], run
            assert stationary(run), run
            assert run["objective"] == pytest.approx(best, abs=1e-5)
            assert run["constraints"]["margin"]["multiplier"] == pytest.approx(alpha.tolist(), abs=1e-3)
        elif run["feasible"]:  # by a penalty, whose one coefficient is no dual
            assert run["objective"] is not None
            assert run["objective"] > 1.05 * best
            assert not stationary(run)


@pytest.mark.slow
def test_no_method_makes_contradictory_constraints_hold() -> None:
    for run in trained("contradictory"):
        (low, up), (high, down) = ends(run).values()
        assert not run["feasible"]
        assert not stationary(run)
        assert low == high
        assert run["metrics"]["y"] == pytest.approx(1)
        c: Any = run["setting"].get("coefficient")
        if run["method"] == "quadratic_penalty":  # 2 (x - 1/2) + c (x - 1) + c (x + 1) = 0
            assert low == pytest.approx(1 / (2 + 2 * c))
        elif run["method"] == "penalized":  # 2 (x - 1/2) = c_low - c_high
            each = c if isinstance(c, list) else [c, c]
            assert low == pytest.approx(0.5 + (each[0] - each[1]) / 2)
        else:
            assert low == pytest.approx(0, abs=1e-9)
            assert up - down == pytest.approx(-1)
            assert min(up, down) > 10, "both grow for ever"


@pytest.mark.slow
def test_the_surrogate_holds_where_the_true_rate_does_not() -> None:
    for run in trained("surrogate_rate", "lagrangian.dual_lr=0.1", "train.steps=6000"):
        rate = run["constraints"]["class0_rate"]
        assert rate["surrogate"] == pytest.approx(0.7, abs=1e-3)
        assert rate["value"] == pytest.approx(0.6575, abs=2 / 400)
        assert not run["feasible"]
        assert run["holds_only_by"] == {"class0_rate": "surrogate"}
        assert run["kkt"] is not None
        assert run["kkt"]["of"] == "surrogate"
        assert math.isclose(run["kkt"]["primal"] or 0, 0.7 - (rate["value"] or 0), abs_tol=1e-6)  # type: ignore[operator]
