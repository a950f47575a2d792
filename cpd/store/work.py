"""The folders of runs that are programs: beside the store, one for each run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def folder_of(store: Path) -> Path:
    """The folder of a store's runs' folders, beside it: ``work`` of ``runs.sqlite``, ``NAME-work`` of another."""
    return store.parent / ("work" if store.stem == "runs" else f"{store.stem}-work")


def name_of(run: str) -> str:
    """The name of a run's folder: its id, whose colon would be taken for a separator by other programs."""
    return run.replace(":", "-")


def inside(folder: Path, path: Path) -> Path | None:
    """A path below a folder, whatever links it goes through; None where it leads elsewhere."""
    whole = path if path.is_absolute() else folder / path
    return whole if Path(os.path.realpath(whole)).is_relative_to(os.path.realpath(folder)) else None


def remove(store: Path, runs: Iterable[str]) -> None:
    """Remove the folders of these runs, of those that have one."""
    folder = folder_of(store)
    if folder.is_dir():
        for run in runs:
            shutil.rmtree(folder / name_of(run), ignore_errors=True)
