"""The judged weights of one run as a safetensors file: written whole or not at all, checked when read, never pickled.

Its tensors are the ``state_dict`` of the problem's module, so that plain PyTorch loads them. What they belong to stands
in the file's metadata as JSON under ``cpd``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cpd.errors import CpdError, StoreError
from cpd.spec.models import ProblemSource

FIX = "remove the file, and train the run again: cpd sweep TASK --keep-models all"


@dataclass(frozen=True)
class About:
    """What a file's weights belong to.

    Attributes:
        run: The id of the run.
        problem: Its problem as the task names it.
        source: SHA-256 of the problem's text.
        dtype: Of its parameters: ``float32`` or ``float64``.
    """

    run: str
    problem: str
    source: str
    dtype: str

    @classmethod
    def of(cls, run: str, problem: ProblemSource, dtype: str) -> About:
        """What the weights of a run of a problem belong to."""
        return cls(run, problem.target, hashlib.sha256(problem.source.encode()).hexdigest(), dtype)


def packed(tensors: Mapping[str, Tensor], about: About) -> bytes:
    """The content of a file.

    Args:
        tensors: By their names in the module's ``state_dict``, on any device; what shares memory is written twice.
        about: What they belong to.

    Raises:
        CpdError: One is of a type that no such file can hold.
    """
    own = {name: _apart(tensor) for name, tensor in tensors.items()}
    written = json.dumps({**asdict(about), "digest": _digest(own)})
    try:
        return save(own, metadata={"format": "pt", "cpd": written})
    except KeyError as error:  # it looks types up
        name = next((name for name, tensor in own.items() if tensor.dtype == error.args[0]), "a tensor")
        kind = str(error.args[0]).removeprefix("torch.")
        message, hint = f"'{name}' is {kind}, which safetensors does not hold", "dtype: float32 makes it smaller"
        raise CpdError(message, place=about.problem, hint=hint) from error


def read(path: Path) -> tuple[dict[str, Tensor], About]:
    """The tensors of a file and what they belong to.

    Raises:
        StoreError: It is missing, damaged, or no file of cpd's.
    """
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError as error:
        raise StoreError("is not there", place=str(path), hint="train the run again with --keep-models all") from error
    except (SafetensorError, OSError) as error:
        raise StoreError(f"is no model that can be read ({error})", place=str(path), hint=FIX) from error
    try:
        about = dict(json.loads(metadata["cpd"]))
        digest = about.pop("digest")
        known = About(**{name: _printable(value) for name, value in about.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("is not a model that cpd has kept", place=str(path), hint=FIX) from error
    if digest != _digest(tensors):
        raise StoreError("was damaged since it was written", place=str(path), hint=FIX)
    return tensors, known


def _printable(value: object) -> str:
    """A word of a file that others may have made; errors show it.

    Raises:
        ValueError: It is no text of one line.
    """
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(value)
    return value


def _apart(tensor: Tensor) -> Tensor:
    """A copy with memory of its own, in order, of numbers as they read."""
    return tensor.detach().cpu().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return found.hexdigest()
