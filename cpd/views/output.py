"""Files that views write: pictures, pages and tables are checked and written in the same way."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cpd import files
from cpd.errors import CpdError, closest

BINARY = (".png", ".pdf", ".parquet")
"""Files that are no text."""

STDOUT = Path("-")
"""The name of stdout, where a command writes one thing and prints nothing else."""


def check_output(to: Path, suffixes: Sequence[str], option: str = "--to", *, any_name: bool = False) -> str:
    """See whether a file can be written, before anything is made for it.

    Args:
        to: The file; its suffix may be in capitals. ``-`` is stdout, with the first suffix.
        suffixes: What can be written, in small letters.
        option: How the user named it.
        any_name: Whether the file may be called anything: the first suffix is what is written.

    Returns:
        The suffix in small letters.

    Raises:
        CpdError: Another suffix, or no such folder; or stdout is a terminal, which shows no bytes.
    """
    if to == STDOUT and option == "--to":
        _refuse_terminal(suffixes[0], option)
        return suffixes[0]
    suffix = suffixes[0] if any_name else to.suffix.lower()
    if suffix not in suffixes:
        raise CpdError(f"cannot write '{to.suffix}' files", place=f"{option} {to}", hint=closest(suffix, suffixes))
    if not to.parent.is_dir():
        raise CpdError(f"no folder '{to.parent}'", place=f"{option} {to}", hint="make it, or choose another place")
    return suffix


def _refuse_terminal(suffix: str, option: str) -> None:
    if suffix in BINARY and sys.stdout.isatty():
        hint = f"write into a file, or on: {option} - | PROGRAM"
        raise CpdError(f"a terminal shows no {suffix} file", place=f"{option} -", hint=hint)


def named(to: str | Path) -> str:
    """What to call a file in a message: ``-`` is stdout."""
    return "stdout" if Path(to) == STDOUT else str(to)


def write_output(to: Path, content: bytes | str) -> None:
    """Write the file, whole or not at all; or to stdout.

    Raises:
        CpdError: It cannot be written: no permission, a full disk, a folder of that name.
    """
    if to == STDOUT:
        _print(content)
        return
    try:
        files.write(to, content)
    except OSError as error:
        raise CpdError(f"cannot be written: {error.strerror}", place=str(to), hint="choose another place") from None


def _print(content: bytes | str) -> None:
    """Write to stdout, byte by byte what a file would have."""
    sys.stdout.flush()
    data = content.encode() if isinstance(content, str) else content
    if (buffer := getattr(sys.stdout, "buffer", None)) is None:  # a host's own, which takes text alone
        sys.stdout.write(data.decode())
    else:
        buffer.write(data)
    sys.stdout.flush()
