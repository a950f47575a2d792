"""The methods of a fused batch: each acts on its own rows of the ``[R, C]`` violations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.dual import ONE_STEP, Clock, Column, Driven, Dual, asked, dual, whole_numbers
from cpd.engine.dual_optimizer import DualOptimizer
from cpd.engine.features import Features
from cpd.engine.tree import Part, leaves, mapped, refilled
from cpd.errors import CpdError
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method
from cpd.methods.multipliers import DRIVEN, HELD_OUT
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey

MOST = 64
"""Components of constraints whose gradients a step takes one by one."""

States = tuple[Part, ...]
"""What the method of each group remembers."""


class MethodGroup(NamedTuple):
    """Neighbouring runs with the same method and the same words among their hyperparameters.

    Attributes:
        setting: Numbers as tensors ``[rows, 1]`` or ``[rows, C]``; words and booleans as they are.
        alternating: Whether the model moves with the new multipliers or with the old ones.
        dual: How the multipliers are driven; None where the method's own update is all.
    """

    method: Method
    rows: slice
    setting: Mapping[str, Any]
    alternating: bool
    dual: Dual | None

    @property
    def tensors(self) -> list[Tensor]:
        """All numbers that the group's steps read."""
        values = leaves(self.setting)
        own = [tensor for value in values if isinstance(value, DualOptimizer) for tensor in value.tensors]
        driven = [] if self.dual is None else self.dual.tensors
        return [*(value for value in values if isinstance(value, Tensor)), *own, *driven]

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides which operations its steps consist of."""
        words = [(n, _word(v)) for n, v in self.setting.items()]
        return (self.method.name, self.rows, self.alternating, words, self.dual and self.dual.structure)

    def init(self, like: Tensor) -> Any:
        """What is remembered before the first step; ``like`` is ``[rows, C]``."""
        if self.dual is None:
            return self.method.init(self.setting, like)
        first = torch.zeros((), dtype=torch.long, device=like.device)
        return self.dual.init(self.method.init(self.dual.at(self.setting, first), like), like)

    def update(self, violation: Tensor, state: Any, equality: Tensor, step: Tensor, observed: Tensor | None) -> Any:
        """What is remembered after a step with the strict violation ``[rows, C]``."""
        setting = {**self.setting, "step": step}
        if self.dual is not None:
            return self.dual.update(self.method, violation, state, setting, equality, observed)
        if observed is None:
            return self.method.update(violation, state, setting, equality)
        if self.method.shared:
            setting["observed"], violation = observed, torch.where(observed, violation, torch.zeros_like(violation))
            observed = observed.any(-1, keepdim=True)
        new = self.method.update(violation, state, setting, equality)
        pairs = zip(leaves(new), leaves(state), strict=True)
        return refilled(new, [torch.where(observed, a, b) for a, b in pairs])

    @staticmethod
    def of_method(state: Any) -> Any:
        """What the method itself remembers."""
        return state.method if isinstance(state, Driven) else state


def resolved(key: RunKey) -> dict[str, Any]:
    """A run's hyperparameters with the defaults filled in."""
    method = REGISTRY[key.method]
    defaults = {name: h.default for name, h in method.hyperparameters.items()}
    return {**defaults, **key.hyperparameters}


def on_held_out(key: RunKey) -> bool:
    """Whether a run's multipliers move on examples that its model does not learn on."""
    return bool(resolved(key).get("multipliers_on") == HELD_OUT)


def group_name(key: RunKey) -> tuple[Any, ...]:
    """What two runs must share to be in one group.

    The method, every word among its hyperparameters, what mappings consist of, and how the multipliers are driven.
    """
    setting = resolved(key)
    driven = asked(setting)
    words = {n: _kind(v) for n, v in setting.items() if isinstance(v, str | bool | Mapping) and n not in DRIVEN}
    words |= {n: setting[n] for n, one in REGISTRY[key.method].hyperparameters.items() if one.of_constraints}
    return (key.method, *(f"{n}={v}" for n, v in sorted(words.items())), *driven)


def _kind(value: Any) -> Any:
    """A value without its numbers, but for whether they are zero: then an optimizer leaves an operation out."""
    if isinstance(value, Mapping):
        return {name: _kind(entry) for name, entry in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_kind(entry) for entry in value]
    return value if isinstance(value, str | bool) else value != 0


class MethodGroups:
    """All methods of a batch as one pair of functions on ``[R, C]``.

    Args:
        keys: The runs, those of one group side by side.
        sizes: Components per constraint name, in order; they sum to C.
        equality: ``[C]`` bool.
        like: A tensor that gives dtype and device.
        clock: How long the training is: some hyperparameters are shares of it.
        features: Of the constraints; None where the problem gives none.
    """

    def __init__(
        self,
        keys: Sequence[RunKey],
        sizes: Mapping[str, int],
        equality: Tensor,
        like: Tensor,
        clock: Clock = ONE_STEP,
        features: Features | None = None,
    ) -> None:
        self.features = features = Features({}, "") if features is None else features
        self.equality = equality
        self.clock = clock
        self.runs = len(keys)
        starts = [k for k, key in enumerate(keys) if k == 0 or group_name(key) != group_name(keys[k - 1])]
        ends = [*starts[1:], len(keys)]
        self.parts = [
            _group(keys, slice(a, b), sizes, like, clock, features) for a, b in zip(starts, ends, strict=True)
        ]

    def init(self, like: Tensor) -> States:
        """The state of every group before the first step; ``like`` is ``[R, C]``."""
        states = (p.init(like[p.rows]) for p in self.parts)
        return tuple(
            Part(p.rows.start, p.rows.stop - p.rows.start, _own(s)) for p, s in zip(self.parts, states, strict=True)
        )

    def update(
        self, violation: Tensor, states: States, active: Tensor, step: Tensor, observed: Tensor | None = None
    ) -> States:
        """Move the multipliers of the active runs with the strict violation ``[R, C]``; the others stay as they are.

        So does all that a method keeps of a component that is not observed, ``[R, C]`` bool; None: all are. ``step`` is
        the number of steps done.
        """
        moved = []
        for part, state in zip(self.parts, states, strict=True):
            seen = None if observed is None else observed[part.rows]
            new = part.update(violation[part.rows], state.tree, self.equality, step, seen)
            keep = active[part.rows].unsqueeze(-1)
            pairs = zip(leaves(new), leaves(state.tree), strict=True)
            moved.append(state._replace(tree=refilled(new, [torch.where(keep, a, b) for a, b in pairs])))
        return tuple(moved)

    def penalty_term(self, violation: Tensor, old: States, new: States) -> Tensor:
        """What is added to each run's objective, ``[R]``, differentiable in the surrogate violation ``[R, C]``."""
        terms = [
            p.method.penalty_term(
                violation[p.rows], p.of_method((after if p.alternating else before).tree), p.setting, self.equality
            )
            for p, before, after in zip(self.parts, old, new, strict=True)
        ]
        return terms[0] if len(terms) == 1 else torch.cat(terms)

    def multipliers(self, states: States, like: Tensor) -> Tensor:
        """``[R, C]``; NaN for methods without multipliers."""
        rows = [
            torch.full_like(like[p.rows], float("nan"))
            if p.method.multipliers is None
            else p.method.multipliers(p.of_method(s.tree))
            for p, s in zip(self.parts, states, strict=True)
        ]
        return rows[0] if len(rows) == 1 else torch.cat(rows)


def _own(state: Any) -> Any:
    """Give every leaf memory of its own: states may be broadcast views, and checkpoints copy into them."""
    return mapped(lambda t: t.clone().contiguous(), state)


def _group(
    keys: Sequence[RunKey], rows: slice, sizes: Mapping[str, int], like: Tensor, clock: Clock, features: Features
) -> MethodGroup:
    own = [resolved(key) for key in keys[rows]]
    method = REGISTRY[keys[rows.start].method]

    def column(values: list[Any], name: str, like: Tensor) -> Any:
        return _column(values, name, sizes, like)

    declared = {n: one for n, one in method.hyperparameters.items() if n not in DRIVEN}
    setting = {n: _values(one, [s[n] for s in own], n, column, clock, like) for n, one in declared.items()}
    for name, one in declared.items():
        if one.of_constraints:
            setting[name] = features.of(int(own[0][name]), sizes, like)
        if one.others and isinstance(own[0][name], Mapping):
            place = f"methods.{method.name}.{name}"
            setting[name] = DualOptimizer([s[name] for s in own], sum(sizes.values()), like.device, place)
    if method.velocities is not None and sum(sizes.values()) > MOST:
        message = f"it takes the gradient of each of {sum(sizes.values()):,} components of constraints"
        raise CpdError(message, place=f"methods.{method.name}", hint=f"{MOST} at most: take another method")
    alternating = setting.get("update", "alternating") == "alternating"
    return MethodGroup(method, rows, setting, alternating, dual(own, clock, column, like, f"methods.{method.name}"))


def _values(one: Hyperparameter, values: list[Any], name: str, column: Column, clock: Clock, like: Tensor) -> Any:
    """One hyperparameter of a group, or one key of a mapping: a column, a word, or a mapping of these."""
    if isinstance(values[0], Mapping) and not one.others:
        inner = values[0].keys()
        return {n: _values(one.fields[n], [v[n] for v in values], f"{name}.{n}", column, clock, like) for n in inner}
    return column(values, name, like) if not one.whole else whole_numbers([clock.every(v) for v in values], like)


def _column(values: list[Any], name: str, sizes: Mapping[str, int], like: Tensor) -> Any:
    """One hyperparameter of a group: ``[rows, 1]``, ``[rows, C]`` if some run gives one per constraint, or a word."""
    if isinstance(values[0], str | bool | Mapping):
        return values[0]
    if not any(isinstance(v, list | tuple) for v in values):
        return torch.tensor([[float(v)] for v in values], dtype=like.dtype, device=like.device)
    rows = [_per_component(v, name, sizes) for v in values]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _per_component(value: Any, name: str, sizes: Mapping[str, int]) -> list[float]:
    numbers = list(value) if isinstance(value, list | tuple) else [value] * len(sizes)
    if len(numbers) != len(sizes):
        raise CpdError(f"{name} has {len(numbers)} numbers for {len(sizes)} constraints", place=name)
    bounds = [math.inf if x == "none" else float(x) for x in numbers]  # of one constraint among others that have some
    return [x for x, size in zip(bounds, sizes.values(), strict=True) for _ in range(size)]


def _word(value: Any) -> Any:
    """What of a value decides which operations there are."""
    if isinstance(value, Mapping):
        return [(name, _word(entry)) for name, entry in value.items()]
    if isinstance(value, DualOptimizer):
        return value.structure
    return tuple(value.shape) if isinstance(value, Tensor) else value
