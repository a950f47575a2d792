"""Whether an error means that memory ran out, on the host or on a device."""

from __future__ import annotations

import torch


def out_of_memory(error: BaseException) -> bool:
    """Python, a device and torch's own allocator on the CPU each say it in their way."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
