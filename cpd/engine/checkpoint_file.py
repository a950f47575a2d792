"""Checkpoints of long trainings: written whole or not at all, checked and loaded without running anything.

A file is one line, ``cpd-checkpoint-FORMAT SHA256``, and what ``torch.save`` made of tensors by name and plain values.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cpd import files
from cpd.errors import StoreError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 3
"""Raised when the names or the meaning of what is saved change: a file of another format is never read."""

_HEAD = b"cpd-checkpoint-"
_ATTEMPTS = 5


class OtherFormat(Exception):
    """The checkpoint was written by a cpd that saves other things; it is whole, and nothing of it was read."""


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before stays until this one is complete.

    Args:
        path: Its folder is made if need be.
        tensors: On any device; stored on the CPU.
        meta: Text, numbers, truth values and None, in lists and dictionaries.

    Raises:
        StoreError: It cannot be written.
        TypeError: ``meta`` holds something else.
    """
    import torch

    _require_plain(meta, "meta")
    buffer = io.BytesIO()
    torch.save({"tensors": {n: t.detach().cpu().clone() for n, t in tensors.items()}, "meta": dict(meta)}, buffer)
    content = buffer.getbuffer()
    head = _head(content) + b"\n"
    with _reported(path):
        for attempt in range(_ATTEMPTS):
            try:
                return _write(path, head, content)
            except FileNotFoundError:  # another sweep has finished the same runs, and removed their folder meanwhile
                if attempt == _ATTEMPTS - 1:
                    raise


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors on the CPU and the plain values of a checkpoint; None where there is none.

    Raises:
        OtherFormat: Another version of cpd wrote it.
        StoreError: The file is incomplete, was changed, or holds more than tensors and plain values; nothing of it was
            executed. Remove it and start again.
    """
    import torch

    with _reported(path):
        try:
            head, _, content = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
    if head != _head(content):
        written = head.removeprefix(_HEAD).partition(b" ")[0]
        if head.startswith(_HEAD) and written.isdigit() and int(written) != FORMAT:
            raise OtherFormat(f"the checkpoint has format {int(written)}, and this cpd reads format {FORMAT}")
        _refuse(path, "does not match its checksum")
    try:
        # Written out, for an environment variable can turn the default into the unsafe one.
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a forged file can make torch's reader raise anything
        _refuse(path, "holds something else than tensors and plain values; nothing of it was executed", error)
    if not isinstance(loaded, dict) or loaded.keys() != {"tensors", "meta"}:
        _refuse(path, "is not a checkpoint of cpd")
    return loaded["tensors"], loaded["meta"]


class CheckpointStore:
    """A folder of checkpoints, one for each batch under way.

    Temporary files of processes that died while writing one are removed at the start.

    Args:
        folder: Made when the first checkpoint is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with _reported(self.folder):
            files.sweep_stale(self.folder)

    def save(self, name: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write a batch's checkpoint; see :func:`save`."""
        save(self.path(name), tensors, meta)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read a batch's checkpoint; see :func:`load`."""
        return load(self.path(name))

    def remove(self, name: str) -> None:
        """Remove a batch's checkpoint if it has one: its runs are stored, or it could not be read."""
        with _reported(self.path(name)):
            self.path(name).unlink(missing_ok=True)

    def leave_aside(self, name: str) -> Path:
        """Put a batch's checkpoint under another name, where the version that wrote it finds it, and return that."""
        aside = self.path(name).with_suffix(".checkpoint.other")
        with _reported(self.path(name)):
            os.replace(self.path(name), aside)
        return aside

    def path(self, name: str) -> Path:
        """The file of a batch's checkpoint."""
        return self.folder / f"{name}.checkpoint"


def batch_folder(root: str | Path, ids: Iterable[str]) -> str:
    """The folder of a batch's own under the folder of all batches: of the same runs, the same one."""
    return str(Path(root) / hashlib.sha256("".join(ids).encode()).hexdigest()[:16])


def _head(content: bytes | memoryview) -> bytes:
    return _HEAD + f"{FORMAT} {hashlib.sha256(content).hexdigest()}".encode()


def _write(path: Path, head: bytes, content: memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as file:
        file.write(head)
        file.write(content)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        hint = "free space and run the same command again" if full else "choose another place with --store PATH"
        message = f"cannot read or write the checkpoint ({error.strerror or error})"
        raise StoreError(message, place=str(path), hint=hint) from error


def _refuse(path: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise StoreError(f"the checkpoint {why}", place=str(path), hint="remove it: its batch then starts again") from cause


def _require_plain(value: Any, place: str) -> None:
    """Whatever else is saved, ``weights_only`` would refuse to load."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _require_plain(item, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for k, item in enumerate(value):
            _require_plain(item, f"{place}.{k}")
    elif type(value) not in {str, int, float, bool, type(None)}:
        raise TypeError(f"{place} cannot be in a checkpoint: {value!r} is a {type(value).__name__}")
