"""Numbers that are calculated from shares, against the same arithmetic with plain tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import vmap

import cpd
from cpd.shares import Combined, Share

P = torch.tensor([0.2, 0.9, 0.6, 0.8, 0.3, 0.4], dtype=torch.float64)
A = torch.tensor([1, 0, 1, 1, 0, 0])
B = torch.tensor([0, 1, 0, 1, 1, 0])
GROUP = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]])
EMPTY = torch.zeros(6)
T = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)

WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "difference": lambda a, b, v: a - b,
    "gap": lambda a, b, v: abs(a - b),
    "gap of torch": lambda a, b, v: torch.abs(torch.sub(a, b)),
    "ratio": lambda a, b, v: a / b,
    "from numbers": lambda a, b, v: 1 - 2 * a / (a + np.float64(0.5)) + (3 - b) ** 2,
    "with tensors": lambda a, b, v: T[0] - a * T[1] + T[2] / b,
    "largest": lambda a, b, v: torch.maximum(a, b) - torch.minimum(a, T[0]),
    "spread": lambda a, b, v: v.max() - v.min(),
    "component": lambda a, b, v: v[1] - v[0],
    "vector": lambda a, b, v: v - v.mean(),
    "to a scalar": lambda a, b, v: v * a - T,
    "several": lambda a, b, v: torch.stack([a - b, v.sum(), b]),
    "joined": lambda a, b, v: torch.cat([v[:2], a.reshape(1)]),
    "hinge": lambda a, b, v: torch.relu(a - b) + (v - 0.1).clamp(min=0).sum(),
    "unpacked": lambda a, b, v: [*v][2] - a,
    "twice": lambda a, b, v: (a - b) / a,
}


def parts(p: Tensor) -> tuple[Share, Share, Share]:
    return cpd.share(p, of=A), cpd.share(p, of=B), cpd.share(p, of=GROUP)


def plain(p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return p[A > 0].mean(), p[B > 0].mean(), torch.stack([p[g > 0].mean() for g in GROUP.T])


@pytest.mark.parametrize("way", WAYS)
def test_shares_are_calculated_with_as_tensors_are(way: str) -> None:
    p = P.clone().requires_grad_()
    made, right = WAYS[way](*parts(p)), WAYS[way](*plain(p))
    assert isinstance(made, Combined)
    assert made.shape == right.shape
    assert torch.allclose(made.value, right, rtol=1e-12)
    assert made.there is None or made.there.all()
    for mine, own in zip(made.value.reshape(-1), right.reshape(-1), strict=True):
        (a,), (b,) = (torch.autograd.grad(one, p, retain_graph=True) for one in (mine, own))
        assert torch.allclose(a, b, rtol=1e-12)
    # Another value of each leaf, as on a resample: the formula is that of the other shares.
    leaves = [leaf.value if isinstance(leaf, Share) else leaf for leaf in WAYS[way](*parts(P**2)).leaves]
    assert torch.allclose(made.formula(leaves), WAYS[way](*plain(P**2)), rtol=1e-12)
    many = torch.stack([P, P**2, P**3])
    assert torch.allclose(vmap(lambda one: WAYS[way](*parts(one)).value)(many)[1], WAYS[way](*plain(P**2)), rtol=1e-12)


def test_what_needs_an_empty_group_is_not_there_and_has_no_gradient() -> None:
    p = P.clone().requires_grad_()
    full, empty = cpd.share(p, of=A), cpd.share(p, of=EMPTY)
    torch_: Any = torch  # which knows of tensors alone
    half = cpd.share(p, of=torch.stack([A, EMPTY], 1))  # the second component is of nobody
    made: dict[str, tuple[Any, Any]] = {
        "difference": (full - empty, False),
        "ratio": (full / empty, False),
        "root": (torch_.sqrt(empty), False),
        "power": ((full - empty) ** 0.5, False),
        "by component": (half * 2 - full, [True, False]),
        "log": (half.log(), [True, False]),
        "largest": (half.max(), False),
        "one": (half[0] / full, True),
        "stack": (torch_.stack([full, full - empty]), [True, False]),
        "further": (1 + abs(full - empty) / full, False),
        "whole": (cpd.share(p) - full, True),
    }
    for name, (value, there) in made.items():
        assert value.there.tolist() == there, name
        missing = ~value.there
        (gradient,) = torch.autograd.grad(torch.where(missing, value.value, 0).sum(), p, retain_graph=True)
        assert (gradient == 0).all(), name
        (gradient,) = torch.autograd.grad(value.value.sum(), p, retain_graph=True)
        assert gradient.isfinite().all(), name
        assert (value.value[missing] == 0).all(), name


def test_what_is_no_number_is_refused_as_python_does() -> None:
    share = cpd.share(P)
    with pytest.raises(TypeError):
        share + "1"
    with pytest.raises(AttributeError, match="'sort'"):
        share.sort()
    assert not hasattr(share, "__deepcopy__")
    assert (share - share).there is None


def test_terms_are_by_example_where_the_sum_is_over_examples() -> None:
    p = torch.rand(6, 4)
    whole = [
        (cpd.share(p > 0.5), True),
        (cpd.share(p.T > 0.5, dim=1), True),
        (cpd.share(p[:, 0], of=GROUP), True),
        (cpd.share(p > 0.5, dim=None), False),
        (cpd.share(p[:, :1], dim=-2), True),
    ]
    for share, one_each in whole:
        assert share.terms is not None
        found = share.terms.by_example((6,))
        assert found is not None
        counted, of, once = found
        assert (len(counted), len(of), once) == (6, 6, one_each)
        assert torch.allclose(counted.sum(0) / of.sum(0), share.value.reshape(-1))
    pairs = cpd.share((p[:, :1] > p[:, 0]).reshape(-1))
    assert pairs.terms is not None
    assert pairs.terms.by_example((6,)) is None
