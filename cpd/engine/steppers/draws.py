"""The random numbers of a captured step, drawn outside of it: a compiled program then sees the eager step's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

DRAWN = {
    torch.ops.aten.rand.default,
    torch.ops.aten.randn.default,
    torch.ops.aten.randint.default,
    torch.ops.aten.randint.low,
    torch.ops.aten.randperm.default,
    torch.ops.aten.normal.float_float,
    torch.ops.aten.rand_like.default,
    torch.ops.aten.randn_like.default,
    torch.ops.aten.bernoulli.p,
}
"""Operators whose numbers depend on the shapes of their arguments alone, not on what those hold."""


class Draw(NamedTuple):
    """One call of torch's generator, as the step makes it.

    Attributes:
        operator: One of :data:`DRAWN`.
        arguments: With a tensor for its shape where the step passes one.
        options: By name.
        shape: Of what it gives.
        dtype: Likewise.
    """

    operator: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    shape: tuple[int, ...]
    dtype: torch.dtype

    def now(self) -> Tensor:
        """Draw: the generator moves on as in the eager step."""
        drawn: Tensor = self.operator(*self.arguments, **self.options)
        return drawn

    @property
    def size(self) -> int:
        """In bytes."""
        return self.dtype.itemsize * int(torch.Size(self.shape).numel())


def lift_draws(graph: GraphModule) -> list[Draw] | None:
    """Turn every random number of a graph into an argument behind the others.

    Returns:
        The draws in the order in which the step makes them; None, with the graph as it was, where a random number
        depends on more than shapes.
    """
    nodes = [node for node in graph.graph.nodes if _is_random(node)]
    if any(node.target not in DRAWN for node in nodes):
        return None
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    draws = []
    for k, node in enumerate(nodes):
        draws.append(_draw(node))
        with graph.graph.inserting_after(last):
            last = graph.graph.placeholder(f"draw_{k}")
        node.replace_all_uses_with(last)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return draws


def _is_random(node: Node) -> bool:
    return node.op == "call_function" and torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _draw(node: Node) -> Draw:
    given = node.meta["val"]
    arguments = tuple(_template(a) if isinstance(a, Node) else a for a in node.args)
    return Draw(node.target, arguments, dict(node.kwargs), tuple(given.shape), given.dtype)


def _template(node: Node) -> Tensor:
    """A tensor of the shape and layout that the step passes here, whatever it holds."""
    like = node.meta["val"]
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=like.device)
