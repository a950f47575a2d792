"""The store's contract: what goes in comes out, once, in order, and whatever asks is understood."""

import math
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_runs import RECORD, add, identity, ids, make_run

from cpd.errors import CpdError, StoreError
from cpd.outcome import Status
from cpd.store import migrations
from cpd.store.models import file_of
from cpd.store.records import Removed
from cpd.store.store import Store, default_path, open_store


def damage(path: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


# What a result may and may not do


def test_a_result_is_stored_once_and_never_changes(store: Store) -> None:
    first, second = store.begin_sweep(RECORD), store.begin_sweep(RECORD)
    assert store.add_runs(first, [make_run(1), make_run(2, Status.DIVERGED)]) == 2
    assert store.add_runs(second, [make_run(1, objective=9.0), make_run(2), make_run(3)]) == 1
    assert [run.objective for run in store.load(second).runs] == [1 / 3, 2 / 3, 1.0]
    assert store.load(second).runs[1].status is Status.DIVERGED


def test_a_failure_is_tried_again_and_its_place_taken(store: Store, path: Path) -> None:
    sweep = add(store, make_run(1, Status.FAILED, error="out of memory"))
    assert store.finished(ids(1)) == set()
    assert store.known(ids(1)) == {}
    assert store.add_runs(sweep, [make_run(1, Status.FAILED, error="again")]) == 1
    assert store.load(sweep).runs[0].error == "again"
    assert store.add_runs(sweep, [make_run(1)]) == 1
    assert store.load(sweep, curves=True).runs == [make_run(1)]
    assert store.add_runs(sweep, [make_run(1, Status.FAILED)]) == 0
    assert store.finished(ids(1)) == set(ids(1))


def test_fresh_takes_the_old_place_but_a_failure_never_does(store: Store) -> None:
    sweep = add(store, make_run(1), make_run(2))
    assert store.add_runs(sweep, [make_run(1, objective=9.0), make_run(2, Status.FAILED)], fresh=True) == 1
    assert [(run.objective, run.status) for run in store.load(sweep).runs] == [
        (9.0, Status.COMPLETED),
        (2 / 3, Status.COMPLETED),
    ]


# Sweeps


def test_a_sweep_shows_its_runs_in_its_own_order(store: Store) -> None:
    add(store, make_run(3))
    sweep = store.begin_sweep(RECORD)
    assert store.link(sweep, ids(5, 3, 1, 3)) == set(ids(3))
    store.add_runs(sweep, [make_run(1)])
    store.add_runs(sweep, [make_run(5), make_run(4)])
    store.link(sweep, ids(2))
    stored = store.load(sweep)
    assert [run.key.id for run in stored.runs] == ids(5, 3, 1, 4)
    assert (stored.info.runs, stored.found) == (5, 1)


def test_a_run_trained_afresh_is_not_one_found(store: Store) -> None:
    add(store, make_run(1))
    sweep = store.begin_sweep(RECORD)
    store.link(sweep, ids(1))
    store.add_runs(sweep, [make_run(1, objective=9.0)], fresh=True)
    assert store.load(sweep).found == 0


def test_the_record_of_a_sweep_comes_back(store: Store) -> None:
    record = replace(
        RECORD,
        command="bisect",
        text="# über\nproblem: x\n",
        command_line="cpd bisect '\udce9'",
        versions={"cpd": "0.1.0"},
        git_commit="abc",
        machine={"cores": 2},
        options={"gap": 0.05},
        started="2026-01-31T14:25:30.000+00:00",
    )
    sweep = store.begin_sweep(record)
    assert sweep.startswith("20260131-142530-")
    assert store.load(sweep).exit_status is None
    store.end_sweep(sweep, 3, {"outcome": "unattainable", "iterations": [{"value": math.nan}]})
    stored = store.load(sweep)
    assert stored.record == replace(record, command_line="cpd bisect '\\udce9'")
    assert list(stored.record.spec) == ["problem", "methods"]
    assert stored.search == {"outcome": "unattainable", "iterations": [{"value": None}]}
    assert stored.exit_status == 3
    assert stored.info.ended is not None


def test_sweeps_are_listed_newest_first_with_their_counts(store: Store) -> None:
    old = add(store, make_run(1), make_run(2, Status.DIVERGED), make_run(3, Status.FAILED))
    new = store.begin_sweep(replace(RECORD, task="concave"))
    store.link(new, ids(1, 7))
    assert [(info.id, info.task, info.runs, info.completed, info.diverged, info.failed) for info in store.sweeps()] == [
        (new, "concave", 2, 1, 0, 0),
        (old, "rate", 3, 1, 1, 1),
    ]


def test_removing_a_sweep_keeps_the_runs_of_others(store: Store, path: Path) -> None:
    first, second = add(store, make_run(1), make_run(2)), add(store, make_run(2), make_run(3))
    assert store.remove(first) == Removed(runs=1, kept=1)
    assert store.finished(ids(1, 2, 3)) == set(ids(2, 3))
    assert store.remove(second) == Removed(runs=2, kept=0)
    store.close()
    left = sqlite3.connect(path)
    for table in ("sweeps", "runs", "specs", "recordings", "sweep_runs"):
        assert left.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    left.close()


def test_a_sweep_removed_meanwhile_is_named(store: Store) -> None:
    sweep = add(store, make_run(1))
    store.remove(sweep)
    with pytest.raises(CpdError, match="removed"):
        store.add_runs(sweep, [make_run(1)])
    with pytest.raises(CpdError, match=f"no sweep '{sweep}'"):
        store.load(sweep)
    assert store.finished(ids(1)) == set()


# Which sweep is meant


def begin(store: Store, task: str, minute: int) -> str:
    return store.begin_sweep(replace(RECORD, task=task, started=f"2026-01-31T14:{minute:02}:00+00:00"))


def test_a_sweep_is_meant_by_id_prefix_task_or_last(store: Store) -> None:
    first, second, third = begin(store, "rate", 10), begin(store, "rate", 25), begin(store, "figure2", 26)
    meant = {ref: store.resolve(ref) for ref in [first, "20260131-1410", "rate", "last", "figure2"]}
    assert meant == {first: first, "20260131-1410": first, "rate": second, "last": third, "figure2": third}


def test_a_sweep_before_another_one(store: Store) -> None:
    first, second, third = begin(store, "rate", 10), begin(store, "a~1", 25), begin(store, "rate", 26)
    meant = {"last~": second, "last~0": third, "last~2": first, "rate~1": first, "a~1": second, "a~1~0": second}
    assert {ref: store.resolve(ref) for ref in meant} == meant
    assert store.resolve(f"{third}~1") == second
    assert store.resolve("20260131-1425~1") == first
    for ref, hint in [("last~3", "there are 3 in all"), ("rate~2", "there are 2 of rate in all"), ("lst~1", "did you")]:
        with pytest.raises(CpdError, match=f"no sweep '{ref.removesuffix('~1')}.*{hint}"):
            store.resolve(ref)


def test_what_no_sweep_is_called_ends_in_the_choices(store: Store) -> None:
    with pytest.raises(CpdError) as caught:
        store.resolve("last")
    assert str(caught.value) == f"{store.path}: holds no sweep yet; run one: cpd sweep TASK"
    for task, minute in (("rate", 10), ("figure2", 25)):
        begin(store, task, minute)
    with pytest.raises(CpdError) as caught:
        store.resolve("figre2")
    assert str(caught.value) == (
        f"{store.path}: no sweep 'figre2'; "
        "did you mean 'figure2'? Valid: figure2, last, rate; an id or the start of one will do too"
    )
    with pytest.raises(CpdError, match="no sweep ''"):
        store.resolve("")
    assert caught.value.exit_code == 2


def test_a_prefix_of_several_sweeps_lists_them(store: Store) -> None:
    first, second = begin(store, "rate", 10), begin(store, "rate", 15)
    with pytest.raises(CpdError) as caught:
        store.resolve("20260131-141")
    assert str(caught.value) == (
        f"{store.path}: 2 sweeps start with '20260131-141'; give more of one: {second}, {first}"
    )
    for minute in range(20, 35):
        begin(store, "rate", minute)
    with pytest.raises(
        CpdError, match=r"17 sweeps start with '2026'; give more of one: (20260131-14\d\d00-....(, )?){10}, \.\.\.$"
    ):
        store.resolve("2026")


# The file


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CPD_STORE", raising=False)
    assert default_path() == Path(".cpd/runs.sqlite")
    monkeypatch.setenv("CPD_STORE", str(tmp_path / "x.sqlite"))
    open_store(None, "write").close()
    assert (tmp_path / "x.sqlite").exists()


def test_a_clean_end_leaves_one_portable_file(path: Path, tmp_path: Path) -> None:
    with open_store(path, "write") as store:
        sweep = add(store, make_run(1))
    assert list(path.parent.iterdir()) == [path]
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(path.read_bytes())
    with open_store(copy, "read") as store:
        assert store.load(sweep, curves=True).runs == [make_run(1)]
    assert not list(tmp_path.glob("copy.sqlite-*"))


def test_a_reader_sees_what_a_writer_has_stored(store: Store) -> None:
    sweep = add(store, make_run(1))
    with open_store(store.path, "read") as reader:
        assert len(reader.load(sweep).runs) == 1
        store.add_runs(sweep, [make_run(2)])
        assert len(reader.load(sweep).runs) == 2
        with pytest.raises(StoreError, match="read-only"):
            reader.begin_sweep(RECORD)


def test_an_older_store_is_copied_and_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(path, "write") as store:
        sweep = add(store, make_run(1))
    now = len(migrations.MIGRATIONS)
    monkeypatch.setattr(migrations, "READABLE", now + 1)
    second = ("ALTER TABLE sweeps ADD COLUMN note TEXT", "CREATE TABLE extras (x TEXT) STRICT")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, second))
    with open_store(path, "read") as store:
        assert store.load(sweep, curves=True).runs == [make_run(1)]
    assert tables(path) >= {"extras"}
    backup = path.with_name(path.name + f".v{now}.backup")
    assert "extras" not in tables(backup)
    monkeypatch.undo()
    with open_store(backup, "read") as store:
        assert store.load(sweep, curves=True).runs == [make_run(1)]


def test_a_migration_that_fails_leaves_the_store_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(path, "write") as store:
        add(store, make_run(1))
    broken = ("CREATE TABLE extras (x TEXT) STRICT", "INSERT INTO nowhere VALUES (1)")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, broken))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        open_store(path, "write")
    assert "extras" not in tables(path)
    monkeypatch.undo()
    with open_store(path, "read") as store:
        assert store.finished(ids(1)) == set(ids(1))


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET numbers = replace(numbers, '0.7', '0.8')",
        "UPDATE runs SET seed = '2'",
        "UPDATE runs SET method = CAST(x'ff' AS TEXT)",
        "UPDATE recordings SET tails = CAST(substr(tails, 1, 40) || x'00' || substr(tails, 42) AS BLOB)",
        "UPDATE recordings SET curves = CAST(substr(curves, 1, 3) || x'00' || substr(curves, 5) AS BLOB)",
        "UPDATE recordings SET curves = tails",
        "UPDATE recordings SET tails = x''",
    ],
)
def test_a_changed_run_is_noticed(path: Path, change: str) -> None:
    with open_store(path, "write") as store:
        sweep = add(store, make_run(1))
    damage(path, change)
    with open_store(path, "write") as store:
        with pytest.raises(StoreError) as caught:
            store.load(sweep, curves=True)
        assert identity(1) in str(caught.value)
        assert "train it again with --fresh" in str(caught.value)
        store.add_runs(sweep, [make_run(1)], fresh=True)
        assert store.load(sweep, curves=True).runs == [make_run(1)]


@pytest.mark.parametrize("change", ["UPDATE specs SET task = '{}'", "UPDATE sweeps SET machine = '{'"])
def test_a_changed_record_is_noticed(path: Path, change: str) -> None:
    with open_store(path, "write") as store:
        sweep = add(store, make_run(1))
    damage(path, change)
    with open_store(path, "read") as store, pytest.raises(StoreError, match=sweep):
        store.load(sweep)


@pytest.mark.parametrize("run", ["../../victim", "/tmp/victim", "..", "a\\b", "nul\0"])
def test_the_weights_of_a_run_are_in_the_folder_of_models_whatever_its_id(run: str, tmp_path: Path) -> None:
    assert file_of(tmp_path / "runs.sqlite", run).resolve().parent == tmp_path / "models"
