"""A method's setting as its functions take it."""

from typing import Any

import torch

from cpd.methods.registry import REGISTRY


def setting(method: str, **given: Any) -> dict[str, Any]:
    """A setting with the defaults filled in, numbers as tensors ``[1]``."""
    values = {name: h.default for name, h in REGISTRY[method].hyperparameters.items()} | given
    return {
        n: v if isinstance(v, str | bool) else torch.as_tensor(v, dtype=torch.float64).reshape(-1)
        for n, v in values.items()
        if v is not None
    }
