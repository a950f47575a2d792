"""Where the weights of a store's runs are kept: files beside it, of which the store itself says nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cpd import files

_SUFFIX = ".safetensors"
_SEPARATORS = re.compile(r"[/\\\0]")


def folder_of(store: Path) -> Path:
    """The folder of a store's models, beside it: ``models`` of ``runs.sqlite``, ``NAME-models`` of another."""
    return store.parent / ("models" if store.stem == "runs" else f"{store.stem}-models")


def file_of(store: Path, run: str) -> Path:
    """Where a run's weights are, if they are kept: in that folder, whatever id a store that others made gives a run."""
    return folder_of(store) / f"{_SEPARATORS.sub('-', run)}{_SUFFIX}"


class Models:
    """The kept weights of a store's runs.

    Args:
        store: The store, as the user named it.
        place: Where that is, whatever folder the process works in.
    """

    def __init__(self, store: Path, place: Path) -> None:
        self._store = store
        self._place = place

    @property
    def folder(self) -> Path:
        """Where they are."""
        return folder_of(self._place)

    def sizes(self) -> dict[str, int]:
        """Bytes of each run's weights, by the ids of the runs whose weights are kept."""
        found = {}
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX) and entry.is_file():
                    with suppress(FileNotFoundError):  # pruned while the folder is read
                        found[entry.name.removesuffix(_SUFFIX)] = entry.stat().st_size
        return found

    def named(self) -> dict[str, str]:
        """The files, named as the store was, by the ids of the runs."""
        return {run: str(file_of(self._store, run)) for run in self.sizes()}

    def file(self, run: str) -> Path:
        """Where a run's weights are, if they are kept."""
        return file_of(self._place, run)

    def put(self, run: str, content: bytes) -> None:
        """Write a run's weights, whole or not at all.

        Raises:
            OSError: They cannot be written.
        """
        self.folder.mkdir(exist_ok=True)  # not its parents: a store that was removed meanwhile stays so
        files.write(self.file(run), content)

    def remove(self, runs: Iterable[str]) -> int:
        """Remove the weights of these runs, of those that have any; the folder too, where nothing is left in it.

        Returns:
            Bytes that were freed.

        Raises:
            OSError: A file cannot be removed.
        """
        freed = 0
        for run in runs:
            with suppress(FileNotFoundError, NotADirectoryError):
                size = self.file(run).stat().st_size
                self.file(run).unlink()
                freed += size
        self._leave()
        return freed

    def sweep_stale(self) -> int:
        """Remove what processes have left that were killed while they wrote.

        Returns:
            Bytes that were freed.
        """
        before = self._unfinished()
        if before and files.sweep_stale(self.folder):
            before -= self._unfinished()
        else:
            before = 0
        self._leave()
        return max(0, before)

    def _unfinished(self) -> int:
        """Bytes of files that are being written, or were."""
        return sum(path.stat().st_size for path in self.folder.glob(".*") if path.is_file())

    def _leave(self) -> None:
        with suppress(OSError):  # it is not there, or not empty, or may not be changed
            self.folder.rmdir()
