"""The reference: a plain training loop as one writes it with PyTorch alone, a run at a time.

Nothing of the engine is imported here: the methods' updates are written out from the equations of ``docs/methods.md``.
"""

from __future__ import annotations

import importlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from fuzz_cases import Case
from torch import Tensor

from cpd.outcome import RunKey

DATA_SEED = 0
"""Seeds every generator before ``data()``."""


@dataclass
class Plain:
    """What a run came to.

    Attributes:
        numbers: By name, an array ``[...]`` each: of the finished model.
        curves: By name, ``[steps, ...]``.
        error: The exception that ended it.
        steps: Steps done before anything was not finite.
        diverged: Whether something was not.
    """

    numbers: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    steps: int = 0
    diverged: bool = False


def train_plainly(case: Case, key: RunKey, shake: float = 0.0, shaken_by: int = 0) -> Plain:
    """Train one run.

    Args:
        case: The problem and its recipe.
        key: The run.
        shake: How far the initial weights are moved, relatively: what rounding comes to is measured so.
        shaken_by: Seeds which way each is moved.
    """
    found = Plain()
    before = torch.get_default_dtype()
    try:
        _train(case, key, found, shake, shaken_by)
    except Exception as error:
        found.error = error
    finally:
        torch.set_default_dtype(before)
    return found


def _train(case: Case, key: RunKey, found: Plain, shake: float, shaken_by: int) -> None:
    dtype = getattr(torch, case.train.dtype)
    kind = getattr(importlib.import_module("fuzz_problem"), case.kind)
    problem = kind(**case.arguments)
    _seed(DATA_SEED)
    data = problem.data()
    if isinstance(data, torch.utils.data.TensorDataset):
        data = data.tensors
    data = None if data is None else tuple(t.to(dtype) if t.is_floating_point() else t for t in data)
    _seed(key.seed)
    model = problem.model().to(dtype)
    began = (torch.get_rng_state(), random.getstate(), np.random.get_state())
    if shake:
        _shake(model, shake, shaken_by)
    torch.set_default_dtype(dtype)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = getattr(torch.optim, case.train.optimizer.name)(trained, **_options(case))
    method, order = None, _minibatches(data, case.train.batch_size, key.seed)
    curves: dict[str, list[Tensor]] = {}
    for _ in range(case.train.steps or 0):
        model.train()
        at = problem.evaluate(model, next(order))
        g = {n: _violation(case, key, n, v) for n, v in at.constraints.items()}
        strict = {**at.constraints, **(at.strict or {})}
        values = {"objective": at.objective, **{f"strict {n}": strict[n] for n in case.constraints}}
        values = {n: v.detach().clone() for n, v in values.items()}  # a value may be a parameter itself
        if not all(torch.isfinite(v).all() for v in [*values.values(), *g.values()]):
            found.diverged = True
            break
        method = method or Method(case, key, g)
        term = method.step(g, {n: _violation(case, key, n, strict[n].detach()) for n in case.constraints})
        optimizer.zero_grad()
        (at.objective + term).backward()
        optimizer.step()
        if case.kind == "Boxed":
            _project(problem, model)
        if method.multiplier is not None:
            values |= {f"multiplier {n}": m for n, m in method.multiplier.items()}
        for name, value in values.items():
            curves.setdefault(name, []).append(value)
        found.steps += 1
    found.curves = {f"curve {n}": torch.stack(v).double().numpy() for n, v in curves.items()}
    torch.set_rng_state(began[0])
    random.setstate(began[1])
    np.random.set_state(began[2])
    found.numbers = _measured(case, problem, model, data, method)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _shake(model: torch.nn.Module, shake: float, by: int) -> None:
    g = torch.Generator().manual_seed(by)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 + shake * torch.randn(p.shape, generator=g, dtype=p.dtype))


def _options(case: Case) -> dict[str, Any]:
    return {n: tuple(v) if isinstance(v, list) else v for n, v in case.train.optimizer.options.items()}


def _minibatches(data: Any, size: int | None, seed: int) -> Iterator[Any]:
    """All data, or shuffled minibatches of an order that a generator of the seed's decides; the last may be smaller."""
    g = torch.Generator().manual_seed(seed)
    while True:
        if data is None or size is None:
            yield data
            continue
        for index in torch.randperm(len(data[0]), generator=g).split(size):
            yield tuple(t[index] for t in data)


def _project(problem: Any, model: torch.nn.Module) -> None:
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, projected in problem.project(dict(named)).items():
            named[name].copy_(projected)


def _violation(case: Case, key: RunKey, name: str, value: Tensor) -> Tensor:
    level = torch.tensor(key.levels[name], dtype=value.dtype)
    return level - value if case.constraints[name].sense == ">=" else value - level


def _measured(case: Case, problem: Any, model: torch.nn.Module, data: Any, method: Method | None) -> dict[str, Any]:
    model.eval()
    at = problem.measure(model, data)
    strict = {**at.constraints, **(at.strict or {})}
    numbers = {"objective": at.objective}
    for name in case.constraints:
        numbers |= {f"surrogate {name}": at.constraints[name], f"strict {name}": strict[name]}
        if method is not None and method.multiplier is not None:
            numbers[f"multiplier {name}"] = method.multiplier[name]
    numbers |= {f"metric {n}": v for n, v in at.metrics.items()}
    return {n: v.detach().double().numpy() for n, v in numbers.items()}


class Method:
    """A method on one run's constraints, each a scalar or ``[k]``, by name."""

    def __init__(self, case: Case, key: RunKey, like: dict[str, Tensor]) -> None:
        self.name, self.given = key.method, dict(key.setting)
        self.equality = {n: c.sense == "==" for n, c in case.constraints.items()}
        self.names = list(case.constraints)
        self.like = {n: torch.zeros_like(v.detach()) for n, v in like.items()}
        has = self.name not in ("penalized", "quadratic_penalty")
        self.multiplier = self._each("multiplier_init", 0.0) if has else None
        self.c = self._each("coefficient" if "coefficient" in self.given else "penalty", 0.0)
        self.eta = self._each("dual_lr", 0.0)
        self.smoothed: dict[str, Tensor] | None = None
        self.t = 0
        self.m, self.v = dict(self.like), dict(self.like)

    def _each(self, name: str, default: float) -> dict[str, Tensor]:
        value = self.given.get(name, default)
        values = value if isinstance(value, list) else [value] * len(self.names)
        return {n: self.like[n] + float(v) for n, v in zip(self.names, values, strict=True)}

    def step(self, g: dict[str, Tensor], strict: dict[str, Tensor]) -> Tensor:
        """Move the multipliers with the strict violations; return what is added to the objective."""
        before = None if self.multiplier is None else dict(self.multiplier)
        self.t += 1
        c = dict(self.c)
        if self.multiplier is not None:
            ascended = {n: self._ascended(n, strict[n]) for n in self.names}
            if self.name == "nupi":
                self.smoothed = {n: self._smoothed(n, strict[n])[0] for n in self.names}
            self.multiplier = ascended
        growth = self.given.get("growth", 1.0)
        for n in self.names:
            violated = strict[n] != 0 if self.equality[n] else strict[n] > 0
            self.c[n] = torch.where(violated, self.c[n] * growth, self.c[n])
        acting = before if self.given.get("update") == "simultaneous" else self.multiplier
        terms = [self._term(g[n], None if acting is None else acting[n], c[n], self.equality[n]) for n in self.names]
        return torch.stack([term.sum() for term in terms]).sum()

    def _term(self, g: Tensor, multiplier: Tensor | None, c: Tensor, equality: bool) -> Tensor:
        if self.name == "penalized":
            return c * g
        if self.name == "quadratic_penalty":
            return c / 2 * (g if equality else g.clamp(min=0)).square()
        assert multiplier is not None
        if self.name != "augmented_lagrangian":
            return multiplier * g
        inside = multiplier * g + c / 2 * g.square()
        if equality:
            return inside
        outside = -multiplier.square() / (2 * torch.where(c > 0, c, 1.0))
        return torch.where((c > 0) & (multiplier + c * g < 0), outside, inside)

    def _ascended(self, n: str, e: Tensor) -> Tensor:
        assert self.multiplier is not None
        if self.name == "nupi":
            new, old = self._smoothed(n, e)
            moved = self.eta[n] * (self.given.get("ki", 1.0) * e + self.given.get("kp", 0.0) * (new - old))
        elif self.given.get("dual_optimizer") == "Adam":
            moved = self.eta[n] * self._adam(n, e)
        else:
            moved = self.eta[n] * e
        new = self.multiplier[n] + moved
        if not self.equality[n]:
            new = new.clamp(min=0)
            if self.given.get("restart"):
                new = torch.where(e < 0, 0.0, new)
        return new

    def _smoothed(self, n: str, e: Tensor) -> tuple[Tensor, Tensor]:
        """The smoothed violation of this step, and the one before it."""
        nu, init = self.given.get("nu", 0.0), self.given.get("init", "released")
        if self.t == 1 and init != "zeros":
            start = e if init == "documented" else torch.zeros_like(e)
            return start, start
        old = torch.zeros_like(e) if self.smoothed is None else self.smoothed[n]
        return nu * old + (1 - nu) * e, old

    def _adam(self, n: str, e: Tensor) -> Tensor:
        self.m[n], self.v[n] = 0.9 * self.m[n] + 0.1 * e, 0.999 * self.v[n] + 0.001 * e * e
        first = self.m[n] / -math.expm1(self.t * math.log(0.9))
        second = self.v[n] / -math.expm1(self.t * math.log(0.999))
        return first / (second.sqrt() + 1e-8)
