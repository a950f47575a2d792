"""Where the weights of a store's runs are kept: files beside it, of which the store itself says nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cpd import files
from cpd.store import work

_SUFFIX = ".safetensors"
_POINTER = ".path"
_SEPARATORS = re.compile(r"[/\\\0]")


def folder_of(store: Path) -> Path:
    """The folder of a store's models, beside it: ``models`` of ``runs.sqlite``, ``NAME-models`` of another."""
    return store.parent / ("models" if store.stem == "runs" else f"{store.stem}-models")


def file_of(store: Path, run: str) -> Path:
    """Where a run's weights are, if they are kept: in that folder, whatever id a store that others made gives a run."""
    return folder_of(store) / f"{_SEPARATORS.sub('-', run)}{_SUFFIX}"


class Models:
    """The kept weights of a store's runs; a program's are where it wrote them, and a file of ours says where.

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
                with suppress(FileNotFoundError):  # pruned while the folder is read
                    if entry.name.endswith(_SUFFIX) and entry.is_file():
                        found[entry.name.removesuffix(_SUFFIX)] = entry.stat().st_size
                    elif entry.name.endswith(_POINTER):
                        run = entry.name.removesuffix(_POINTER)
                        if (own := self._pointed(run)) is not None:
                            found[run] = _size(own)
        return found

    def named(self) -> dict[str, str]:
        """The files, named as the store was, by the ids of the runs."""
        return {run: str(self._named(run)) for run in self.sizes()}

    def file(self, run: str) -> Path:
        """Where a run's weights are, if they are kept."""
        return self._pointed(run) or file_of(self._place, run)

    def work_of(self, run: str) -> Path:
        """The folder in which a program did a run."""
        return work.folder_of(self._place) / work.name_of(run)

    def point(self, run: str, path: Path) -> None:
        """Write down where a program has written the weights of its run: below the folder of runs' folders.

        Raises:
            OSError: It cannot be written.
        """
        root = work.folder_of(self._place)
        self.folder.mkdir(exist_ok=True)
        files.write(self._pointer(run), os.path.relpath(path, root.resolve()).encode())

    def _pointer(self, run: str) -> Path:
        return file_of(self._place, run).with_suffix(_POINTER)

    def _pointed(self, run: str) -> Path | None:
        """What a program has written as its run's weights; nothing outside of the runs' folders is taken for that."""
        root = work.folder_of(self._place)
        try:
            path = work.inside(root, Path(self._pointer(run).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, ValueError):
            return None
        return path if path is not None and path != root and path.exists() else None

    def _named(self, run: str) -> Path:
        """Where a run's weights are, named as the store was."""
        own = self._pointed(run)
        if own is None:
            return file_of(self._store, run)
        return work.folder_of(self._store) / own.relative_to(work.folder_of(self._place))

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
            if (own := self._pointed(run)) is not None:
                freed += _size(own)
                _remove(own)
            with suppress(FileNotFoundError, NotADirectoryError):
                self._pointer(run).unlink()
                continue
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


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(own.lstat().st_size for own in path.rglob("*") if not own.is_dir())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
