"""``depends``: files and environment variables that a task's numbers depend on."""

import os
from hashlib import sha256
from pathlib import Path

import pytest
from spec_files import Write, load, refusal, writer

from cpd.spec.identity import runs
from cpd.spec.models import task_to_json


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    for name in ("a.csv", "tables/b.csv", "tables/deep/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.delenv("CPD_CORPUS", raising=False)
    return writer(tmp_path, monkeypatch)


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def ids(name: str) -> list[str | None]:
    return [key.id for key in runs(load(name))]


@pytest.mark.parametrize(
    ("depends", "names"),
    [
        ("[a.csv]", ["a.csv"]),
        ("[./a.csv, a.csv]", ["a.csv"]),
        ("[tables/*.csv]", ["tables/b.csv"]),
        ("['**/*.csv']", ["a.csv", "tables/b.csv", "tables/deep/c.csv"]),
        ("[tables/**]", ["tables/b.csv", "tables/deep/c.csv"]),
        ("[a.csv, 'tables/deep/../b.csv']", ["a.csv", "tables/b.csv"]),
    ],
)
def test_files_are_hashed_by_path_from_the_spec(depends: str, names: list[str], write: Write) -> None:
    assert load(write(depends=depends)).problem.depends == {name: hashed(name) for name in names}


def test_a_file_whose_name_looks_like_a_pattern(write: Write) -> None:
    Path("[a].csv").write_text("x")
    assert load(write(depends="['[a].csv']")).problem.depends == {"[a].csv": hashed("x")}


def test_ids_follow_the_content_of_files(write: Write) -> None:
    plain = ids(write())
    assert ids(write(depends="")) == ids(write(depends="[]")) == plain
    listed = ids(write(depends="[a.csv]"))
    assert listed != plain
    Path("a.csv").write_text("edited")
    assert ids("x.yaml") != listed
    Path("a.csv").write_text("a.csv")
    Path("tables/b.csv").write_text("edited")
    assert ids("x.yaml") == listed


def test_ids_follow_the_values_of_variables(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    name = write(depends="['env:CPD_CORPUS']")
    unset = ids(name)
    assert load(name).problem.depends == {"env:CPD_CORPUS": "unset"}
    found = [unset]
    for value in ("", "unset", "a secret"):
        monkeypatch.setenv("CPD_CORPUS", value)
        found.append(ids(name))
    assert len({tuple(one) for one in found}) == 4
    assert "a secret" not in str(task_to_json(load(name)))
    monkeypatch.setenv("CPD_OTHER", "a secret")
    same = load(write(depends="['env:CPD_CORPUS', 'env:CPD_OTHER']")).problem.depends
    assert len(set(same.values())) == 2


def test_a_project_that_is_moved_keeps_its_ids(write: Write, tmp_path: Path) -> None:
    here = ids(write(depends="[tables/*]"))
    (tmp_path / "there").mkdir()
    for name in ("mine.py", "x.yaml", "tables"):
        (tmp_path / name).rename(tmp_path / "there" / name)
    assert ids("there/x.yaml") == here


def test_a_sweep_s_list_replaces_its_task_s(write: Write) -> None:
    write("tasks/x.yaml", problem="../mine.py:Mine", depends="[../a.csv, ../tables/b.csv]")
    Path("sweeps").mkdir()
    Path("sweeps/s.yaml").write_text("task: ../tasks/x.yaml\n")
    assert list(load("sweeps/s.yaml").problem.depends) == ["../a.csv", "../tables/b.csv"]
    Path("sweeps/own.csv").write_text("x")
    Path("sweeps/s.yaml").write_text("task: ../tasks/x.yaml\ndepends: [own.csv]\n")
    assert load("sweeps/s.yaml").problem.depends == {"own.csv": hashed("x")}


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        ("a.csv", ": 'a.csv' is not a list; write [data.csv, env:NAME]"),
        ("[a.csv, 5]", "[1]: 5 is not a word; write a file's path, or env:NAME"),
        ("['env:']", "[0]: 'env:' names no variable; write env:NAME"),
        ("['env:A=B']", "[0]: 'env:A=B' names no variable; write env:NAME"),
        ("[tables]", "[0]: 'tables' is a folder; write tables/** for all in it"),
        *(
            (
                f"[a.csv, '{entry}']",
                f"[1]: '{entry}' matches no file; its path starts at the spec's folder; "
                "* matches within a folder, ** through folders",
            )
            for entry in ("b.csv", "tables/*.txt", "no/**", "tables/d*")
        ),
    ],
)
def test_entries_are_refused(depends: str, message: str, write: Write) -> None:
    assert refusal(write(depends=depends)) == f"x.yaml: depends{message}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_refused(write: Write) -> None:
    Path("a.csv").chmod(0)
    assert refusal(write(depends="[a.csv]")) == (
        "x.yaml: depends[0]: 'a.csv' cannot be read: Permission denied; check its permissions"
    )
