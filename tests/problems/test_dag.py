"""Graphs without cycles: h and the distance between graphs by hand, and a training that comes to the best of all."""

from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from sklearn.linear_model import Lasso

import cpd
from cpd.problems.dag import CUT, Dag, closed_walks, wrong_edges


def test_h_is_the_source_s_but_for_walks_that_are_longer_than_the_graph_is_large() -> None:
    weights = torch.rand(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 4
    exact = np.trace(expm(weights.numpy())) - 5
    longer = sum(
        np.trace(np.linalg.matrix_power(weights.numpy(), k)) / float(torch.tensor(k).lgamma().exp() * k)
        for k in range(6, 25)
    )
    assert closed_walks(weights).item() == pytest.approx(exact - longer, rel=1e-6)


def test_h_is_0_where_there_is_no_cycle_and_known_where_there_is_one() -> None:
    triangle = torch.ones(4, 4, dtype=torch.float64).triu(1)
    order = torch.tensor([2, 0, 3, 1])
    assert closed_walks(triangle[order][:, order]).item() == 0
    two = torch.zeros(2, 2, dtype=torch.float64)
    two[0, 1], two[1, 0] = 0.5, 3.0
    assert closed_walks(two).item() == pytest.approx(2 * 1.5 / 2), "of two edges, from either end"
    ring = torch.zeros(3, 3, dtype=torch.float64)
    ring[0, 1] = ring[1, 2] = ring[2, 0] = 2.0
    assert closed_walks(ring).item() == pytest.approx(3 * 8 / 6), "of three edges, from each"


def test_edges_are_missing_too_many_or_turned_round_once() -> None:
    true, found = torch.zeros(2, 5, 5, dtype=torch.bool)
    for i, j in [(0, 1), (1, 2), (3, 4)]:
        true[i, j] = True
    for i, j in [(0, 1), (2, 1), (0, 4), (4, 0)]:
        found[i, j] = True
    assert wrong_edges(found, true).item() == 3, "one turned round, one missing, one pair too many"
    assert wrong_edges(true, true).item() == 0


def test_the_true_graph_has_the_fit_of_its_noise_and_no_wrong_edge() -> None:
    problem = Dag(nodes=6, edges=7, points=20_000, sparsity=0.5)
    (x,) = problem.data()
    model = problem.model().double()
    with torch.no_grad():
        model.weight.copy_(problem.graph)
    at = problem.measure(model, (x.double(),))
    assert at.constraints["cycles"].item() == 0
    assert {n: v.item() for n, v in at.metrics.items()} == {"wrong_edges": 0, "edges": 7, "true_edges": 7}
    assert at.objective.item() == pytest.approx(6 / 2 + 0.5 * problem.graph.abs().sum().item(), abs=0.05)
    with torch.no_grad():
        model.weight.add_(torch.eye(6) * 9)
    assert problem.measure(model, (x.double(),)).objective.item() == at.objective.item(), "there are no loops"


def test_data_are_the_same_whatever_the_seed() -> None:
    torch.manual_seed(1)
    (first,) = Dag().data()
    torch.manual_seed(2)
    assert torch.equal(first, Dag().data()[0])
    other = Dag(draw=1)
    assert not torch.equal(first, other.data()[0])
    assert not torch.equal(Dag().graph, other.graph)


@pytest.mark.parametrize(
    "arguments",
    [{"nodes": 1}, {"nodes": 3, "edges": 4}, {"edges": -1}, {"points": True}, {"draw": -1}, {"sparsity": float("nan")}],
)
def test_what_makes_no_graph_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(cpd.CpdError, match=rf"^arguments.{list(arguments)[-1]}: "):
        Dag(**arguments)


def best_of_all(x: np.ndarray, sparsity: float) -> tuple[float, np.ndarray]:
    """The best fit of any graph without cycles, and its weights: that of the best order, each node by a lasso."""
    nodes = x.shape[1]

    @cache
    def by(node: int, before: frozenset[int]) -> tuple[float, tuple[float, ...]]:
        column, causes = np.zeros(nodes), sorted(before)
        if before:
            lasso = Lasso(sparsity, fit_intercept=False, tol=1e-10, max_iter=100_000)
            column[causes] = lasso.fit(x[:, causes], x[:, node]).coef_
        return float(((x[:, node] - x @ column) ** 2).mean() / 2 + sparsity * abs(column).sum()), tuple(column)

    def of(order: tuple[int, ...]) -> tuple[float, np.ndarray]:
        found = {node: by(node, frozenset(order[:place])) for place, node in enumerate(order)}
        return sum(fit for fit, _ in found.values()), np.array([found[node][1] for node in range(nodes)]).T

    return min(map(of, permutations(range(nodes))), key=lambda pair: pair[0])


@pytest.mark.slow
def test_a_training_comes_to_the_best_graph_of_all() -> None:
    problem = Dag(nodes=4, edges=4)
    (x,) = problem.data()
    best, weights = best_of_all(x.double().numpy(), problem.sparsity)
    assert wrong_edges(torch.tensor(abs(weights) >= CUT), problem.graph != 0).item() == 0
    settings = ("penalized.coefficient=1,1000", "lagrangian.dual_lr=10000", "augmented_lagrangian.dual_lr=10000")
    assign = ("arguments.nodes=4", "arguments.edges=4", "train.steps=1000", *settings)
    found = cpd.sweep("dag", cpd.Overrides(set=assign), cpd.Options(keep=False, engine="captured")).document
    free, *bound = found["runs"]
    assert free["objective"] is not None
    assert free["objective"] < best * 0.9, "with cycles it fits better"
    assert not free["feasible"]
    assert len(bound) == 3
    for run in bound:
        assert run["feasible"], run["method"]
        assert run["objective"] == pytest.approx(best, rel=0.01), run["method"]
        assert run["metrics"] == {"wrong_edges": 0, "edges": 4, "true_edges": 4}, run["method"]
