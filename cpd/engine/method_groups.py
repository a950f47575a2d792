"""The methods of a fused batch: each acts on its own rows of the ``[R, C]`` violations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from cpd.errors import CpdError
from cpd.methods.method import Method
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey


class Segment(NamedTuple):
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


def segment_name(key: RunKey) -> tuple[Any, ...]:
    """What two runs must share to be in one segment: the method, and every word among its hyperparameters."""
    words = {n: v for n, v in resolved(key).items() if isinstance(v, str | bool)}
    return (key.method, *(f"{n}={v}" for n, v in sorted(words.items())))


class Segments:
    """All methods of a batch as one pair of functions on ``[R, C]``.

    Args:
        keys: The runs, those of one segment side by side.
        sizes: Components per constraint name, in order; they sum to C.
        equality: ``[C]`` bool.
        like: A tensor that gives dtype and device.
    """

    def __init__(self, keys: Sequence[RunKey], sizes: Mapping[str, int], equality: Tensor, like: Tensor) -> None:
        self.equality = equality
        self.runs = len(keys)
        starts = [k for k, key in enumerate(keys) if k == 0 or segment_name(key) != segment_name(keys[k - 1])]
        ends = [*starts[1:], len(keys)]
        self.parts = [_segment(keys, slice(a, b), sizes, like) for a, b in zip(starts, ends, strict=True)]

    def init(self, like: Tensor) -> tuple[Any, ...]:
        """The state of every segment before the first step; ``like`` is ``[R, C]``."""
        return tuple(_own(p.method.init(p.setting, like[p.rows])) for p in self.parts)

    def update(self, violation: Tensor, states: tuple[Any, ...], active: Tensor) -> tuple[Any, ...]:
        """Move the multipliers of the active runs with the strict violation ``[R, C]``; the others stay as they are."""
        moved = []
        for part, state in zip(self.parts, states, strict=True):
            new = part.method.update(violation[part.rows], state, part.setting, self.equality)
            keep = active[part.rows].unsqueeze(-1)
            moved.append(pytree.tree_map(lambda a, b, keep=keep: torch.where(keep, a, b), new, state))
        return tuple(moved)

    def penalty_term(self, violation: Tensor, old: tuple[Any, ...], new: tuple[Any, ...]) -> Tensor:
        """What is added to each run's objective, ``[R]``, differentiable in the surrogate violation ``[R, C]``."""
        terms = [
            p.method.penalty_term(violation[p.rows], new[k] if p.alternating else old[k], p.setting, self.equality)
            for k, p in enumerate(self.parts)
        ]
        return terms[0] if len(terms) == 1 else torch.cat(terms)

    def multipliers(self, states: tuple[Any, ...], like: Tensor) -> Tensor:
        """``[R, C]``; NaN for methods without multipliers."""
        rows = [
            torch.full_like(like[p.rows], float("nan")) if p.method.multipliers is None else p.method.multipliers(s)
            for p, s in zip(self.parts, states, strict=True)
        ]
        return rows[0] if len(rows) == 1 else torch.cat(rows)


def _own(state: Any) -> Any:
    """Give every leaf memory of its own: states may be broadcast views, and checkpoints copy into them."""
    return pytree.tree_map(lambda t: t.clone().contiguous(), state)


def _segment(keys: Sequence[RunKey], rows: slice, sizes: Mapping[str, int], like: Tensor) -> Segment:
    own = [resolved(key) for key in keys[rows]]
    method = REGISTRY[keys[rows.start].method]
    setting = {n: _column([s[n] for s in own], n, sizes, like) for n in method.hyperparameters}
    return Segment(method, rows, setting, setting.get("update", "alternating") == "alternating")


def _column(values: list[Any], name: str, sizes: Mapping[str, int], like: Tensor) -> Any:
    """One hyperparameter of a segment: ``[rows, 1]``, ``[rows, C]`` if some run gives one per constraint, or a word."""
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
