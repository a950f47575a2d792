"""Max pooling of a captured step on a CPU, in the layout in which torch's code for it is four times as fast."""

from __future__ import annotations

import operator

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

_POOL = torch.ops.aten.max_pool2d_with_indices.default
_CLONE = torch.ops.aten.clone.default

LEAST_CHANNELS = 8
"""Channels from which it pays: torch's code takes many of them at once where they lie side by side."""


def pool_channels_last(graph: GraphModule) -> None:
    """Let max pooling read images with their channels last, and give its results as before: the same to the last bit.

    The largest number of a window is the same in any layout, and so is the first place where it stands.
    """
    for node in list(graph.graph.nodes):
        if node.target == _POOL and _pays(node.args[0]):
            _turn(graph, node)
    graph.recompile()


def _pays(images: Node) -> bool:
    given = images.meta.get("val")
    if not isinstance(given, Tensor) or given.dim() != 4 or given.device.type != "cpu":
        return False
    return given.is_contiguous() and given.shape[1] >= LEAST_CHANNELS


def _turn(graph: GraphModule, pool: Node) -> None:
    """Turn the images before a pooling, and its results back."""
    images = pool.args[0]
    with graph.graph.inserting_before(pool):
        turned = graph.graph.call_function(_CLONE, (images,), {"memory_format": torch.channels_last})
    pool.args = (turned, *pool.args[1:])
    for result in list(pool.users):
        assert result.target == operator.getitem, "it gives a pair"
        with graph.graph.inserting_after(result):
            back = graph.graph.call_function(_CLONE, (result,), {"memory_format": torch.contiguous_format})
        result.replace_all_uses_with(back)
        back.args = (result,)
