"""Tags and notes of sweeps, and the headlines that are remembered of them."""

import sqlite3
from pathlib import Path

import pytest
from store_runs import RECORD, add, make_run

from cpd.errors import CpdError
from cpd.store import headlines
from cpd.store.labels import Labels, all_labels, change, labels_of
from cpd.store.store import Store, open_store

ODD = ["päper.v2", "a b", "x" * 300, "\x1b[31mred", "日本", "'; DROP TABLE tags; --"]


def test_tags_are_given_taken_away_and_go_with_their_sweep(store: Store) -> None:
    first, second = add(store, make_run(1)), add(store, make_run(2))
    assert change(store, first, [*ODD, "a b"], note=" the run\nof Table 3 ") == Labels(
        sorted(ODD), "the run\nof Table 3"
    )
    assert change(store, second, ["a b"]) == Labels(["a b"], None)
    assert change(store, first, ["new"], ODD[:-1]) == Labels(sorted([ODD[-1], "new"]), "the run\nof Table 3")
    assert change(store, first, note="") == Labels(sorted([ODD[-1], "new"]), None)
    store.remove(first)
    assert all_labels(store) == {second: Labels(["a b"], None)}


def test_labels_change_all_at_once_or_not_at_all(store: Store) -> None:
    sweep = add(store, make_run(1))
    change(store, sweep, ["paper"], note="old")
    for asked in ({"add": ["new"], "remove": ["papr"]}, {"add": ["new", " "]}):
        with pytest.raises(CpdError, match=r"no tag 'papr'|blank"):
            change(store, sweep, note="new", **asked)
        assert labels_of(store, sweep) == Labels(["paper"], "old")
    with pytest.raises(CpdError, match="removed"):
        change(store, "20260101-000000-0000", ["x"])


def test_an_older_store_has_no_labels_until_it_is_written(path: Path) -> None:
    with open_store(path, "write") as store:
        sweep = add(store, make_run(1))
    connection = sqlite3.connect(path)
    for table in ("tags", "notes", "headlines"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with open_store(path, "read") as store:
        assert (all_labels(store), headlines.kept(store, "me")) == ({}, {})
    assert not path.with_name(path.name + ".v3.backup").exists()
    with open_store(path, "write") as store:
        assert change(store, sweep, ["paper"]).tags == ["paper"]
    assert path.with_name(path.name + ".v3.backup").exists()


def test_a_headline_counts_while_its_sweep_is_as_it_was(store: Store) -> None:
    sweep, other = add(store, make_run(1)), add(store, make_run(1), make_run(2))
    headlines.keep(store, {sweep: {"feasible": 1}, other: {"feasible": 2}, "gone": {}}, "me")
    assert headlines.kept(store, "me") == {sweep: {"feasible": 1}, other: {"feasible": 2}}
    assert headlines.kept(store, "another cpd") == {}
    store.add_runs(other, [make_run(2, objective=9.0)], fresh=True)
    assert headlines.kept(store, "me") == {sweep: {"feasible": 1}}
    store.link(sweep, ["c1:planned"])
    assert headlines.kept(store, "me") == {}


def test_a_headline_that_was_changed_does_not_count(store: Store) -> None:
    sweep = store.begin_sweep(RECORD)
    store.end_sweep(sweep, 0)
    headlines.keep(store, {sweep: {"feasible": 1}}, "me")
    with store.file.transaction() as connection:
        connection.execute("UPDATE headlines SET headline = replace(headline, '1', '2')")
    assert headlines.kept(store, "me") == {}
