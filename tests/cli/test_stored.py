"""Stored sweeps through the command line and from Python: listed, shown, exported, removed, gone on with."""

import csv
import io
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from command_line import InProcess
from commands import TESTS

import cpd
from cpd.errors import StoreError
from cpd.results import history
from cpd.run.target import with_target
from cpd.spec.reader import load_task
from cpd.store.records import SweepRecord
from cpd.store.store import Store, open_store
from cpd.views.printable import size

SHIPPED = TESTS / "stores" / "version-1.sqlite"
STORE = Path(".cpd", "runs.sqlite")
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def printed(command: InProcess, *arguments: str) -> dict[str, Any]:
    done = command(*arguments, "--format", "json")
    assert done.rc in (0, 3), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def models() -> dict[str, int]:
    """Bytes of the models that are kept, by run."""
    return {path.stem: path.stat().st_size for path in Path(".cpd", "models").iterdir()}


def ids(command: InProcess) -> list[str]:
    """The stored sweeps, the newest first."""
    return [sweep["id"] for sweep in printed(command, "runs")["sweeps"]]


# Only what the store lacks


def test_what_the_store_has_is_found_and_said(command: InProcess) -> None:
    first = command("sweep", "mine.yaml", "--format", "json")
    assert (first.rc, first.stderr) == (0, "")
    again = command("sweep", "mine.yaml", "--format", "json")
    assert again == first.__class__(0, first.stdout, "4 of 4 runs found in the store, 0 to do\n")
    more = command("sweep", "mine.yaml", "--seeds", "1,2", "--format", "json")
    assert more.stderr == "4 of 8 runs found in the store, 4 to do\n"
    old = json.loads(first.stdout)["runs"]
    assert [run for run in json.loads(more.stdout)["runs"] if run["seed"] == 1] == old


def test_a_comparison_and_a_sweep_share_runs(command: InProcess) -> None:
    command("sweep", "mine.yaml", "--method", "penalized")
    compared = command("compare", "penalized", "lagrangian", "--task", "mine.yaml", "--format", "json")
    assert compared.stderr == "2 of 4 runs found in the store, 2 to do\n"
    again = command("compare", "penalized", "lagrangian", "--task", "mine.yaml", "--format", "json")
    assert again.stderr == "4 of 4 runs found in the store, 0 to do\n"
    assert again.stdout == compared.stdout


@pytest.mark.slow
def test_a_search_goes_on_from_the_store(command: InProcess) -> None:
    search = ("bisect", "mine.yaml", "--target-g", "0.5", "--tolerance", "1e-4", "--set", "train.steps=30")
    few = command(*search, "--max-trainings", "4", "--format", "json")
    assert few.rc == 3
    assert json.loads(few.stdout)["search"]["outcome"] == "out_of_budget"
    whole = command(*search, "--format", "json")
    assert whole.stderr == "4 of these trainings found in the store\n"
    assert command(*search, "--no-store", "--format", "json").stdout != ""
    alone = json.loads(command(*search, "--no-store", "--format", "json").stdout)
    assert json.loads(whole.stdout)["search"] == alone["search"]
    assert alone["search"]["outcome"] == "solved"
    assert alone["search"]["trainings"] > 4


def test_fresh_trains_again_and_the_new_result_takes_the_old_place(command: InProcess) -> None:
    first = printed(command, "sweep", "mine.yaml")
    done = command("sweep", "mine.yaml", "--fresh", "--format", "json")
    assert (done.rc, done.stderr) == (0, "")
    again = json.loads(done.stdout)
    assert [run["objective"] for run in again["runs"]] == [run["objective"] for run in first["runs"]]
    assert [run["id"] for run in again["runs"]] == [run["id"] for run in first["runs"]]
    assert attempts() == [2, 2, 2, 2]


def attempts() -> list[int]:
    connection = sqlite3.connect(STORE)
    found = [row[0] for row in connection.execute("SELECT attempts FROM runs")]
    connection.close()
    return found


def test_a_diverged_run_is_a_result_and_a_failed_one_is_tried_again(command: InProcess) -> None:
    made = """model = torch.nn.Linear(1, 1)
        if torch.initial_seed() == 2:
            raise ValueError("seed 2 has no model")
        if torch.initial_seed() == 3:
            model.weight.data.fill_(1e30)
        return model"""
    command.edit("mine.py", "return torch.nn.Linear(1, 1)", made)
    command.edit("mine.yaml", "dtype: float64", "dtype: float32")
    first = command("sweep", "mine.yaml", "--seeds", "1,2,3", "--method", "penalized", "--format", "json")
    assert first.rc == 1
    assert [run["status"] for run in json.loads(first.stdout)["runs"]] == ["completed", "failed", "diverged"] * 2
    again = command("sweep", "mine.yaml", "--seeds", "1,2,3", "--method", "penalized", "--format", "json")
    assert again.stderr.startswith("4 of 6 runs found in the store, 2 to do\n")
    (info,) = [sweep for sweep in printed(command, "runs")["sweeps"] if sweep["id"] == ids(command)[0]]
    assert (info["runs"], info["completed"], info["diverged"], info["failed"]) == (6, 2, 2, 2)


def test_no_store_keeps_nothing(command: InProcess) -> None:
    assert all(run["id"] for run in printed(command, "sweep", "mine.yaml", "--no-store")["runs"])
    assert sorted(path.name for path in command.folder.iterdir()) == ["mine.py", "mine.yaml"]


def test_where_the_store_is(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    command("sweep", "mine.yaml", "--store", "named/a.sqlite")
    monkeypatch.setenv("CPD_STORE", str(command.folder / "by" / "variable.sqlite"))
    command("sweep", "mine.yaml", "--seeds", "5")
    assert not STORE.exists()
    assert [s["runs"] for s in printed(command, "runs")["sweeps"]] == [4]
    assert printed(command, "show")["runs"][0]["seed"] == 5
    assert printed(command, "show", "--store", "named/a.sqlite")["runs"][0]["seed"] == 1  # the option goes first


def test_a_store_that_fails_at_the_very_end_costs_no_result_on_the_screen(
    command: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise StoreError("the disk is full", place=str(STORE), hint="free space")

    whole = command("sweep", "mine.yaml", "--no-store", "--format", "json").stdout
    monkeypatch.setattr(Store, "end_sweep", fail)
    done = command("sweep", "mine.yaml", "--format", "json")
    assert (done.rc, done.stderr) == (4, "cpd: .cpd/runs.sqlite: the disk is full; free space\n")
    numbers = [[run["objective"] for run in json.loads(out)["runs"]] for out in (done.stdout, whole)]
    assert numbers[0] == numbers[1]


# Listed and shown


def test_the_list_of_sweeps_is_the_contracts(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command("compare", "penalized", "lagrangian", "--task", "mine.yaml", "--seeds", "1,2")
    command("bisect", "mine.yaml", "--target-g", "0.5", "--max-trainings", "2")
    listed = printed(command, "runs")
    assert listed.keys() == {"sweeps"}
    keys = ["id", "task", "command", "started", "ended", "runs", "completed", "diverged", "failed", "running"]
    keys += ["settings", "feasible_settings", "useful_settings", "outcome", "objective"]
    keys += ["best_method", "best_setting", "best_levels", "best_objective", "tags", "note", "models"]
    assert [list(sweep) for sweep in listed["sweeps"]] == [keys] * 3
    assert [(sweep["command"], sweep["task"], sweep["runs"], sweep["completed"]) for sweep in listed["sweeps"]] == [
        ("bisect", "mine", 2, 2),
        ("compare", "mine", 8, 8),
        ("sweep", "mine", 4, 4),
    ]
    for sweep in listed["sweeps"]:
        assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", sweep["id"])
        assert re.fullmatch(MOMENT, sweep["started"])
        assert re.fullmatch(MOMENT, sweep["ended"])
    rows = list(csv.DictReader(command("runs", "--format", "csv").stdout.splitlines()))
    assert [row["id"] for row in rows] == [sweep["id"] for sweep in listed["sweeps"]]
    sizes = models()
    for sweep in listed["sweeps"]:  # of the runs that it shows, whoever keeps them
        shown = {run["id"] for run in printed(command, "show", sweep["id"])["runs"]}
        assert sweep["models"] == sum(sizes[run] for run in sizes.keys() & shown) > 0
    assert f" {size(listed['sweeps'][0]['models'])}" in command("runs").stdout.splitlines()[2]
    for path in Path(".cpd", "models").iterdir():
        path.unlink()
    assert [list(sweep) for sweep in printed(command, "runs")["sweeps"]] == [keys[:-1]] * 3


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "latex"])
@pytest.mark.parametrize(
    "swept",
    [
        ("sweep", "mine.yaml"),
        ("compare", "penalized", "lagrangian", "--task", "mine.yaml", "--gap", "0.5"),
        ("bisect", "mine.yaml", "--target-g", "0.5", "--max-trainings", "4"),
    ],
    ids=["sweep", "compare", "bisect"],
)
def test_show_prints_what_the_command_printed(swept: tuple[str, ...], form: str, command: InProcess) -> None:
    before = command(*swept, "--format", form)
    after = command("show", "last", "--format", form)
    assert after.rc == before.rc
    if (swept[0], form) != ("bisect", "table"):
        assert after.stdout == before.stdout
    else:  # its iterations were printed as they came, in columns wide enough for any number
        rows = [[line.split()[:2] for line in done.stdout.splitlines()] for done in (before, after)]
        iterations = [[row for row in each if row and row[0].isdigit()] for each in rows]
        assert iterations[0] == iterations[1]
        assert len(iterations[0]) == 2
        assert after.stdout.splitlines()[-1] == before.stdout.splitlines()[-1]


def test_a_stored_sweep_is_judged_anew(command: InProcess) -> None:
    swept = printed(command, "sweep", "mine.yaml")
    value = max(run["constraints"]["g"]["value"] for run in swept["runs"])
    strict = command("show", "--tolerance", "0", "--format", "json")
    loose = command("show", "--tolerance", str(value), "--format", "json")
    assert [run["feasible"] for run in json.loads(loose.stdout)["runs"]] == [True] * 4
    assert json.loads(loose.stdout)["constraints"]["g"]["tolerance"] == value
    expected = [run["constraints"]["g"]["value"] <= 0.5 for run in swept["runs"]]
    assert [run["feasible"] for run in json.loads(strict.stdout)["runs"]] == expected
    assert printed(command, "show") == swept  # what is stored has no verdict
    for gap, asked in [("1e9", 1e9), ("100%", "100%")]:
        shown = printed(command, "show", "--gap", gap)
        assert shown["gap"] == asked
        assert shown["summary"][0]["useful_settings"] == sum(
            run["feasible"] for run in swept["runs"] if run["method"] == "penalized"
        )


@pytest.mark.parametrize(("asked", "kept"), [("0.01", 0.01), ("12%", "12%"), (None, "5%")])
def test_a_gap_is_kept_with_its_sweep(asked: str | None, kept: object, command: InProcess) -> None:
    swept = printed(command, "sweep", "mine.yaml", *(["--gap", asked] if asked else []))
    assert swept["gap"] == kept
    assert printed(command, "show") == swept


def test_a_gap_of_an_earlier_version_is_a_share(command: InProcess) -> None:
    command("sweep", "mine.yaml", "--gap", "0.01")
    with open_store(STORE, "read") as store:
        found = store.load(store.resolve("last"), curves=True)
    for bare, gap in [(0.05, "5%"), (0.5, "50%")]:
        earlier = replace(found, record=replace(found.record, options={"gap": bare}))
        assert history.result(earlier).document["gap"] == gap


@pytest.mark.parametrize("option", ["--tolerance", "--gap"])
@pytest.mark.parametrize("value", ["inf", "nan", "1e400", "-inf"])
def test_a_tolerance_that_is_no_number_is_refused(option: str, value: str, command: InProcess) -> None:
    command("sweep", "mine.yaml")
    done = command("show", "last", option, value, "--format", "json")
    assert (done.rc, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    share = ", or a share such as 5%" if option == "--gap" else ""
    assert line.startswith(f"cpd: {option}: expected a number >= 0{share}, got '")


def test_what_was_counted_is_shown_at_its_own_tolerance_alone(command: InProcess) -> None:
    swept = printed(command, "sweep", "mine.yaml", "--set", "train.steps=40")
    with open_store(STORE, "read") as store:
        runs = store.load(store.resolve("last")).runs
    assert [r["constraints"]["g"]["feasible_share"] for r in swept["runs"]] == [r.constraints["g"].held for r in runs]
    assert {run.constraints["g"].tolerance for run in runs} == {swept["constraints"]["g"]["tolerance"]}
    other = printed(command, "show", "--tolerance", "1e6")
    assert {run["constraints"]["g"]["feasible_share"] for run in other["runs"]} == {1.0}


def test_stored_sweeps_need_no_torch(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    program = (
        "import sys\nfrom cpd.cli.main import main\nsys.argv = ['cpd', *sys.argv[1:]]\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    for words in (
        ["runs"],
        ["show", "--format", "latex"],
        ["export", "last", "--to", "a.csv"],
        ["rm", "last", "--yes"],
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=command.folder,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


# Which sweep is meant


def test_a_sweep_is_meant_by_id_prefix_task_or_last(command: InProcess) -> None:
    for number in ("1", "2"):
        command("sweep", "mine.yaml", "--seeds", number)
    command.write("other.yaml", (command.folder / "mine.yaml").read_text())
    command("sweep", "other.yaml", "--seeds", "3")
    other, second, first = ids(command)

    def seed(ref: str) -> int:
        return int(printed(command, "show", ref)["runs"][0]["seed"])

    assert [seed(ref) for ref in (first, second, other, "mine", "other", "last")] == [1, 2, 3, 2, 3, 3]
    assert seed(other[:-1]) == 3 or other[:-1] == second[:-1]


def test_what_no_sweep_or_several_are_called_is_refused(command: InProcess) -> None:
    for number in ("1", "2"):
        command("sweep", "mine.yaml", "--seeds", number)
    none = command("show", "mien")
    assert (none.rc, none.stdout) == (2, "")
    assert none.stderr == (
        "cpd: .cpd/runs.sqlite: no sweep 'mien'; did you mean 'mine'? Valid: last, mine; "
        "an id or the start of one will do too\n"
    )
    several = command("export", "20", "--to", "a.csv")
    assert (several.rc, several.stdout) == (2, "")
    newest, oldest = ids(command)
    assert several.stderr == (
        f"cpd: .cpd/runs.sqlite: 2 sweeps start with '20'; give more of one: {newest}, {oldest}\n"
    )
    assert not (command.folder / "a.csv").exists()


# Exported


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_an_export_has_one_row_per_run(suffix: str, command: InProcess) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    swept = printed(command, "sweep", "mine.yaml")["runs"]
    done = command("export", "last", "--to", f"out.{suffix}")
    assert (done.rc, done.stdout, done.stderr) == (0, "", f"4 rows written to out.{suffix}\n")
    frame = read(command.folder / f"out.{suffix}")
    assert frame["id"].tolist() == [run["id"] for run in swept]
    assert frame["objective"].tolist() == [run["objective"] for run in swept]
    assert frame["constraints.g.value"].tolist() == [run["constraints"]["g"]["value"] for run in swept]
    assert frame["setting.coefficient"].tolist()[:2] == [0.1, 1.0]
    assert frame["setting.coefficient"].isna().tolist() == [False, False, True, True]
    assert frame["feasible"].tolist() == [run["feasible"] for run in swept]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_an_export_of_curves_has_one_row_per_point(suffix: str, command: InProcess) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    command("sweep", "mine.yaml", "--set", "train.steps=1201")
    done = command("export", "last", "--to", f"out.{suffix}", "--curves")
    frame = read(command.folder / f"out.{suffix}")
    assert done.stderr == f"{len(frame)} rows written to out.{suffix}\n"
    with open_store(None, "read") as store:
        runs = store.load(store.resolve("last"), curves=True).runs
    for run in runs:
        own = frame[frame["id"] == run.key.id]
        assert run.curves is not None
        assert own["step"].tolist() == run.curves.steps
        assert own["objective"].tolist() == run.curves.objective
        assert own["constraints.g"].tolist() == run.curves.constraints["g"]
        if run.key.method == "lagrangian":
            assert own["multipliers.g"].tolist() == run.curves.multipliers["g"]
        assert 300 <= len(own) <= 501
    assert len(frame) == sum(len(run.curves.steps) for run in runs if run.curves is not None)


def read(path: Path) -> pandas.DataFrame:
    readers: dict[str, Any] = {".csv": pandas.read_csv, ".parquet": pandas.read_parquet, ".json": pandas.read_json}
    frame: pandas.DataFrame = (
        readers[path.suffix](path, precise_float=True) if path.suffix == ".json" else readers[path.suffix](path)
    )
    return frame


def test_an_export_that_cannot_be_written_is_refused(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    wrong = command("export", "last", "--to", "out.xlsx")
    assert (wrong.rc, wrong.stderr) == (
        2,
        "cpd: --to out.xlsx: cannot write '.xlsx' files; valid: .csv, .parquet, .json\n",
    )
    nowhere = command("export", "last", "--to", "no/folder/out.csv")
    assert (nowhere.rc, nowhere.stderr) == (
        2,
        "cpd: --to no/folder/out.csv: no folder 'no/folder'; make it, or choose another place\n",
    )


def test_a_suffix_may_be_in_capitals(command: InProcess, tmp_path: Path) -> None:
    command("sweep", "mine.yaml")
    for name in ("OUT.CSV", "out.Json"):
        done = command("export", "last", "--to", str(tmp_path / name))
        assert (done.rc, done.stderr) == (0, f"4 rows written to {tmp_path / name}\n")
        assert (tmp_path / name).stat().st_size > 0


# Removed


def test_rm_asks_first(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {run["id"] for run in printed(command, "sweep", "mine.yaml")["runs"]}
    command("sweep", "mine.yaml", "--seeds", "1,2", "--keep-models", "all")
    newest, oldest = ids(command)
    both = models()
    assert len(both) == 8
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\ny\n"))
    refused = command("rm", "last")
    assert (refused.rc, refused.stdout) == (130, "")
    free = size(sum(both[run] for run in both if run not in old))
    shared = f"4 of the runs are in no other sweep; {free} of models"
    question = f"Remove {newest} (sweep mine, 8 runs; {shared})? [y/N]: "
    assert refused.stderr == f"{question}nothing was removed; --yes does not ask\n"
    assert ids(command) == [newest, oldest]
    done = command("rm", "last")
    assert (done.rc, done.stdout) == (0, "")
    left = models()
    assert left == {name: bytes_ for name, bytes_ in both.items() if name in old}  # what the other sweep shows
    freed = f", {size(sum(both.values()) - sum(left.values()))} of models freed"
    assert done.stderr == f"{question}removed {newest}: 4 runs gone, 4 kept for other sweeps{freed}\n"
    assert ids(command) == [oldest]
    assert len(printed(command, "show")["runs"]) == 4
    freed = f", {size(sum(left.values()))} of models freed"
    assert command("rm", oldest, "--yes").stderr == f"removed {oldest}: 4 runs gone, 0 kept for other sweeps{freed}\n"
    assert ids(command) == []
    assert not Path(".cpd", "models").exists()


# From Python


def test_python_returns_what_the_command_line_prints(command: InProcess) -> None:
    swept = printed(command, "sweep", "mine.yaml")
    compared = printed(command, "compare", "penalized", "lagrangian", "--task", "mine.yaml")
    searched = printed(command, "bisect", "mine.yaml", "--target-g", "0.5", "--max-trainings", "4")
    sweep = cpd.sweep("mine.yaml")
    assert (sweep.document, sweep.found) == (swept, 4)
    assert cpd.compare("penalized", "lagrangian", task="mine.yaml").document == compared
    assert sweep.id == ids(command)[1]
    search = with_target(load_task("mine.yaml"), {"target": "0.5", "max_trainings": 4}).search
    result = cpd.bisect("mine.yaml", search)
    assert result.document == searched
    assert cpd.sweep("mine.yaml", options=cpd.Options(keep=False)).id is None


def test_load_runs_gives_all_stored_runs_as_a_table(command: InProcess) -> None:
    command("sweep", "mine.yaml")
    command("sweep", "mine.yaml", "--seeds", "2")
    newest, oldest = ids(command)
    table = cpd.load_runs()
    assert table["sweep"].tolist() == [newest] * 4 + [oldest] * 4
    assert table["seed"].tolist() == [2] * 4 + [1] * 4
    one = cpd.load_runs(STORE, oldest)
    shown = printed(command, "show", oldest)["runs"]
    assert one["objective"].tolist() == [run["objective"] for run in shown]
    assert one["constraints.g.violation"].tolist() == [run["constraints"]["g"]["violation"] for run in shown]
    with pytest.raises(cpd.CpdError, match="there is no store of runs here"):
        cpd.load_runs("elsewhere.sqlite")


# Stores of released versions


def test_a_store_of_version_1_is_shown_and_gone_on_with(command: InProcess) -> None:
    STORE.parent.mkdir()
    shutil.copy(SHIPPED, STORE)
    bisected, swept = printed(command, "runs")["sweeps"]
    assert (bisected["command"], bisected["runs"], bisected["completed"]) == ("bisect", 2, 2)
    assert (swept["command"], swept["runs"], swept["completed"], swept["diverged"], swept["failed"]) == (
        "sweep",
        6,
        2,
        2,
        2,
    )
    assert printed(command, "show", bisected["id"])["search"]["iterations"] == [
        searched(1, 0.001, 0.9716365337371826, 0.03971407935023308, 1.2729487419128418),
        searched(2, 1.0, 0.4780102074146271, 0.2967914342880249, 0.7162165641784668),
    ]
    shown = json.loads(command("show", swept["id"], "--format", "json").stdout)["runs"]
    assert [(run["method"], run["seed"], run["status"]) for run in shown] == [
        (method, seed, status)
        for method in ("penalized", "lagrangian")
        for seed, status in ((1, "completed"), (2, "diverged"), (3, "failed"))
    ]
    assert command("sweep", "mine.yaml").rc == 0  # it is written on
    assert len(ids(command)) == 3


def test_a_sweep_whose_task_only_another_version_understands_is_told(command: InProcess) -> None:
    with open_store(None, "write") as store:
        sweep = store.begin_sweep(SweepRecord("sweep", "mine", "", {"name": "mine"}, versions={"cpd": "9.1"}))
    done = command("show")
    fix = "which describes tasks in another way; show it with that version"
    assert (done.rc, done.stdout, done.stderr) == (4, "", f"cpd: {sweep}: the sweep was stored by cpd 9.1, {fix}\n")


def searched(number: int, coefficient: float, value: float, objective: float, largest: float) -> dict[str, Any]:
    numbers = {"coefficient": coefficient, "value": value, "objective": objective}
    return {"iteration": number, **numbers, "metrics": {"largest": largest}}


def test_values_along_the_way_from_the_file_to_the_table(command: InProcess) -> None:
    asked = (
        "train.steps=60",
        "train.measure_every=2 epochs",
        "train.select=best_feasible",
        "train.stop.feasible_for=3",
    )
    options = [option for one in asked for option in ("--set", one)]
    document = printed(command, "sweep", "concave", "--method", "lagrangian", *options)
    for run in document["runs"]:
        measured = run["curves"]["measured"]
        assert run["selected_step"] in measured["steps"]
        point = measured["steps"].index(run["selected_step"])
        assert run["objective"] == measured["objective"][point]
        assert run["constraints"]["g"]["value"] == measured["constraints"]["g"][point]
        assert measured["steps"] == list(range(2, run["steps"] + 1, 2))
    assert printed(command, "show", "last") == document
    assert command("export", "last", "--to", "runs.csv").rc == 0
    assert command("export", "last", "--to", "points.csv", "--curves").rc == 0
    runs, points = pandas.read_csv("runs.csv"), pandas.read_csv("points.csv")
    assert runs["selected_step"].tolist() == [run["selected_step"] for run in document["runs"]]
    assert points["measured.objective"].notna().sum() == sum(
        len(run["curves"]["measured"]["steps"]) for run in document["runs"]
    )
    again = printed(command, "sweep", "concave", "--method", "lagrangian", *options)
    assert again["runs"] == document["runs"]
