"""Whether a store is whole is seen, and what removed sweeps left is given back."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from file_systems import read_only
from store_runs import RECORD, add, fill, identity, make_run

from cpd.errors import CpdError
from cpd.store.compaction import compact, size_of
from cpd.store.integrity import Finding, findings
from cpd.store.sharing import shown_only_by
from cpd.store.store import Store, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "runs.sqlite"


def looked_at(path: Path) -> dict[str, Finding]:
    with open_store(path, "read") as store:
        return {one.what: one for one in findings(store)}


def damage(path: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


def test_a_whole_store_is_called_whole_also_on_read_only_media(path: Path) -> None:
    fill(path, 210)  # more than are read at once
    with read_only(path.parent):
        found = looked_at(path)
    assert all(one.ok for one in found.values())
    assert {what: one.count for what, one in found.items() if what != "pages of the file"} == {
        "sweeps": 1,
        "runs": 210,
        "judgements": 0,
        "models": 0,
    }


@pytest.mark.parametrize(
    ("change", "what", "problem"),
    [
        ("UPDATE runs SET numbers = replace(numbers, '0.7', '0.8') WHERE number = 2", "runs", f"run {identity(1)} is"),
        ("UPDATE recordings SET curves = tails WHERE run = 2", "runs", f"run {identity(1)}: curves is"),
        ("UPDATE recordings SET tails = x'' WHERE run = 3", "runs", f"run {identity(2)}: tails is"),
        ("DELETE FROM recordings WHERE run = 3", "runs", f"run {identity(2)}: its recording is missing"),
        ("UPDATE specs SET task = task || ' '", "sweeps", "the spec of sweep"),
        ("UPDATE sweeps SET options = '{'", "sweeps", "the record of sweep"),
        ("DELETE FROM specs", "pages of the file", "sweeps: a row refers to one of specs that is not there"),
    ],
)
def test_what_was_changed_is_named(change: str, what: str, problem: str, path: Path) -> None:
    fill(path, 3)
    damage(path, change)
    found = looked_at(path)
    assert {name for name, one in found.items() if not one.ok} >= {what}
    assert any(problem in line for line in found[what].problems), found[what].problems
    assert found[what].fix


def test_a_page_that_was_overwritten_is_found(path: Path) -> None:
    fill(path, 200)
    with path.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(b"\xff" * 4096)
    assert not looked_at(path)["pages of the file"].ok


def test_models_and_folders_without_a_run_are_notes(path: Path) -> None:
    fill(path, 1)
    (path.parent / "models").mkdir()
    (path.parent / "models" / f"{identity(0)}.safetensors").write_bytes(b"no model")
    (path.parent / "work" / "c1-00ff").mkdir(parents=True)
    found = looked_at(path)
    assert found["models"].problems == [f"{identity(0)}.safetensors is no model that can be read"]
    assert found["folders of programs"].ok
    assert found["folders of programs"].notes == ["1 folder of no run of this store, e.g. c1-00ff"]


def test_a_store_shrinks_to_what_is_in_it(path: Path) -> None:
    fill(path, 200)
    with open_store(path, "write") as store:
        kept = add(store, make_run(1000))
        store.remove(next(info.id for info in store.sweeps() if info.id != kept))
    large = path.stat().st_size
    with open_store(path, "write") as store:
        assert compact(store) >= large
        assert store.load(kept, curves=True).runs == [make_run(1000)]
    assert path.stat().st_size < large / 2
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with open_store(path, "read") as store:
        assert size_of(store) == path.stat().st_size
        assert store.load(kept, curves=True).runs == [make_run(1000)]


def test_a_store_that_is_in_use_is_not_compacted_but_one_that_is_read_is(path: Path) -> None:
    fill(path, 200)
    with open_store(path, "write") as writer:
        running = writer.begin_sweep(RECORD)
        with open_store(path, "write") as store, pytest.raises(CpdError, match=f"{running} is running"):
            compact(store)
        writer.end_sweep(running, 0)
        writer.remove(running)
    with open_store(path, "write") as store, open_store(path, "read") as reader, reader.file.snapshot():
        before = reader.sweeps()
        store.remove(before[0].id)
        compact(store)
        assert reader.sweeps() == before  # it sees the moment at which it began
    with open_store(path, "read") as store:
        assert store.sweeps() == []
    assert looked_at(path)["pages of the file"].ok


def test_the_runs_of_several_sweeps_alone(store: Store) -> None:
    first, second, third = (add(store, make_run(k), make_run(k + 1)) for k in (1, 2, 3))
    assert shown_only_by(store, [first]) == [identity(1)]
    assert sorted(shown_only_by(store, [first, second])) == [identity(1), identity(2)]
    assert sorted(shown_only_by(store, [third, second])) == [identity(3), identity(4)]
