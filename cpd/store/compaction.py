"""A store made as small as what is in it: what was removed leaves room in the file, which only this gives back."""

from __future__ import annotations

from cpd.errors import CpdError
from cpd.store.store import Store


def check_idle(store: Store) -> None:
    """See that nobody works on a sweep of the store: while it is rewritten, nobody else can write it.

    Raises:
        CpdError: Somebody does.
    """
    running = [info.id for info in store.sweeps() if info.ended is None and store.is_running(info.id)]
    if running:
        hint = "run it again when that has ended"
        raise CpdError(f"{', '.join(running)} is running, and needs the store", place=str(store.path), hint=hint)


def compact(store: Store) -> int:
    """Rewrite the store without the room that removed sweeps have left.

    It is whole at every moment, whatever ends the process: SQLite writes the new pages to its log first.

    Args:
        store: Open to write; close it afterwards, which empties the log.

    Returns:
        Bytes of the file before, its log included.

    Raises:
        CpdError: Somebody works on a sweep of it.
        StoreError: It cannot be written: the disk has no room for a second copy.
    """
    check_idle(store)
    before = size_of(store)
    with store.file.alone() as connection:
        connection.execute("VACUUM")
    return before


def size_of(store: Store) -> int:
    """Bytes of a store's file, its log included."""
    files = (store.place, store.place.with_name(f"{store.place.name}-wal"))
    return sum(path.stat().st_size for path in files if path.exists())
