"""Who causes whom: a linear model of several variables whose graph has no cycle (NOTEARS)."""

from __future__ import annotations

import torch
from torch import Tensor

import cpd

SMALLEST, LARGEST = 0.5, 2.0
"""Absolute weights of the edges that are drawn."""
CUT = 0.3
"""Absolute weight from which an edge counts, as in the source."""

Batch = tuple[Tensor]


class Edges(torch.nn.Module):
    """The weights W ``[d, d]`` of a graph without loops, 0 at the start: W[i, j] is that of the edge from i to j."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(nodes, nodes))
        self.register_buffer("others", 1 - torch.eye(nodes))

    def forward(self) -> Tensor:
        """Return W, whose diagonal is 0."""
        weights: Tensor = self.weight * self.get_buffer("others")
        return weights


class Dag(cpd.Problem):
    r"""The linear model of d variables by each other that fits best, with a graph that has no cycle.

    .. math:: \min_W \frac{1}{2n} \|X - X W\|^2 + \lambda_1 \|W\|_1 \quad \text{subject to} \quad
        h(W) = \sum_{k=1}^d \frac{\operatorname{tr} (W \circ W)^k}{k!} = 0

    h is the source's ``tr(exp(W o W)) - d`` without the walks of more than d edges, each of which contains a shorter
    cycle: 0 where there is no cycle, and above 0 elsewhere. Where it is 0 so is its gradient: no finite multiplier is
    enough.

    Constraints: ``cycles``, h(W). Metrics of the graph of all edges with a weight of at least 0.3: ``wrong_edges``, how
    many are missing, too many or turned round (the structural Hamming distance); ``edges``, how many there are;
    ``true_edges``, how many the drawn graph has.

    Args:
        nodes: d.
        edges: of the graph that the data are drawn from.
        points: n.
        sparsity: The weight of the absolute sum in the objective.
        draw: Which graph is drawn, and which points: another whole number, another graph.

    Source: Zheng, Aragam, Ravikumar and Xing, "DAGs with NO TEARS" (2018), equations 4 and 8; the drawn graphs
    are their Section 5's, Erdos and Renyi's with Gaussian noise of variance 1.
    """

    def __init__(
        self, nodes: int = 10, edges: int = 20, points: int = 1000, sparsity: float = 0.1, draw: int = 0
    ) -> None:
        for name, value, least in (("nodes", nodes, 2), ("edges", edges, 0), ("points", points, 2), ("draw", draw, 0)):
            if type(value) is not int or value < least:
                hint = f"give a whole number from {least} on"
                raise cpd.CpdError(f"{value!r} is no number of {name}", place=f"arguments.{name}", hint=hint)
        if edges > nodes * (nodes - 1) // 2:
            hint = f"{nodes} nodes have at most {nodes * (nodes - 1) // 2}"
            raise cpd.CpdError(f"{edges} edges make cycles", place="arguments.edges", hint=hint)
        if not sparsity >= 0:
            raise cpd.CpdError(f"{sparsity!r} is below 0", place="arguments.sparsity", hint="e.g. 0.1")
        self.nodes, self.points, self.sparsity, self.draw = nodes, points, sparsity, draw
        self.graph = _drawn_graph(nodes, edges, torch.Generator().manual_seed(2 * draw))
        """The true weights ``[d, d]``: those of the draw, whatever the run's seed."""

    def data(self) -> Batch:
        """Draw the points ``[n, d]``: each variable is the weighted sum of its causes, and noise."""
        generator = torch.Generator().manual_seed(2 * self.draw + 1)
        noise = torch.randn(self.points, self.nodes, generator=generator, dtype=torch.float64)
        x = noise @ torch.linalg.inv(torch.eye(self.nodes, dtype=torch.float64) - self.graph)
        return ((x - x.mean(0)).float(),)

    def model(self) -> Edges:
        """Return weights that are 0: every seed starts there."""
        return Edges(self.nodes)

    def evaluate(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Evaluate the fit with its absolute sum, and h."""
        (x,) = batch
        weights = model()
        fit = (x - x @ weights).square().sum(1).mean() / 2
        objective = fit + self.sparsity * weights.abs().sum()
        return cpd.Evaluation(objective, constraints={"cycles": closed_walks(weights.square())})

    def measure(self, model: torch.nn.Module, batch: Batch) -> cpd.Evaluation:
        """Compare the graph with the true one."""
        at = self.evaluate(model, batch)
        weights = model()
        found, true = weights.abs() >= CUT, (self.graph != 0).to(weights.device)
        counts = {"wrong_edges": wrong_edges(found, true), "edges": found.sum(), "true_edges": true.sum()}
        metrics = {name: count.to(weights.dtype) for name, count in counts.items()}
        return cpd.Evaluation(at.objective, at.constraints, metrics=metrics)


def closed_walks(weights: Tensor) -> Tensor:
    """Return the weights of all closed walks of at most d edges, each divided by the factorial of its length.

    Args:
        weights: ``[d, d]``, at least 0.
    """
    total, power = weights.new_zeros(()), torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
    for length in range(1, len(weights) + 1):
        power = power @ weights / length
        total = total + power.diagonal().sum()
    return total


def wrong_edges(found: Tensor, true: Tensor) -> Tensor:
    """Return how many edges are missing, too many or turned round, each pair of nodes once.

    Args:
        found: ``[d, d]`` bool: whether there is an edge from i to j.
        true: Of the same shape.

    Source: the structural Hamming distance of Tsamardinos, Brown and Aliferis (2006).
    """
    differs = found != true
    return (differs | differs.T).triu(1).sum()


def _drawn_graph(nodes: int, edges: int, generator: torch.Generator) -> Tensor:
    """An upper triangle of weights, its nodes in another order."""
    places = torch.triu_indices(nodes, nodes, offset=1)
    chosen = places[:, torch.randperm(places.shape[1], generator=generator)[:edges]]
    sizes = SMALLEST + (LARGEST - SMALLEST) * torch.rand(edges, generator=generator, dtype=torch.float64)
    signs = torch.where(torch.rand(edges, generator=generator) < 0.5, -1.0, 1.0)
    weights = torch.zeros(nodes, nodes, dtype=torch.float64)
    weights[chosen[0], chosen[1]] = sizes * signs
    order = torch.randperm(nodes, generator=generator)
    return weights[order][:, order]
