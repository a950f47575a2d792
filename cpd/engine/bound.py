"""A problem and its model as one module: whose tensors are where, however often a module or a tensor is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cpd.engine.calling import Calls
from cpd.problem import Evaluation

Tensors = dict[str, Tensor]


class Bound(nn.Module):
    """A problem's methods as a module, so that ``functional_call`` reaches the model's tensors inside them.

    Args:
        calls: Calls the user's methods.
        model: The model, as its constructor left it.
    """

    def __init__(self, calls: Calls, model: nn.Module) -> None:
        super().__init__()
        self.calls = calls
        self.model = model
        modules = dict(model.named_modules())
        self._own = [(m, key, b) for m in modules.values() for key, b in m._buffers.items() if b is not None]
        self._paths = _paths(modules)

    def forward(self, method: str, batch: Any, offered: Mapping[str, Any]) -> tuple[Evaluation, Tensors]:
        """The evaluation, and what is not trained as it stands afterwards, whether changed in place or assigned."""
        result = self.calls(method, self.model, batch, offered)
        return result, named_tensors(self.model)

    def everywhere(self, tensors: Mapping[str, Tensor]) -> Tensors:
        """Tensors under all names that they have: those that modules share have several, a shared module's one."""
        return {f"model.{path}": t for name, t in tensors.items() for path in self._paths.get(name, (name,))}

    def put_back(self) -> None:
        """Let the model have its own buffers again, where an evaluation has assigned others."""
        for module, key, buffer in self._own:
            if module._buffers.get(key) is not buffer:
                module._buffers[key] = buffer


def named_tensors(model: nn.Module) -> Tensors:
    """All tensors of a model by name, those that are trained and those that are not."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _paths(modules: Mapping[str, nn.Module]) -> dict[str, tuple[str, ...]]:
    """By the name that ``named_parameters`` gives a tensor: that and its other ones, each place once."""
    first: dict[int, str] = {}
    paths: dict[str, tuple[str, ...]] = {}
    for prefix, module in modules.items():
        for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
            path = f"{prefix}.{key}" if prefix else key
            if tensor is not None:
                name = first.setdefault(id(tensor), path)
                paths[name] = (*paths.get(name, ()), path)
    return paths
