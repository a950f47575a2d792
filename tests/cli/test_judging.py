"""``cpd judge``: printed, stored beside the sweep, shown again, and removed with it."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess

TESTS = Path(__file__).parents[1]
SET = """\
import torch


def test_set():
    return (torch.linspace(1.1, 2, 9)[:, None],)


def broken():
    raise OSError("no disk")
"""
ASKED = ("judge", "last", "--data", "tests.py:test_set")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    made = InProcess(tmp_path, monkeypatch, capsys)
    made.write("tests.py", SET)
    return made


def swept(command: InProcess) -> None:
    assert command("sweep", "mine.yaml", "--keep-models", "all", "-q").rc in (0, 3)


def rows(table: str) -> int:
    connection = sqlite3.connect(".cpd/runs.sqlite")
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return int(count)


def test_a_judgement_is_printed_and_shown_again(command: InProcess) -> None:
    swept(command)
    before = command("show", "--format", "json")
    assert before.stderr == ""
    done = command(*ASKED)
    assert done.rc in (0, 3), done.stderr
    assert "judged on 9 examples of tests.py:test_set" in " ".join(done.stdout.split())
    assert command("show", "last", "--judgement", "tests.py:test_set").stdout == done.stdout
    assert command(*ASKED).stdout == done.stdout
    document = json.loads(command("show", "--judgement", "tests.py:test_set", "--format", "json").stdout)
    assert (document["judge"], document["judgement"]["name"]) == ("held_out", "tests.py:test_set")
    assert [run["held_out"]["examples"] for run in document["runs"]] == [9] * 4
    csv = command(*ASKED, "--format", "csv").stdout
    assert csv.splitlines()[0].count("held_out.constraints.g.value") == 1
    sure = command("show", "--judgement", "tests.py:test_set", "--tolerance", "10", "--format", "json")
    assert all(run["feasible"] for run in json.loads(sure.stdout)["runs"])
    # The sweep's own verdict stays, and says that there is another one.
    after = command("show", "--format", "json")
    assert after.stdout == before.stdout
    assert after.stderr == "judged on other examples too, see --judgement NAME: tests.py:test_set\n"
    assert command(*ASKED, "--name", "blind", "-q").stderr == ""
    assert command("show").stderr.endswith("NAME: tests.py:test_set, blind\n")
    wrong = command("show", "--judgement", "blond")
    assert (wrong.rc, wrong.stderr) == (
        2,
        "cpd: --judgement: the sweep has no judgement 'blond'; did you mean 'blind'? Valid: tests.py:test_set, blind\n",
    )


def test_it_is_removed_with_its_sweep(command: InProcess) -> None:
    swept(command)
    command(*ASKED)
    swept(command)
    command(*ASKED)
    assert (rows("judgements"), rows("judged_runs")) == (2, 8)
    assert command("rm", "last", "--yes").rc == 0
    assert (rows("judgements"), rows("judged_runs")) == (1, 4)
    assert command("show").stderr.startswith("judged on other examples too")
    assert command("rm", "last", "--yes").rc == 0
    assert (rows("judgements"), rows("judged_runs")) == (0, 0)


def test_a_search_and_a_grid_over_arguments_are_judged(command: InProcess) -> None:
    search = ("bisect", "mine.yaml", "--target-g", "0.5", "--tolerance", "1e-3", "--set", "train.steps=40", "-q")
    assert command(*search, "--keep-models", "all").rc in (0, 3)
    found = json.loads(command(*ASKED, "--format", "json").stdout)
    assert "search" not in found
    assert found["summary"][0]["settings"] == len(found["runs"]) > 1
    assert command("sweep", "mine.yaml", "--set", "arguments.size=4,8", "-q", "--keep-models", "all").rc in (0, 3)
    found = json.loads(command(*ASKED, "--format", "json").stdout)
    assert [run["held_out"]["examples"] for run in found["runs"]] == [9] * 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "tests.py:broken"), "cpd: --data: tests.py:broken raised OSError: no disk\n"),
        (("--data", "gone.py:x"), "cpd: --data: no file 'gone.py'; its path starts at the current folder\n"),
        (("--data", "tests.py"), "cpd: --data: 'tests.py' is no function; "),
        (("--data", "no.such:x"), "cpd: --data: no module 'no.such'; "),
        (("--data", "tests.py:test_set", "--device", "cuda:77"), "cpd: --device: no device 'cuda:77' here; "),
        ((), "cpd: --data: mine.py:Mine has no held_out(); write it, or name a function that gives examples: "),
    ],
)
def test_mistakes_are_a_line(command: InProcess, words: tuple[str, ...], said: str) -> None:
    swept(command)
    done = command("judge", *words)
    assert (done.rc, done.stdout) == (2, "")
    assert said in done.stderr
    traceback = "tests.py:broken" in words
    assert done.stderr.count("\n") == (5 if traceback else 1)
    assert ('raise OSError("no disk")' in done.stderr) == traceback
    assert rows("judgements") == 0


def test_another_judgement_of_a_name_is_refused(command: InProcess) -> None:
    swept(command)
    command(*ASKED)
    command.write("tests.py", SET.replace("9", "10"))
    done = command(*ASKED)
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr.startswith("cpd: --name: 'tests.py:test_set' was judged on other examples (")
    assert done.stderr.endswith(" UTC); --fresh replaces it, --name NAME keeps both\n")
    assert "10 examples" in command(*ASKED, "--fresh").stdout
    assert rows("judgements") == 1


def test_what_cannot_be_stored_is_printed_first(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    swept(command)
    from cpd.errors import StoreError
    from cpd.store import judgements

    def full(*_: Any) -> None:
        raise StoreError("the disk is full", place=".cpd/runs.sqlite")

    monkeypatch.setattr(judgements, "add", full)
    done = command(*ASKED)
    assert "judged on 9 examples" in " ".join(done.stdout.split())
    assert (done.rc, done.stderr) == (4, "cpd: .cpd/runs.sqlite: the disk is full\n")


def test_a_store_of_an_earlier_version_is_read_and_judged(command: InProcess) -> None:
    Path(".cpd").mkdir()
    shutil.copy(TESTS / "stores" / "version-1.sqlite", ".cpd/runs.sqlite")
    os.chmod(".cpd/runs.sqlite", 0o644)
    content = Path(".cpd/runs.sqlite").read_bytes()
    assert command("show").stderr == ""
    done = command(*ASKED)
    assert (done.rc, done.stdout) == (2, "")
    assert "no run has a kept model; train it again and keep them: " in done.stderr
    assert "the sweep has no judgement 'x'; make one: cpd judge" in command("show", "--judgement", "x").stderr
    assert Path(".cpd/runs.sqlite").read_bytes() == content
    swept(command)
    assert Path(".cpd/runs.sqlite.v1.backup").read_bytes() != b""
    assert command(*ASKED).rc in (0, 3)
    assert rows("judgements") == 1
