"""A method's setting as its functions take it."""

from typing import Any

import torch

from cpd.engine.features import cosines
from cpd.methods.registry import REGISTRY


def setting(method: str, constraints: int = 1, **given: Any) -> dict[str, Any]:
    """A setting with the defaults filled in, numbers as tensors ``[1]``, features those of one vector."""
    declared = REGISTRY[method].hyperparameters
    values = {name: h.default for name, h in declared.items()} | given

    def as_taken(name: str, value: Any) -> Any:
        if isinstance(value, str | bool):
            return value
        if declared[name].of_constraints:
            return value if isinstance(value, torch.Tensor) else cosines(value, constraints)
        return torch.as_tensor(value, dtype=torch.float64).reshape(-1)

    return {n: as_taken(n, v) for n, v in values.items() if v is not None}
