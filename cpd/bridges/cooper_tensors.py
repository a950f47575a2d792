"""The tensors that a problem of Cooper's holds itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cpd.errors import CpdError


class Point(nn.Module):
    """A tensor that is to be found, as a module."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.x = nn.Parameter(start.detach().clone())


class Held(nn.Module):
    """What a problem of Cooper's holds of its model: its attributes that are modules, or tensors with gradients.

    Raises:
        CpdError: There are none.
    """

    def __init__(self, cmp: Any) -> None:
        super().__init__()
        own = {name: value for name, value in vars(cmp).items() if not hasattr(value, "constraint_type")}
        for name, value in own.items():
            if isinstance(value, nn.Module):
                self.add_module(name, value)
            elif isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                self.register_parameter(name, value if isinstance(value, nn.Parameter) else nn.Parameter(value))
        if not any(p.requires_grad for p in self.parameters()):
            hint = "give a function that makes the model: cpd.from_cooper(..., model=...)"
            raise CpdError(f"{type(cmp).__name__} holds no model to train", place="cpd.from_cooper()", hint=hint)


def tensors_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and buffers of a module, by name."""
    return [*module.named_parameters(), *module.named_buffers()]


@contextmanager
def standing(cmp: Any, model: nn.Module) -> Iterator[None]:
    """Let the tensors that a problem holds be those of the run, and be of its precision, on its device."""
    own = vars(cmp)
    like = next(model.parameters())
    now = {name: p for name, p in model._parameters.items() if p is not None} if isinstance(model, Held) else {}
    others = {name: value for name, value in own.items() if isinstance(value, Tensor) and name not in now}
    for name, value in others.items():
        cast = value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
        if cast is not value:
            now[name] = cast  # type: ignore[assignment]
    before = {name: own[name] for name, value in now.items() if own[name] is not value}
    own.update({name: now[name] for name in before})
    try:
        yield
    finally:
        for name, value in before.items():
            # What the problem assigned itself meanwhile stays: a buffer of its own.
            if own.get(name) is now[name]:
                own[name] = value


def empty(like: Tensor) -> tuple[Tensor, Tensor]:
    """No values and no places."""
    return like.new_zeros(0), torch.zeros(0, dtype=torch.long, device=like.device)
