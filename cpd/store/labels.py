"""Tags and notes of sweeps: what a user calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cpd.errors import CpdError, closest
from cpd.store.rows import text
from cpd.store.store import Store

_TAGS = "SELECT sweeps.id, tags.name FROM tags JOIN sweeps ON sweeps.number = tags.sweep ORDER BY tags.name"
_NOTES = "SELECT sweeps.id, notes.note FROM notes JOIN sweeps ON sweeps.number = notes.sweep"
_ADD = "INSERT INTO tags (sweep, name) SELECT number, ? FROM sweeps WHERE id = ? ON CONFLICT DO NOTHING"
_REMOVE = "DELETE FROM tags WHERE name = ? AND sweep = (SELECT number FROM sweeps WHERE id = ?)"
_REMOVE_NOTE = "DELETE FROM notes WHERE sweep = (SELECT number FROM sweeps WHERE id = ?)"
_ADD_NOTE = "INSERT INTO notes (sweep, note) SELECT number, ? FROM sweeps WHERE id = ?"


@dataclass(frozen=True)
class Labels:
    """What a user calls a sweep.

    Attributes:
        tags: In order of the alphabet.
        note: A text, None where there is none.
    """

    tags: list[str] = field(default_factory=list)
    note: str | None = None

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self.tags) or self.note is not None


def all_labels(store: Store) -> dict[str, Labels]:
    """The labels of each sweep that has some; a store of an earlier version has none."""
    if not store.file.rows("SELECT 1 FROM sqlite_master WHERE name = 'tags'"):
        return {}
    with store.file.snapshot():
        tags, notes = store.file.rows(_TAGS), dict(store.file.rows(_NOTES))
    found: dict[str, list[str]] = {}
    for sweep, name in tags:
        found.setdefault(sweep, []).append(name)
    return {sweep: Labels(found.get(sweep, []), notes.get(sweep)) for sweep in {**found, **notes}}


def labels_of(store: Store, sweep: str) -> Labels:
    """The labels of a sweep, by its whole id."""
    return all_labels(store).get(sweep, Labels())


def change(
    store: Store, sweep: str, add: Sequence[str] = (), remove: Sequence[str] = (), note: str | None = None
) -> Labels:
    """Change the labels of a sweep, all of it or nothing.

    Args:
        store: Open to write.
        sweep: A whole id.
        add: Tags; those that it has are left as they are.
        remove: Tags that it has.
        note: A text in the place of its note; an empty one takes that away.

    Returns:
        Its labels afterwards.

    Raises:
        CpdError: A tag is blank, it has no such tag, or the sweep is gone.
        StoreError: It cannot be written.
    """
    new = [_checked(name) for name in add]
    with store.file.transaction() as connection:
        if connection.execute("SELECT 1 FROM sweeps WHERE id = ?", [sweep]).fetchone() is None:
            raise CpdError(f"the store has no sweep '{sweep}' any more", hint="it was removed; run it again")
        had = _tags_of(connection.execute(_TAGS).fetchall(), sweep)
        for name in map(text, remove):
            if not connection.execute(_REMOVE, [name, sweep]).rowcount:
                raise CpdError(f"the sweep has no tag '{name}'", place="--remove", hint=closest(name, had))
        connection.executemany(_ADD, [(name, sweep) for name in new])
        if note is not None:
            connection.execute(_REMOVE_NOTE, [sweep])
            if note.strip():
                connection.execute(_ADD_NOTE, [text(note.strip()), sweep])
    return labels_of(store, sweep)


def _tags_of(rows: Sequence[tuple[str, str]], sweep: str) -> list[str]:
    """The tags of one sweep among those of all."""
    return [name for identity, name in rows if identity == sweep]


def _checked(name: str) -> str:
    if not name.strip():
        raise CpdError("a tag is a word, and this one is blank", place="NAME", hint="write cpd tag SWEEP paper")
    return text(name.strip())
