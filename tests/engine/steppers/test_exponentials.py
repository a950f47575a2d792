"""Exponentials that are shared: the same values, for every number, with one exponential instead of three."""

import pytest
import torch
from torch import Tensor
from torch.func import functionalize, grad, vmap
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from cpd.engine.steppers.exponentials import share_exponentials

LABELS = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(7)
LOGITS = torch.tensor([0.0, 1e-9, -0.3, 2.0, -5.0, 36.0, -50.0], dtype=torch.float64).repeat_interleave(2)
ALL = torch.cat([LOGITS, torch.tensor([800.0, -800.0, 1e30, -1e30, float("inf"), float("nan")])]).double()


def lagrangian(x: Tensor, labels: Tensor) -> Tensor:
    """A cross-entropy on logits and a rate, as a constrained classifier has them."""
    rate = 1 - torch.sigmoid(x)
    return functional.binary_cross_entropy_with_logits(x, labels) + 0.3 * rate.mean()


def graph_of(function: object, *arguments: Tensor) -> GraphModule:
    """The functional graph of a function, with what compilers need to know of each value."""
    return make_fx(functionalize(function), tracing_mode="fake")(*arguments)  # type: ignore[arg-type]


def count(module: GraphModule, *names: str) -> int:
    """Nodes of these operations."""
    return sum(str(node.target) in {f"aten.{n}.default" for n in names} for node in module.graph.nodes)


def simplified(function: object, *arguments: Tensor) -> GraphModule:
    module = graph_of(function, *arguments)
    share_exponentials(module.graph)
    module.graph.lint()
    module.recompile()
    return module


STEP = vmap(grad(lagrangian), in_dims=(0, None))
BATCH = (torch.stack([LOGITS, LOGITS.flip(0)]), LABELS)


def test_a_step_takes_one_exponential_of_each_logit() -> None:
    before = graph_of(STEP, *BATCH)
    after = simplified(STEP, *BATCH)
    assert count(before, "exp", "sigmoid") == 3
    assert (count(after, "exp"), count(after, "sigmoid")) == (1, 0)
    torch.testing.assert_close(after(*BATCH), before(*BATCH), rtol=1e-13, atol=1e-17)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_form_has_its_value_whatever_the_number(dtype: torch.dtype) -> None:
    def forms(x: Tensor) -> list[Tensor]:
        m = torch.clamp_min(-x, 0)
        z = torch.exp(-x.abs())
        return [torch.exp(-m), torch.exp(-x - m), torch.exp(-m) + torch.exp(-x - m), torch.sigmoid(x), z]

    x = ALL.to(dtype)
    module = simplified(forms, x)
    assert count(module, "exp") == 1
    for value, expected in zip(module(x), forms(x), strict=True):
        assert value.dtype == dtype
        torch.testing.assert_close(value, expected, equal_nan=True)


def test_whole_numbers_stay_as_they_are() -> None:
    def forms(x: Tensor) -> Tensor:
        return torch.sigmoid(x) + torch.exp(-x.abs())

    x = torch.tensor([-2, 0, 3])
    assert str(simplified(forms, x).graph) == str(graph_of(forms, x).graph)


def test_every_new_value_is_known_to_the_compiler() -> None:
    module = simplified(STEP, *BATCH)
    nodes = [node for node in module.graph.nodes if node.op == "call_function"]
    assert all(isinstance(node.meta.get("val"), Tensor) for node in nodes)


@pytest.mark.parametrize(
    "alone",
    [
        lambda x: torch.sigmoid(x) * torch.sigmoid(x + 1),  # two numbers
        lambda x: torch.exp(-torch.clamp_min(-x, 1)) + torch.sigmoid(x),  # cut elsewhere
        lambda x: torch.exp(-x - torch.clamp_min(-2 * x, 0)) + torch.sigmoid(x),  # of another number
        lambda x: torch.exp(x.abs()) + torch.sigmoid(x),  # grows instead
        lambda x: torch.exp(-x) * torch.exp(-x),
    ],
)
def test_what_is_not_the_same_stays_as_it_is(alone: object) -> None:
    before = graph_of(alone, LOGITS)
    after = simplified(alone, LOGITS)
    assert str(after.graph) == str(before.graph)
