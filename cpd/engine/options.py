"""An optimizer's options as a step reads them: words as they are, numbers as rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor


class Options:
    """The options of some parameters at one step.

    Args:
        words: Those that decide which operations there are, by name: ``nesterov``.
        numbers: The others, ``[R]`` in double precision or a scalar for all runs, by name: ``lr``, ``betas.0``.
        some: Numbers that are not zero for some run at some step.
        every: Numbers that are not zero for any run at any step.
    """

    def __init__(
        self,
        words: Mapping[str, Any],
        numbers: Mapping[str, Tensor],
        some: Collection[str] = (),
        every: Collection[str] = (),
    ) -> None:
        self._words = words
        self._numbers = numbers
        self._some = some
        self._every = every
        self._once: dict[tuple[str, int], tuple[Tensor | None, Tensor]] = {}
        self._rows: dict[tuple[int, torch.dtype, int], tuple[Tensor, Tensor]] = {}

    def __getitem__(self, name: str) -> Tensor:
        """A number in double precision."""
        return self._numbers[name]

    def word(self, name: str) -> Any:
        """A word or boolean; None for an optimizer without such an option."""
        return self._words.get(name)

    def is_number(self, name: str) -> bool:
        """Whether there is a number of this name."""
        return name in self._numbers

    def some(self, name: str) -> bool:
        """Whether a number, or a word that is a boolean, matters to some run."""
        return name in self._some or bool(self._words.get(name))

    def every(self, name: str) -> bool:
        """Whether no run's number is ever zero."""
        return name in self._every

    def once(self, name: str, make: Callable[[], Tensor], at: Tensor | None = None) -> Tensor:
        """What ``make`` gives, made once; ``at`` is what it depends on besides the options."""
        key = (name, id(at))
        if key not in self._once:
            self._once[key] = (at, make())  # what it depends on is kept with it, so that no other one gets its id
        return self._once[key][1]

    def rows(self, value: Tensor, like: Tensor) -> Tensor:
        """Numbers ``[R]``, or one for all, as they broadcast against ``like``, in its precision."""
        key = (id(value), like.dtype, like.dim())
        if key not in self._rows:
            low = value.to(like.dtype)
            self._rows[key] = (value, low.view(-1, *[1] * (like.dim() - 1)) if low.dim() else low)
        return self._rows[key][1]


COUNTS = ("ns_steps",)
"""Numbers that say how often something is done: as a word does, they decide which operations there are."""


def told_apart(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """Words and numbers; a pair's numbers are named one by one: ``betas.0``, ``betas.1``."""
    words: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    for name, value in options.items():
        if _is_number(value) and name not in COUNTS:
            numbers[name] = float(value)
        elif isinstance(value, list | tuple) and any(map(_is_number, value)):
            numbers |= {f"{name}.{k}": float(each) for k, each in enumerate(value) if _is_number(each)}
            words |= {f"{name}.{k}": each for k, each in enumerate(value) if not _is_number(each)}
        else:
            words[name] = value
    return words, numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
