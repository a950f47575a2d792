"""Coming back to stored sweeps: listed, found by what one calls them, put side by side, told apart, kept well."""

import csv
import io
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess
from file_systems import read_only

from cpd.results import listing
from cpd.store.store import open_store

STORE = Path(".cpd", "runs.sqlite")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def printed(command: InProcess, *arguments: str) -> Any:
    done = command(*arguments, "--format", "json")
    assert done.rc in (0, 3), done.stderr
    return json.loads(done.stdout)


def listed(command: InProcess, *arguments: str) -> list[dict[str, Any]]:
    """The sweeps of a list, the newest first."""
    found: list[dict[str, Any]] = printed(command, "runs", *arguments)["sweeps"]
    return found


def with_failure(command: InProcess) -> None:
    """Let seed 2 fail."""
    made = 'if torch.initial_seed() == 2:\n            raise ValueError("no")\n        return torch.nn.Linear(1, 1)'
    command.edit("mine.py", "return torch.nn.Linear(1, 1)", made)


# cpd runs


def test_the_list_says_what_show_says(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    command("sweep", "mine.yaml", "--seeds", "1,2")
    command("bisect", "mine.yaml", "--target-g", "0.5", "--max-trainings", "3")
    monkeypatch.setattr(listing, "judged", None)  # remembered since they ended: nothing is judged for a list
    remembered = listed(command)
    monkeypatch.undo()
    monkeypatch.chdir(command.folder)
    with open_store(None, "write") as store, store.file.transaction() as connection:
        connection.execute("DELETE FROM headlines")
    assert listed(command) == remembered  # as when they are judged anew
    search, sweep = remembered
    shown = printed(command, "show", sweep["id"])["summary"]
    assert sweep["settings"] == sum(row["settings"] for row in shown)
    assert sweep["feasible_settings"] == sum(row["feasible_settings"] for row in shown)
    assert sweep["useful_settings"] == sum(row["useful_settings"] for row in shown)
    best = [row for row in shown if row["method"] == sweep["best_method"]]
    assert [(row["best_setting"], row["best_objective"]) for row in best] == [
        (sweep["best_setting"], sweep["best_objective"])
    ]
    (taken,) = [row for row in printed(command, "model", sweep["id"])["models"] if row["taken"]]
    assert (taken["method"], taken["setting"]) == (sweep["best_method"], sweep["best_setting"])
    searched = printed(command, "show", search["id"])
    assert searched["search"]["outcome"] == search["outcome"] != "solved"
    assert (search["settings"], search["useful_settings"]) == (len(searched["search"]["iterations"]), None)
    assert search["outcome"].replace("_", " ") in command("runs").stdout


@pytest.mark.parametrize("width", [60, 80, 132])
def test_the_list_never_wraps(width: int, command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    command("sweep", "mine.yaml")
    command("tag", "last", "paper", "t" * 90, "--note", "a note\x1b[2J of " + "many words " * 20)
    monkeypatch.setenv("COLUMNS", str(width))
    header, rule, row = command("runs").stdout.splitlines()
    assert max(map(len, (header, rule, row))) <= width
    assert "\x1b" not in row
    whole = command("runs", "--wide").stdout.splitlines()
    assert "many words many words" in whole[2]
    monkeypatch.delenv("COLUMNS")
    assert command("runs").stdout.splitlines() == whole  # a file or a pipe has no width


def test_a_list_of_some_sweeps(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command.write("other.yaml", (command.folder / "mine.yaml").read_text())
    with_failure(command)
    command("sweep", "other.yaml", "--seeds", "1,2", "--method", "penalized")
    command("tag", "mine", "paper")
    other, mine = (sweep["id"] for sweep in listed(command))
    by = {
        (): [other, mine],
        ("--task", "mine"): [mine],
        ("--tag", "paper"): [mine],
        ("--failed",): [other],
        ("--failed", "--tag", "paper"): [],
        ("--since", "1h"): [other, mine],
        ("--since", "2099-01-01"): [],
        ("--top", "1"): [other],
    }
    assert {words: [sweep["id"] for sweep in listed(command, *words)] for words in by} == by
    assert command("runs", "--since", "2099-01-01").stderr == "no sweep is like that\n"
    assert command("runs", "--top", "1").stderr == "the newest 1 of 2 sweeps; --top 2 shows all\n"
    assert "2 failed" in command("runs").stdout.splitlines()[2]
    assert command("runs", "--task", "mien").stderr == (
        "cpd: --task: no sweep of task 'mien' is stored; did you mean 'mine'? Valid: other, mine\n"
    )
    assert command("runs", "--tag", "x").rc == command("runs", "--since", "2q").rc == 2


def test_a_sweep_that_cannot_be_read_hides_no_other(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command("sweep", "mine.yaml", "--seeds", "2")
    connection = sqlite3.connect(STORE)
    with connection:
        connection.execute("UPDATE runs SET numbers = numbers || ' ' WHERE seed = '2'")
        connection.execute("DELETE FROM headlines")
    connection.close()
    damaged, whole = listed(command)
    assert (damaged["settings"], whole["settings"]) == (None, 4)
    assert "not readable" in command("runs").stdout
    done = command("store", "check", "--format", "json")
    assert done.rc == 4
    (runs,) = [check for check in json.loads(done.stdout)["checks"] if check["result"] != "ok"]
    assert (runs["checked"], runs["count"], len(runs["problems"])) == ("runs", 8, 4)
    assert done.stderr.count("is not as it was written; train it again") == 4


def test_lists_work_while_another_process_writes_and_on_read_only_media(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command("tag", "last", "paper")
    with open_store(None, "write") as store:
        record = store.load(store.resolve("last")).record
        sweep = store.begin_sweep(record)
        with store.file.transaction():
            running, done = listed(command)
            assert (running["id"], running["running"], running["settings"]) == (sweep, True, 0)
            assert "running" in command("runs").stdout
            assert command("best").rc == command("diff", "last~1", "last").rc == 0
        store.remove(sweep)
    with read_only(STORE.parent):
        assert listed(command) == [done]
        for words in (["best"], ["tag", "last"], ["store", "check"], ["diff", "last", "mine"], ["show"]):
            assert command(*words).rc == 0, words
        assert command("tag", "last", "new").rc == command("rm", "last", "--yes").rc == 4
        assert command("store", "compact").rc == 4


# Tags, and removal


def test_a_sweep_is_called_by_tags_and_a_note(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    (sweep,) = (one["id"] for one in listed(command))
    done = command("tag", "last", "paper", "v1.2", "--note", "the run of Table 3")
    assert (done.rc, done.stdout) == (0, "")
    assert done.stderr == f"{sweep}: tags paper, v1.2, note: the run of Table 3\n"
    command("tag", "mine", "--remove", "v1.2")
    assert printed(command, "tag", "last") == {
        "sweeps": [{"id": sweep, "tags": ["paper"], "note": "the run of Table 3"}]
    }
    assert [(one["tags"], one["note"]) for one in listed(command)] == [(["paper"], "the run of Table 3")]
    assert "tags paper; note: the run of Table 3" in command("show").stdout
    assert command("tag", "last", "--remove", "papr").stderr == (
        "cpd: --remove: the sweep has no tag 'papr'; did you mean 'paper'? Valid: paper\n"
    )
    assert command("tag", "last", "--note", "").stderr == f"{sweep}: tags paper\n"


def test_several_sweeps_are_removed_at_once_or_none(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in ("1", "1,2", "3"):
        command("sweep", "mine.yaml", "--seeds", seed, "--keep-models", "none")
    command("tag", "last", "paper")
    third, second, first = (sweep["id"] for sweep in listed(command))
    assert command("rm", "last", "mien", "--yes").rc == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    done = command("rm", "last", second, third)
    assert done.rc == 130
    assert done.stderr.splitlines() == [
        f"{third}: sweep mine, 4 runs, tagged paper",
        f"{second}: sweep mine, 8 runs",
        "Remove these 2 sweeps; 8 of the runs are in no other sweep? [y/N]: nothing was removed; --yes does not ask",
    ]
    assert len(listed(command)) == 3
    done = command("rm", "last", "last~1", "--yes")  # both are found before the first is gone
    assert done.stderr.splitlines() == [
        f"removed {third}: 4 runs gone, 0 kept for other sweeps",
        f"removed {second}: 4 runs gone, 4 kept for other sweeps",
    ]
    assert [sweep["id"] for sweep in listed(command)] == [first]
    assert command("rm").rc == 2


# Side by side


def test_sweeps_side_by_side_have_each_setting_of_each(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command("sweep", "mine.yaml", "--set", "train.steps=6", "--set", "penalized.coefficient=1,10")
    documents = printed(command, "show", "last", "last~1")["sweeps"]
    newer, older = listed(command)
    assert [one["id"] for one in documents] == [newer["id"], older["id"]]
    alone = printed(command, "show", older["id"])
    assert {name: value for name, value in documents[1].items() if name != "id"} == alone
    lines = command("show", "last~1", "last").stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith(("coefficient", "dual_lr"))]
    assert [row[:3] for row in rows] == [
        ["coefficient", "0.1", "A"],
        ["coefficient", "1", "A"],
        ["coefficient", "1", "B"],
        ["coefficient", "10", "B"],
        ["dual_lr", "0.01", "A"],
        ["dual_lr", "0.01", "B"],
        ["dual_lr", "0.1", "A"],
        ["dual_lr", "0.1", "B"],
    ]
    assert lines[0].startswith(f"A  {older['id']}  mine: minimise error subject to g <= 0.5")
    runs = {(run["method"], *run["setting"].values()): run for run in documents[0]["runs"]}
    objective = runs["penalized", 10.0]["objective"]
    assert f"{objective:#.4g}" in rows[3]
    table = list(csv.DictReader(command("show", "last", "last~1", "--format", "csv").stdout.splitlines()))
    assert [row["sweep"] for row in table] == [newer["id"]] * 4 + [older["id"]] * 4
    assert command("show", "last", "mine").stdout == command("show").stdout  # one sweep by two names


def test_sweeps_of_other_constraints_side_by_side(command: InProcess) -> None:
    command("sweep", "mine.yaml", "--method", "penalized")
    command.edit("mine.py", '{"g": y.mean()}', '{"feasible": y.mean()}')
    command.edit("mine.yaml", '{g: "<= 0.5"}', '{feasible: "<= -9"}')
    command("sweep", "mine.yaml", "--method", "penalized", "--seeds", "1,2")
    done = command("show", "last~1", "last", "--format", "markdown")
    (header,) = [line for line in done.stdout.splitlines() if line.startswith("| setting")]
    rows = [
        dict(zip(header.split("|"), line.split("|"), strict=True))
        for line in done.stdout.splitlines()
        if line.startswith(("| coefficient", "| **coefficient"))
    ]
    found = [{name.strip(): cell.strip().strip("*") for name, cell in row.items()} for row in rows]
    assert [row["sweep"] for row in found] == ["A", "B"] * 2
    assert not [name for name in found[0] if name.endswith("level")]  # each has one, and the headings say it
    verdicts = [row["feasible seeds"] for row in found]
    assert verdicts[1::2] == ["0/2", "0/2"]
    assert all(verdict.startswith(("yes", "no")) for verdict in verdicts[::2])
    assert [row["feasible constraint"] == "-" for row in found] == [True, False] * 2


# The best of all, and what differs


def test_the_best_setting_of_all_sweeps_and_its_model(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command("sweep", "mine.yaml", "--set", "train.steps=200")
    command("sweep", "mine.yaml", "--set", "train.steps=4")
    found = printed(command, "best")["best"]
    by_steps = {sweep["id"]: sweep["best_objective"] for sweep in listed(command)}
    assert len(found) == 1
    (best,) = found
    assert best["best_objective"] == min(by_steps.values())
    assert (best["sweep"], best["sweeps_compared"]) == (listed(command)[1]["id"], 3)
    assert best["model_command"] == f"cpd model {best['sweep']} --to mine.pt"
    assert command(*best["model_command"].split()[1:]).rc == 0
    assert Path("mine.pt").stat().st_size > 0
    assert best["model_command"] in command("best").stdout


def test_only_answers_to_the_same_question_are_compared(command: InProcess) -> None:
    command("sweep", "mine.yaml", "--set", "train.steps=200")
    command("sweep", "mine.yaml", "--levels", "g=0.4,0.6", "--set", "train.steps=200")
    found = printed(command, "best")["best"]
    assert [one["constraints"]["g"]["level"] for one in found] == [0.4, 0.6, 0.5]
    sweep = listed(command)[0]["id"]
    commands = [one["model_command"] for one in found]
    assert commands[:2] == [
        f"cpd model {sweep} --level g=0.4 --to mine.pt",
        f"cpd model {sweep} --level g=0.6 --to mine-2.pt",
    ]
    for words in commands:
        assert command(*words.split()[1:]).rc == 0, words
    command.edit("mine.py", "(y - 1).square()", "0.9 * (y - 1).square()")
    command("sweep", "mine.yaml", "--keep-models", "none", "--set", "train.steps=200")
    done = command("best")
    assert done.stderr == "2 sweeps are of another code of their problem: left out; --outdated compares them\n"
    assert "no weights are kept of mine: train with --keep-models best" in done.stdout
    assert len(printed(command, "best", "--outdated")["best"]) == 3
    assert "| g level |" in command("show", "last~1", "last~2", "--format", "markdown").stdout
    command("sweep", "mine.yaml", "--levels", "g=-900")
    command("rm", "last~1", "--yes")
    assert command("best").stderr.startswith("no sweep has a useful setting of: mine\n")


def test_what_two_sweeps_differ_in(command: InProcess) -> None:
    command.write("helper.py", "SIZE = 8\n")
    command.edit("mine.py", "import cpd\n", "import cpd\nimport helper\n")
    command.edit("mine.py", "size: int = 8", "size: int = helper.SIZE")
    command("sweep", "mine.yaml")
    command.write("helper.py", "SIZE = 9\n")
    command.edit("mine.yaml", '"<= 0.5"', '"<= -9"')
    command.edit("mine.yaml", "[0.1, 1]}}", "[0.1, 2]}}")
    command("sweep", "mine.yaml", "--set", "train.steps=5", "--set", "train.optimizer.lr=0.2")
    found = printed(command, "diff", "last~1", "last")
    newer, older = listed(command)
    assert (found["a"], found["b"]) == (older["id"], newer["id"])
    by = {(one["part"], one["what"]): (one["a"], one["b"]) for one in found["differences"]}
    assert by["asked", "constraints.g.level"] == (0.5, -9.0)
    assert by["asked", "train.steps"] == (3, 5)
    assert by["asked", "train.optimizer.options.lr"] == (0.1, 0.2)
    assert by["settings", "penalized: here alone"] == ("1 setting: coefficient 1", "1 setting: coefficient 2")
    assert ("settings", "lagrangian: here alone") not in by
    assert by["code", "helper.py"] == ("1 of 1 lines", "1 of 1 lines")
    assert {"-SIZE = 8", "+SIZE = 9"} <= set(found["code"])
    assert by["verdict", "penalized: feasible"][1] == "0 of 2"
    turned = [what for (part, what), values in by.items() if values == ("feasible", "not feasible")]
    assert turned
    assert all(part in {"asked", "settings", "code", "verdict"} for part, _ in by)
    table = command("diff", "last~1", "last", "--code").stdout
    assert "+SIZE = 9" in table
    assert max(map(len, command("diff", "last~1", "last").stdout.splitlines())) <= 120
    same = command("diff", "last", "mine")
    assert same.stderr == "last and mine are the same sweep\n"
    assert printed(command, "diff", "last", "last")["differences"] == []


# Upkeep


def test_a_compacted_store_is_smaller_and_remembers(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    command("sweep", "mine.yaml", "--seeds", ",".join(map(str, range(40))), "--keep-models", "none")
    command("sweep", "mine.yaml")
    command("rm", "last~1", "--yes")
    with open_store(None, "write") as store, store.file.transaction() as connection:
        connection.execute("DELETE FROM headlines")
    before = STORE.stat().st_size
    done = command("store", "compact")
    assert (done.rc, done.stdout) == (0, "")
    assert done.stderr.splitlines()[1] == "remembered what came of 1 sweep"
    assert STORE.stat().st_size < before
    monkeypatch.setattr(listing, "judged", None)
    assert listed(command)[0]["settings"] == 4
    assert command("store", "check").rc == 0
