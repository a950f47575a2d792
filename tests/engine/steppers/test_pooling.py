"""Max pooling with the channels last gives what it gave, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from cpd.engine.steppers.pooling import pool_channels_last


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (2, 3), "stride": 1, "dilation": (1, 2), "ceil_mode": True},
    ],
)
def test_values_and_gradients_are_the_same_bits(channels: int, options: dict[str, Any]) -> None:
    def step(x: torch.Tensor, w: torch.Tensor) -> list[torch.Tensor]:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            pooled, places = functional.max_pool2d(leaf.relu(), return_indices=True, **options)
            flat = pooled.flatten(1)
            (gradient,) = torch.autograd.grad((flat * w[: flat.shape[1]]).sum(), leaf)
        return [pooled.detach().contiguous(), places.contiguous(), flat.detach(), gradient]

    torch.manual_seed(0)
    x, w = torch.randn(6, channels, 9, 8), torch.randn(10_000)
    x[0, 0, 0, 0] = torch.nan  # and ties: half of the numbers are 0 after the relu
    graph = make_fx(step)(x, w)
    before = graph(x, w)
    pool_channels_last(graph)
    turned = sum(node.kwargs.get("memory_format") is torch.channels_last for node in graph.graph.nodes)
    assert turned == (channels == 16)
    for new, old, right in zip(graph(x, w), before, step(x, w), strict=True):
        assert new.stride() == old.stride()
        torch.testing.assert_close(new, old, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(new, right, rtol=0, atol=0, equal_nan=True)
