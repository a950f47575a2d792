"""One run as a person writes it with PyTorch alone: ``model(x)``, ``.backward()``, ``torch.optim``.

Nothing of the engine is used here. A recipe's feature is an entry of :data:`FEATURES`: what the YAML says, and
what a loop of one's own does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import cpd
from cpd.outcome import RunKey
from cpd.spec.models import Train

LEVEL = 0.4
EPS = 1e-5
"""Of Adam and AdamW: a gradient that is nothing but rounding makes no step."""


class Loop(NamedTuple):
    """What a loop of one's own does beside the optimizer's step.

    Attributes:
        optimizer: ``(model) -> optimizer``.
        before: ``(model)`` between ``backward()`` and the step.
        after: ``(optimizer, steps) -> what is called after each step``.
        average: The share of the last steps whose mean is judged; 0 for the last iterate.
        autocast: The precision in which operations of ``evaluate`` are done where torch deems that safe.
    """

    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    before: Callable[[nn.Module], Any] = lambda model: None
    after: Callable[[torch.optim.Optimizer, int], Callable[[], Any]] = lambda optimizer, steps: lambda: None
    average: float = 0.0
    autocast: torch.dtype | None = None


class Feature(NamedTuple):
    """A recipe, as the YAML has it and as a loop of one's own.

    Attributes:
        train: Fields of ``train`` beside steps and dtype.
        loop: The same by hand.
    """

    train: Mapping[str, Any]
    loop: Loop


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.001, eps=EPS)


def _adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.001, eps=EPS, weight_decay=0.05)


def _grouped(model: nn.Module) -> torch.optim.Optimizer:
    biases = [p for n, p in model.named_parameters() if n.endswith("bias")]
    others = [p for n, p in model.named_parameters() if not n.endswith("bias")]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": biases, "weight_decay": 0.0, "lr": 0.0003}]
    return torch.optim.AdamW(groups, lr=0.001, eps=EPS, weight_decay=0.05)


def _cosine(optimizer: torch.optim.Optimizer, steps: int) -> Callable[[], Any]:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps).step


SGD = {"name": "SGD", "options": {"lr": 0.01, "momentum": 0.9}}
ADAM = {"name": "Adam", "options": {"lr": 0.001, "eps": EPS}}
ADAMW = {"name": "AdamW", "options": {"lr": 0.001, "eps": EPS, "weight_decay": 0.05}}
BY_BIAS = {"*bias": {"weight_decay": 0.0, "lr": 0.0003}}

FEATURES: dict[str, Feature] = {
    "sgd": Feature({"optimizer": SGD}, Loop(_sgd)),
    "adam in minibatches": Feature({"optimizer": ADAM, "batch_size": 16}, Loop(_adam)),
    "adamw": Feature({"optimizer": ADAMW}, Loop(_adamw)),
    "groups": Feature({"optimizer": ADAMW, "groups": BY_BIAS}, Loop(_grouped)),
    "schedule": Feature(
        {"optimizer": SGD, "schedule": {"name": "CosineAnnealingLR", "T_max": "all"}}, Loop(_sgd, after=_cosine)
    ),
    "clip": Feature(
        {"optimizer": SGD, "clip": {"norm": 0.3}},
        Loop(_sgd, before=lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.3)),
    ),
    "autocast": Feature({"optimizer": ADAM, "autocast": "bfloat16"}, Loop(_adam, autocast=torch.bfloat16)),
    "average": Feature({"optimizer": ADAM, "average": 0.1}, Loop(_adam, average=0.1)),
}
"""By name; those of a recipe that has no such field yet are left out by :func:`known`."""


def known(name: str) -> bool:
    """Whether the recipe has all fields of a feature."""
    return FEATURES[name].train.keys() <= Train.model_fields.keys()


@dataclass
class Finished:
    """What a run came to.

    Attributes:
        numbers: Objective, value, multiplier, metrics, by name.
        tensors: Of the model: parameters and buffers.
        objectives: Of every step.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    objectives: list[float] = field(default_factory=list)


class Multiplier:
    """A method's multiplier and term, written out for one constraint ``value <= LEVEL``."""

    def __init__(self, key: RunKey, dtype: torch.dtype) -> None:
        self.key = key
        self.at = torch.zeros((), dtype=dtype)

    def moved(self, violation: Tensor) -> None:
        """The step of the multiplier."""
        step = self.key.setting.get("dual_lr", 0.0)
        self.at = (self.at + step * violation.detach()).clamp_min(0)

    def term(self, violation: Tensor) -> Any:
        """What is added to the objective."""
        setting = self.key.setting
        if self.key.method == "penalized":
            return setting["coefficient"] * violation
        if self.key.method == "quadratic_penalty":
            return setting["coefficient"] / 2 * violation.clamp_min(0) ** 2
        if self.key.method == "lagrangian":
            return self.at * violation
        raise NotImplementedError(self.key.method)


def train_plainly(problem: cpd.Problem, key: RunKey, steps: int, dtype: torch.dtype, feature: Feature) -> Finished:
    """Train one run."""
    before = torch.get_default_dtype()
    try:
        torch.manual_seed(0)
        data = problem.data()
        torch.manual_seed(key.seed)
        torch.set_default_dtype(torch.float32)  # a model draws its numbers as it is made
        model = problem.model()
        model = model.double() if dtype == torch.float64 else model
        for module in model.modules():
            for name, b in module._buffers.items():
                if b is not None and b.is_complex():
                    module._buffers[name] = b.to(dtype.to_complex())
        torch.set_default_dtype(dtype)
        data = data and tuple(t.to(dtype) if t.is_floating_point() else t for t in data)
        return _trained(problem, model, data, key, steps, feature)
    finally:
        torch.set_default_dtype(before)


def _trained(problem: cpd.Problem, model: nn.Module, data: Any, key: RunKey, steps: int, feature: Feature) -> Finished:
    began = torch.get_rng_state()
    loop, found = feature.loop, Finished()
    multiplier = Multiplier(key, next(model.parameters()).dtype)
    optimizer = loop.optimizer(model)
    after = loop.after(optimizer, steps)
    batches = minibatches(data, feature.train.get("batch_size"), key.seed)
    kept: list[dict[str, Tensor]] = []
    model.train()
    for step in range(steps):
        with torch.autocast("cpu", loop.autocast, enabled=loop.autocast is not None, cache_enabled=False):
            at = problem.evaluate(model, next(batches))
        violation = at.constraints["value"].to(multiplier.at.dtype) - LEVEL
        multiplier.moved(violation)
        optimizer.zero_grad()
        (at.objective.to(multiplier.at.dtype) + multiplier.term(violation)).backward()
        loop.before(model)
        optimizer.step()
        after()
        found.objectives.append(at.objective.item())
        if step >= steps - round(loop.average * steps):
            kept.append({n: p.detach().clone() for n, p in model.named_parameters()})
    if kept:
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(torch.stack([each[name] for each in kept]).mean(0))
    found.tensors = {n: t.detach().clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}
    model.eval()
    torch.set_rng_state(began)
    at = problem.measure(model, data)
    found.numbers = {"objective": float(at.objective.detach()), "value": float(at.constraints["value"].detach())}
    found.numbers |= {n: float(m.detach()) for n, m in at.metrics.items()}
    if "dual_lr" in key.setting:
        found.numbers["multiplier"] = multiplier.at.item()
    return found


def minibatches(data: Any, size: int | None, seed: int) -> Iterator[Any]:
    """All data each time, or minibatches in an order that the seed decides; the last of an epoch may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        if size is None:
            yield data
            continue
        for index in torch.randperm(len(data[0]), generator=generator).split(size):
            yield tuple(t[index] for t in data)
