"""The methods of a fused batch: each acts on its own rows of the ``[R, C]`` violations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.tree import Part, leaves, mapped, refilled
from cpd.errors import CpdError
from cpd.methods.method import Method
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey

States = tuple[Part, ...]
"""What the method of each group remembers."""


class MethodGroup(NamedTuple):
    """Neighbouring runs with the same method and the same words among their hyperparameters.

    Attributes:
        setting: Numbers as tensors ``[rows, 1]`` or ``[rows, C]``; words and booleans as they are.
        alternating: Whether the model moves with the new multipliers or with the old ones.
    """

    method: Method
    rows: slice
    setting: Mapping[str, Any]
    alternating: bool


def resolved(key: RunKey) -> dict[str, Any]:
    """A run's hyperparameters with the defaults filled in."""
    method = REGISTRY[key.method]
    defaults = {name: h.default for name, h in method.hyperparameters.items()}
    return {**defaults, **key.setting}


def group_name(key: RunKey) -> tuple[Any, ...]:
    """What two runs must share to be in one group: the method, and every word among its hyperparameters."""
    words = {n: v for n, v in resolved(key).items() if isinstance(v, str | bool)}
    return (key.method, *(f"{n}={v}" for n, v in sorted(words.items())))


class MethodGroups:
    """All methods of a batch as one pair of functions on ``[R, C]``.

    Args:
        keys: The runs, those of one group side by side.
        sizes: Components per constraint name, in order; they sum to C.
        equality: ``[C]`` bool.
        like: A tensor that gives dtype and device.
    """

    def __init__(self, keys: Sequence[RunKey], sizes: Mapping[str, int], equality: Tensor, like: Tensor) -> None:
        self.equality = equality
        self.runs = len(keys)
        starts = [k for k, key in enumerate(keys) if k == 0 or group_name(key) != group_name(keys[k - 1])]
        ends = [*starts[1:], len(keys)]
        self.parts = [_group(keys, slice(a, b), sizes, like) for a, b in zip(starts, ends, strict=True)]

    def init(self, like: Tensor) -> States:
        """The state of every group before the first step; ``like`` is ``[R, C]``."""
        states = (p.method.init(p.setting, like[p.rows]) for p in self.parts)
        return tuple(
            Part(p.rows.start, p.rows.stop - p.rows.start, _own(s)) for p, s in zip(self.parts, states, strict=True)
        )

    def update(self, violation: Tensor, states: States, active: Tensor) -> States:
        """Move the multipliers of the active runs with the strict violation ``[R, C]``; the others stay as they are."""
        moved = []
        for part, state in zip(self.parts, states, strict=True):
            new = part.method.update(violation[part.rows], state.tree, part.setting, self.equality)
            keep = active[part.rows].unsqueeze(-1)
            pairs = zip(leaves(new), leaves(state.tree), strict=True)
            moved.append(state._replace(tree=refilled(new, [torch.where(keep, a, b) for a, b in pairs])))
        return tuple(moved)

    def penalty_term(self, violation: Tensor, old: States, new: States) -> Tensor:
        """What is added to each run's objective, ``[R]``, differentiable in the surrogate violation ``[R, C]``."""
        terms = [
            p.method.penalty_term(
                violation[p.rows], (after if p.alternating else before).tree, p.setting, self.equality
            )
            for p, before, after in zip(self.parts, old, new, strict=True)
        ]
        return terms[0] if len(terms) == 1 else torch.cat(terms)

    def multipliers(self, states: States, like: Tensor) -> Tensor:
        """``[R, C]``; NaN for methods without multipliers."""
        rows = [
            torch.full_like(like[p.rows], float("nan"))
            if p.method.multipliers is None
            else p.method.multipliers(s.tree)
            for p, s in zip(self.parts, states, strict=True)
        ]
        return rows[0] if len(rows) == 1 else torch.cat(rows)


def _own(state: Any) -> Any:
    """Give every leaf memory of its own: states may be broadcast views, and checkpoints copy into them."""
    return mapped(lambda t: t.clone().contiguous(), state)


def _group(keys: Sequence[RunKey], rows: slice, sizes: Mapping[str, int], like: Tensor) -> MethodGroup:
    own = [resolved(key) for key in keys[rows]]
    method = REGISTRY[keys[rows.start].method]
    setting = {n: _column([s[n] for s in own], n, sizes, like) for n in method.hyperparameters}
    return MethodGroup(method, rows, setting, setting.get("update", "alternating") == "alternating")


def _column(values: list[Any], name: str, sizes: Mapping[str, int], like: Tensor) -> Any:
    """One hyperparameter of a group: ``[rows, 1]``, ``[rows, C]`` if some run gives one per constraint, or a word."""
    if isinstance(values[0], str | bool):
        return values[0]
    if not any(isinstance(v, list | tuple) for v in values):
        return torch.tensor([[float(v)] for v in values], dtype=like.dtype, device=like.device)
    rows = [_per_component(v, name, sizes) for v in values]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _per_component(value: Any, name: str, sizes: Mapping[str, int]) -> list[float]:
    numbers = list(value) if isinstance(value, list | tuple) else [value] * len(sizes)
    if len(numbers) != len(sizes):
        raise CpdError(f"{name} has {len(numbers)} numbers for {len(sizes)} constraints", place=name)
    return [float(x) for x, size in zip(numbers, sizes.values(), strict=True) for _ in range(size)]
