"""What a sweep printed and what its store holds, as tests of faults compare them."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from commands import Finished

from cpd.engine.model_file import read
from cpd.store.models import folder_of

STORE = Path(".cpd", "runs.sqlite")
CHECKPOINTS = Path(".cpd", "runs-checkpoints")


def document(done: Finished) -> dict[str, Any]:
    """All that a sweep prints as JSON but the seconds that its runs took, and where their weights are."""
    assert done.stdout, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    for run in printed["runs"]:
        del run["seconds"], run["model"]
    return printed


def query(store: Path, statement: str) -> list[tuple[Any, ...]]:
    """Ask a store that others may be writing; nothing where it is not there yet."""
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return []
    try:
        return connection.execute(statement).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def stored(store: Path) -> int:
    """How many runs a store has."""
    rows = query(store, "SELECT count(*) FROM runs")
    return int(rows[0][0]) if rows else 0


def assert_whole(store: Path, runs: int) -> None:
    """One portable file, in which every run was stored once, and nothing beside it but whole models."""
    models = folder_of(store)
    assert {path.name for path in store.parent.iterdir()} - {models.name} == {store.name}
    for path in models.glob("*") if models.exists() else ():
        assert read(path)[1].run == path.stem
    assert query(store, "PRAGMA integrity_check") == [("ok",)]
    assert query(store, "PRAGMA foreign_key_check") == []
    assert query(store, "SELECT count(*), count(DISTINCT id), sum(attempts) FROM runs") == [(runs, runs, runs)]
