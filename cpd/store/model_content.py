"""The content of a file of kept weights, read and checked without torch; :mod:`cpd.engine.model_file` writes it.

Source: the format of safetensors: eight bytes that say how long a JSON header is, the header, and the numbers.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cpd.errors import StoreError

FIX = "remove the file, and train the run again: cpd sweep TASK --keep-models all"
DTYPES = {
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{"BF16": "bfloat16", "BOOL": "bool", "C64": "complex64", "C128": "complex128"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"},
}
"""What torch calls the types."""


def content_of(path: Path, run: str) -> bytes:
    """The content of a run's file.

    Args:
        path: The file.
        run: The id of the run.

    Raises:
        StoreError: It is missing, damaged, no file of cpd's, or another run's.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreError("is not there", place=str(path), hint="train the run again with --keep-models all") from None
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", place=str(path)) from None
    check_run(_about(content, path), run, path)
    return content


def check_run(found: str, run: str, path: Path) -> None:
    """See that a file has the weights of the run whose name it bears.

    Raises:
        StoreError: It has another one's.
    """
    if found != run:
        raise StoreError(f"has the weights of run {found}, not of {run}", place=str(path), hint=FIX)


def _about(content: bytes, path: Path) -> str:
    """The run of a file that is as it was written."""
    try:
        size = int.from_bytes(content[:8], "little")
        header, data = json.loads(content[8 : 8 + size]), memoryview(content)[8 + size :]
        metadata = header.pop("__metadata__", {})
        digest, whole = _digest(header, data)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError("is no model that can be read", place=str(path), hint=FIX) from error
    try:
        about = json.loads(metadata["cpd"])
        run, known = str(about["run"]), about["digest"]
        if not run.isprintable():
            raise ValueError(run)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("is not a model that cpd has kept", place=str(path), hint=FIX) from error
    if digest != known or whole != len(data):
        raise StoreError("was damaged since it was written", place=str(path), hint=FIX)
    return run


def _digest(header: dict[str, Any], data: memoryview) -> tuple[str, int]:
    """SHA-256 of names, types, shapes and numbers, and where the last number ends."""
    found, end = hashlib.sha256(), 0
    for name, entry in sorted(header.items()):
        first, last = entry["data_offsets"]
        found.update(f"{name} torch.{DTYPES[entry['dtype']]} {[int(n) for n in entry['shape']]}\n".encode())
        found.update(data[first:last])
        end = max(end, last)
    return found.hexdigest(), end
