"""What the fuzzer's problems do in ``evaluate`` beyond calling the model: masks, state, noise, gradients, places."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class At:
    """An evaluation under way.

    Attributes:
        problem: Its ``self``: state of traits is kept there.
        x: Inputs ``[B, 8]``; changed in place by some.
        y: Labels ``[B]``, 0 or 1.
        group: ``[B]``, whole numbers.
        z: Logits ``[B]``; None before the model is called.
        weight: Of each example in the loss.
        extra: Added to the loss.
        scale: Of the loss.
    """

    problem: Any
    model: nn.Module
    x: Tensor
    y: Tensor
    group: Tensor
    z: Tensor = field(default_factory=lambda: torch.zeros(0))
    weight: Tensor | float = 1.0
    extra: Tensor | float = 0.0
    scale: Tensor | float = 1.0


Trait = Callable[[At], None]


def _in_place(at: At) -> None:
    at.x.mul_(0.9)


def _centred_in_place(at: At) -> None:
    at.x -= at.x.mean(0)


def _count(at: At) -> None:
    at.problem.calls = getattr(at.problem, "calls", 0) + 1
    at.scale = at.scale * max(0.2, 1 - at.problem.calls / 80)


def _branch_on_count(at: At) -> None:
    at.problem.turns = getattr(at.problem, "turns", 0) + 1
    if at.problem.turns % 3 == 0:
        at.scale = at.scale * 0.5


def _late(at: At) -> None:
    """Changes once, late: a step that was captured before would not see it."""
    at.problem.late = getattr(at.problem, "late", 0) + 1
    if at.problem.late > 17:
        at.scale = at.scale * 2.0


def _rare(at: At) -> None:
    """Does something else at every thirteenth call alone."""
    at.problem.rare = getattr(at.problem, "rare", 0) + 1
    at.scale = at.scale * (3.0 if at.problem.rare % 13 == 0 else 1.0)


def _count_on_model(at: At) -> None:
    at.model.seen = getattr(at.model, "seen", 0) + len(at.x)  # type: ignore[assignment]
    at.scale = at.scale / (1 + float(at.model.seen) / 500)  # type: ignore[arg-type,operator]


def _history(at: At) -> None:
    history = at.problem.__dict__.setdefault("history", [])
    history.append(at.z.detach().mean())
    at.extra = at.extra + 0.1 * (at.z.mean() - torch.stack(history[-5:]).mean()).square()


def _average(at: At) -> None:
    before = getattr(at.problem, "average", None)
    now = at.z.detach().mean()
    at.problem.average = now if before is None else 0.9 * before + 0.1 * now
    at.extra = at.extra + 0.2 * (at.z.mean() - at.problem.average).square()


def _python_noise(at: At) -> None:
    at.x = at.x + 0.3 * random.gauss(0, 1)


def _numpy_noise(at: At) -> None:
    at.x = at.x + torch.as_tensor(np.random.randn(*at.x.shape) * 0.2, dtype=at.x.dtype)


def _python_choice(at: At) -> None:
    if random.random() < 0.3:
        at.scale = at.scale * 2.0


def _own_generator(at: At) -> None:
    g = at.problem.__dict__.setdefault("generator", torch.Generator().manual_seed(5))
    at.x = at.x + 0.3 * torch.randn(at.x.shape, generator=g, dtype=at.x.dtype)


def _own_numpy(at: At) -> None:
    rng = at.problem.__dict__.setdefault("rng", np.random.default_rng(5))
    at.x = at.x + torch.as_tensor(0.3 * rng.standard_normal(8), dtype=at.x.dtype)


def _own_python(at: At) -> None:
    rng = at.problem.__dict__.setdefault("python", random.Random(5))
    at.scale = at.scale * (0.5 + rng.random())


def _torch_item(at: At) -> None:
    at.scale = at.scale * (0.5 + float(torch.rand(())))


def _noise_of_mask(at: At) -> None:
    """As many random numbers as there are positives."""
    noise = torch.zeros_like(at.z).masked_scatter(at.y > 0, 0.3 * torch.randn(int(at.y.sum())).to(at.z.dtype))
    at.extra = at.extra + (at.z * noise).mean()


def _mixup(at: At) -> None:
    order = torch.randperm(len(at.x))
    share = float(np.random.beta(0.4, 0.4))
    at.x, at.y = share * at.x + (1 - share) * at.x[order], share * at.y + (1 - share) * at.y[order]


def _flip(at: At) -> None:
    """Turned round with a chance of one half, each example by itself."""
    at.x = torch.where(torch.rand(len(at.x), 1) < 0.5, at.x.flip(-1), at.x)


def _boolean_mask(at: At) -> None:
    kept = at.z[at.y > 0.5]
    at.extra = at.extra + 0.3 * kept.square().sum() / max(1, len(kept))


def _nonzero(at: At) -> None:
    places = (at.y > 0.5).nonzero().squeeze(-1)
    at.extra = at.extra + 0.3 * at.z[places].abs().sum() / max(1, len(places))


def _unique(at: At) -> None:
    for g in at.group.unique():
        at.extra = at.extra + 0.1 * at.z[at.group == g].mean().square()


def _unique_without(at: At) -> None:
    """The same with masks of one shape: only how many groups there are depends on the data."""
    for g in at.group.unique().tolist():
        own = (at.group == g).to(at.z.dtype)
        at.extra = at.extra + 0.1 * ((at.z * own).sum() / own.sum()).square()


def _item_of_batch(at: At) -> None:
    at.scale = at.scale * (1 + at.x.detach().abs().max().item())


def _item_of_model(at: At) -> None:
    at.scale = at.scale * (1 + abs(at.z.detach().mean().item()))


def _if_on_batch(at: At) -> None:
    if at.y.mean() > 0.5:
        at.scale = at.scale * 2.0


def _if_on_model(at: At) -> None:
    if at.z.detach().mean() > 0:
        at.extra = at.extra + 0.1 * at.z.square().mean()


def _len_of_mask(at: At) -> None:
    at.scale = at.scale * (1 + len(at.group[at.group == 0]) / len(at.group))


def _sorted(at: At) -> None:
    values, _ = at.z.sort()
    at.extra = at.extra + 0.2 * (values[1:] - values[:-1]).square().sum()


def _hardest(at: At) -> None:
    wrong = torch.nn.functional.binary_cross_entropy_with_logits(at.z, at.y, reduction="none")
    at.extra = at.extra + 0.3 * wrong.topk(max(1, len(wrong) // 3)).values.mean()


def _quantile(at: At) -> None:
    at.extra = at.extra + 0.2 * at.z.quantile(0.8).square()


def _median(at: At) -> None:
    at.extra = at.extra + 0.2 * at.z.median().square()


def _balanced(at: At) -> None:
    share = at.y.mean().clamp(0.05, 0.95)
    at.weight = torch.where(at.y > 0.5, 0.5 / share, 0.5 / (1 - share))


def _slope(at: At) -> None:
    x = at.x.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(at.model(x).sum(), x, create_graph=True)
    at.extra = at.extra + 0.05 * slope.square().sum(1).mean()


def _adversarial(at: At) -> None:
    x = at.x.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(at.model(x).squeeze(-1).square().mean(), x)
    at.extra = at.extra + 0.2 * at.model(at.x + 0.05 * slope.sign()).square().mean()


def _own_gradient(at: At) -> None:
    """The norm of the loss's gradient in the parameters."""
    own = [p for p in at.model.parameters() if p.requires_grad]
    slopes = torch.autograd.grad(at.z.square().mean(), own, create_graph=True, allow_unused=True)
    at.extra = at.extra + 0.05 * torch.stack([s.square().sum() for s in slopes if s is not None]).sum()


def _start(at: At) -> None:
    """The distance from where the training began, which ``model`` kept."""
    now = torch.cat([p.reshape(-1) for p in at.model.parameters()])
    at.extra = at.extra + 0.1 * (now - at.problem.begun.to(now.dtype)).square().sum()


def _decay(at: At) -> None:
    at.extra = at.extra + 0.01 * torch.stack([p.square().sum() for p in at.model.parameters()]).sum()


def _two_calls(at: At) -> None:
    at.extra = at.extra + 0.1 * at.model(at.x.flip(0)).square().mean()


def _own_mode(at: At) -> None:
    """Calls the model in evaluation mode on the way."""
    mode = at.model.training
    at.model.eval()
    with torch.no_grad():
        target = at.model(at.x).squeeze(-1)
    at.model.train(mode)
    at.extra = at.extra + 0.1 * (at.z - target).square().mean()


BEFORE: dict[str, Trait] = {
    "in place": _in_place,
    "centred in place": _centred_in_place,
    "count": _count,
    "branch on count": _branch_on_count,
    "late": _late,
    "rare": _rare,
    "count on model": _count_on_model,
    "python noise": _python_noise,
    "numpy noise": _numpy_noise,
    "python choice": _python_choice,
    "own generator": _own_generator,
    "own numpy": _own_numpy,
    "own python": _own_python,
    "torch item": _torch_item,
    "mixup": _mixup,
    "flip": _flip,
    "item of batch": _item_of_batch,
    "if on batch": _if_on_batch,
    "length of mask": _len_of_mask,
    "balanced": _balanced,
}
"""What is done before the model is called."""

AFTER: dict[str, Trait] = {
    "history": _history,
    "average": _average,
    "noise of mask": _noise_of_mask,
    "boolean mask": _boolean_mask,
    "nonzero": _nonzero,
    "unique": _unique,
    "unique without": _unique_without,
    "item of model": _item_of_model,
    "if on model": _if_on_model,
    "sorted": _sorted,
    "hardest": _hardest,
    "quantile": _quantile,
    "median": _median,
    "slope": _slope,
    "adversarial": _adversarial,
    "own gradient": _own_gradient,
    "start": _start,
    "decay": _decay,
    "two calls": _two_calls,
    "own mode": _own_mode,
}
"""What is done after it."""

MEASURES: dict[str, Callable[[At], tuple[Tensor, Tensor | None]]] = {
    "rate": lambda at: (torch.sigmoid(at.z).mean(), (at.z > 0).to(at.z.dtype).mean()),
    "size": lambda at: (torch.stack([p.square().sum() for p in at.model.parameters()]).sum(), None),
    "spread": lambda at: (at.z.square().mean(), None),
    "groups": lambda at: (_by_group(at, torch.sigmoid(at.z)), _by_group(at, (at.z > 0).to(at.z.dtype))),
    "product": lambda at: (at.problem.table.to(at.z.dtype) @ _head(at), None),
    "margins": lambda at: (at.problem.table.to(at.z.dtype).mul(_head(at)).sum(1), None),
    "largest": lambda at: (_head(at).abs().topk(3).values, None),
    "entries": lambda at: (_head(at), None),
    "outer": lambda at: (torch.outer(_head(at)[:3], _head(at)[:2]).reshape(-1), None),
    "examples": lambda at: (at.y.sub(0.5) * (at.problem.kept[0].to(at.z.dtype) @ _head(at)), None),
    "masked": lambda at: (at.z[at.y > 0.5].sum() / (1 + (at.y > 0.5).sum()), None),
    "slack": lambda at: (at.z.mean(), at.z.mean().round(decimals=1)),
    "norm": lambda at: (torch.linalg.matrix_norm(_head(at).view(2, 4), 2), None),
}
"""The constraints: their surrogate and, where it is another, their strict value."""


def _head(at: At) -> Tensor:
    return at.model.head.weight[0]  # type: ignore[union-attr,index]


def _by_group(at: At, values: Tensor) -> Tensor:
    own = torch.nn.functional.one_hot(at.group, 3).to(values.dtype)
    return (values[:, None] * own).sum(0) / (own.sum(0) + 1)
