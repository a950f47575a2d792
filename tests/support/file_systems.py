"""Folders on which writing fails: read-only media and full disks, real ones where the tests run as root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = os.geteuid() == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder on which nothing can be written: by permissions, or for root, whom they do not stop, by a mount."""
    if ROOT:
        mount("--bind", str(folder), str(folder))
        try:
            mount("-o", "remount,bind,ro", str(folder))
            yield
        finally:
            unmount(folder)
    else:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of this size (``600k``) on a folder; :func:`grow` makes it larger."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        unmount(folder)


def grow(folder: Path, size: str) -> None:
    """Give a small disk more space."""
    mount("-o", f"remount,size={size}", str(folder))


def mount(*arguments: str) -> None:
    """Mount, or skip the test where that is not possible."""
    if not ROOT or not shutil.which("mount"):
        pytest.skip("needs root and mount(8)")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    """Unmount, also where a file is open still."""
    subprocess.run(["umount", "--lazy", folder], check=True)
