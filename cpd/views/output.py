"""Files that views write: pictures, pages and tables are checked and written in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cpd import files
from cpd.errors import CpdError, closest


def check_output(to: Path, suffixes: Sequence[str], option: str = "--to") -> str:
    """See whether a file can be written, before anything is made for it.

    Args:
        to: The file; its suffix may be in capitals.
        suffixes: What can be written, in small letters.
        option: How the user named it.

    Returns:
        The suffix in small letters.

    Raises:
        CpdError: Another suffix, or no such folder.
    """
    suffix = to.suffix.lower()
    if suffix not in suffixes:
        raise CpdError(f"cannot write '{to.suffix}' files", place=f"{option} {to}", hint=closest(suffix, suffixes))
    if not to.parent.is_dir():
        raise CpdError(f"no folder '{to.parent}'", place=f"{option} {to}", hint="make it, or choose another place")
    return suffix


def write_output(to: Path, content: bytes | str) -> None:
    """Write the file, whole or not at all.

    Raises:
        CpdError: It cannot be written: no permission, a full disk, a folder of that name.
    """
    try:
        files.write(to, content)
    except OSError as error:
        raise CpdError(f"cannot be written: {error.strerror}", place=str(to), hint="choose another place") from None
