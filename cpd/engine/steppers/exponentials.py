r"""Algebra on a program's graph that compilers leave undone: one exponential where a step takes several of one number.

Under ``vmap`` the cross-entropy on logits is ``log(exp(-m) + exp(-x - m))`` with ``m = max(-x, 0)``, and a rate or a
fairness gap adds ``sigmoid(x)``: three exponentials of each logit. With ``z = exp(-|x|)`` they are

.. math::
    e^{-m} = [x \ge 0\,?\,1 : z], \qquad e^{-x-m} = [x < 0\,?\,1 : z], \qquad e^{-m} + e^{-x-m} = 1 + z,
    \qquad \sigma(x) = e^{-m} / (1 + z).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Graph, Node

aten = torch.ops.aten

COPIES = (aten.detach.default, aten.clone.default, aten.alias.default)


def share_exponentials(graph: Graph) -> None:
    """Rewrite a functional graph of ATen operations so that exponentials of one number are taken once."""
    found: dict[Node, dict[Node, str]] = {}
    for node in graph.nodes:
        kind, x = _exponential(node)
        if x is not None:
            found.setdefault(x, {})[node] = kind
    for x, uses in found.items():
        if len(set(uses.values())) > 1 and x.meta["val"].is_floating_point():
            _share(graph, x, uses)
    graph.eliminate_dead_code()


def _exponential(node: Node) -> tuple[str, Node | None]:
    """Which exponential of which number a node is; of None where it is another operation."""
    if node.target == aten.sigmoid.default:
        return "sigmoid", _through(node.args[0])
    if node.target != aten.exp.default:
        return "", None
    power = _through(node.args[0])
    if (inner := _under(aten.neg.default, power)) is not None:
        if (x := _under(aten.abs.default, inner)) is not None:
            return "z", x
        return "positive", _negative_part(inner)
    if power.target == aten.sub.Tensor and isinstance(power.args[1], Node):
        x = _under(aten.neg.default, _through(power.args[0]))
        return "negative", x if x is not None and _negative_part(_through(power.args[1])) is x else None
    return "", None


def _negative_part(node: Node) -> Node | None:
    """The x of ``max(-x, 0)``."""
    if node.target != aten.clamp_min.default or node.args[1] != 0:
        return None
    return _under(aten.neg.default, _through(node.args[0]))


def _under(operation: Any, node: Node) -> Node | None:
    """What an operation was applied to; None where the node is another one."""
    return _through(node.args[0]) if node.target == operation else None


def _through(node: Any) -> Any:
    """The value itself, behind copies of it."""
    while node.target in COPIES:
        node = node.args[0]
    return node


def _share(graph: Graph, x: Node, uses: dict[Node, str]) -> None:
    """Write all of these exponentials of ``x`` with one."""
    value = x.meta["val"]
    with graph.inserting_after(x):
        last = one = graph.call_function(aten.full.default, ([], 1), {"dtype": value.dtype, "device": value.device})
    one.meta["val"] = value.new_ones(())

    def then(operation: Any, *args: Any) -> Node:
        nonlocal last
        with graph.inserting_after(last):
            last = graph.call_function(operation, args)
        last.meta["val"] = operation(*torch.fx.node.map_arg(args, lambda node: node.meta["val"]))
        return last

    z = then(aten.exp.default, then(aten.neg.default, then(aten.abs.default, x)))
    positive = then(aten.where.self, then(aten.ge.Scalar, x, 0), one, z)
    negative = then(aten.where.self, then(aten.lt.Scalar, x, 0), one, z)
    total = then(aten.add.Scalar, z, 1)
    sigmoid = then(aten.div.Tensor, positive, total)
    new = {"z": z, "positive": positive, "negative": negative, "sigmoid": sigmoid}
    for node, kind in uses.items():
        node.replace_all_uses_with(new[kind])
    for node in list(positive.users):
        if node.target == aten.add.Tensor and set(node.args) == {positive, negative} and not node.kwargs:
            node.replace_all_uses_with(total)
