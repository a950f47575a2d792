"""Models whose modules take their shapes from the first batch that they see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cpd.engine.generators import RandomState


def is_lazy(model: nn.Module) -> bool:
    """Whether some tensor of a model has no shape yet."""
    return any(nn.parameter.is_lazy(t) for t in [*model.parameters(), *model.buffers()])


def materialise(model: nn.Module, evaluate: Callable[[], Any], device: torch.device) -> bool:
    """Let a model's modules take their shapes, and draw their first numbers, as its first step would.

    Afterwards generators stand where they did when the last module had drawn, and buffers as they were made.

    Args:
        model: In training mode.
        evaluate: Calls it once.
        device: Where it is.

    Returns:
        Whether its first step would draw the same numbers: not where user code draws between two lazy modules.
    """
    made: dict[nn.Module, dict[str, Tensor]] = {m: _buffers(m) for m in model.modules() if not _waits(m)}
    states = [RandomState.now(device)]
    alike = True

    def before(module: nn.Module, args: Any) -> None:
        nonlocal alike
        alike = alike and not states[-1].drawn_since()

    def after(module: nn.Module, args: Any) -> None:
        made[module] = _buffers(module)
        states.append(RandomState.now(device))

    hooks = []
    for module in model.modules():
        if _waits(module):
            hooks += [
                module.register_forward_pre_hook(before, prepend=True),
                module.register_forward_pre_hook(after),
            ]
    try:
        with torch.no_grad():
            evaluate()
            for module, buffers in made.items():
                for name, value in buffers.items():
                    module.get_buffer(name).copy_(value)
    finally:
        for hook in hooks:
            hook.remove()
    states[-1].restore()
    return alike


def _waits(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return any(nn.parameter.is_lazy(t) for t in own)


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return {n: b.clone() for n, b in module.named_buffers(recurse=False) if not nn.parameter.is_lazy(b)}
