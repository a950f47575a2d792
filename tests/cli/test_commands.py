"""The commands at work on small tasks: what they list, check, select and print."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess
from commands import ROOT

Json = dict[str, Any]


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def runs(cpd: InProcess, *words: str) -> list[Json]:
    """The runs of ``cpd sweep mine.yaml WORDS``."""
    done = cpd("sweep", "mine.yaml", *words, "--format", "json")
    assert done.rc in (0, 3)
    found: list[Json] = json.loads(done.stdout)["runs"]
    return found


# --- tasks


def test_tasks_lists_what_is_bundled_with_one_line_each(cpd: InProcess) -> None:
    done = cpd("tasks", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    files = [path for folder in ("tasks", "sweeps") for path in sorted((ROOT / folder).glob("*.yaml"))]
    assert (done.rc, done.stderr) == (0, "")
    assert [(row["name"], row["kind"]) for row in rows] == [(p.stem, p.parent.name.removesuffix("s")) for p in files]
    assert [row["description"] for row in rows] == [
        path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in files
    ]
    assert json.loads(cpd("tasks", "--format", "json").stdout) == {"tasks": rows}


def test_tasks_fits_a_narrow_terminal(cpd: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    done = cpd("tasks")
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert done.stdout.splitlines()[0].split() == ["name", "kind", "description"]


# --- check


def checks(cpd: InProcess, *words: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = cpd("check", *words, "--format", "json")
    assert done.stderr == ""
    return done.rc, {row["check"]: (row["result"], row["found"]) for row in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("name", sorted(p.stem for f in ("tasks", "sweeps") for p in (ROOT / f).glob("*.yaml")))
def test_every_bundled_task_is_well(name: str, cpd: InProcess, request: pytest.FixtureRequest) -> None:
    words = [name]
    if "mnist" in name:
        words += ["--set", f"arguments.folder='{request.getfixturevalue('mnist_folder')}'"]
    rc, found = checks(cpd, *words)
    assert rc == 0
    assert {result for result, _ in found.values()} == {"ok"}


def test_check_says_what_it_found(cpd: InProcess) -> None:
    rc, found = checks(cpd, "mine.yaml")
    assert rc == 0
    assert found.pop("objective")[1].endswith(" at the start")
    assert found.pop("constraints")[1].startswith("g = ")
    foretold = "4 runs as one program, about 1 MB; steps as they are written; less than a second"
    assert found.pop("plan") == ("ok", foretold)
    assert found == {
        "spec": ("ok", "mine: penalized, lagrangian; 4 runs"),
        "data": ("ok", "[8, 1] float64"),
        "model": ("ok", "Linear, 2 trained parameters"),
        "metrics": ("ok", "largest"),
        "gradients": ("ok", "the gradients of the objective, g reach the parameters"),
        "judged": ("ok", "by training data: g on 8 examples"),
        "fusing": ("ok", "fusable: all settings train as one program; one run alone has its numbers on all data"),
        "engine": ("ok", "two captured steps have the numbers of one run alone"),
        "steps": ("ok", "3 steps, no random numbers drawn"),
    }
    assert not (cpd.folder / ".cpd").exists()


def test_check_foretells_runs_that_train_one_by_one(cpd: InProcess) -> None:
    cpd.edit("mine.py", "(y - 1).square().mean()", "(y - 1).square().mean() * (1 if y.mean() > -9 else 2)")
    rc, found = checks(cpd, "mine.yaml")
    assert rc == 0
    assert found["fusing"][1].startswith("cannot be fused, runs train one at a time: `if`, `while`, `max` or ")
    assert " at mine.py:" in found["fusing"][1]
    assert found["plan"][1].startswith("4 runs, one at a time, about 1 MB; steps as they are written; ")


def test_check_of_a_search_names_it(cpd: InProcess) -> None:
    rc, found = checks(cpd, "table2")
    assert (rc, found["spec"]) == (0, ("ok", "table2: search for density value 0.5"))


UNWELL = {
    "broken gradient": (
        "(y - 1).square().mean()",
        "torch.where(y < 9, y * 0, y / (y * 0)).mean()",
        "gradients",
        "the gradient of the objective is not finite at the start",
    ),
    "not finite": (
        "(y - 1).square().mean()",
        "(y - 100).mean().log()",
        "objective",
        "the objective is not finite at the start",
    ),
}


@pytest.mark.parametrize("kind", UNWELL)
def test_check_finds_what_would_spoil_a_training(kind: str, cpd: InProcess) -> None:
    old, new, check, found = UNWELL[kind]
    cpd.edit("mine.py", old, new)
    rc, rows = checks(cpd, "mine.yaml")
    assert rc == 2
    assert rows[check] == ("not ok", found)


def test_what_no_constraint_can_push_is_refused_by_check_and_sweep_alike(cpd: InProcess) -> None:
    cpd.edit("mine.py", '{"g": y.mean()}', '{"g": y.detach().mean()}')
    line = (
        "cpd: mine.yaml: mine.py:Mine.evaluate(): no gradient of g reaches the parameters; return a differentiable "
        "surrogate in constraints, and the true value in strict\n"
    )
    for command in ("check", "sweep"):
        done = cpd(command, "mine.yaml")
        assert (done.rc, done.stdout, done.stderr) == (2, "", line)


def test_a_constant_objective_and_a_constraint_that_is_flat_where_it_holds_are_well(cpd: InProcess) -> None:
    cpd.edit("mine.py", '{"g": y.mean()}', '{"g": (y.mean() - 100).clamp(min=0)}')
    cpd.edit("mine.py", "(y - 1).square().mean()", "torch.zeros(())")
    rc, rows = checks(cpd, "mine.yaml")
    said = (
        "the gradients of g reach the parameters; the objective has no gradient; the gradient of g is zero at the start"
    )
    assert (rc, rows["gradients"]) == (0, ("ok", said))
    assert cpd("sweep", "mine.yaml").rc == 0


def test_check_says_that_a_problem_cannot_be_fused(cpd: InProcess) -> None:
    cpd.edit("mine.py", "y = model(batch[0])", "y = model(batch[0])\n        assert y.sum().item() < 1e9")
    rc, rows = checks(cpd, "mine.yaml")
    assert rc == 0
    assert rows["fusing"][0] == "ok"
    assert rows["fusing"][1].startswith("cannot be fused, runs train one at a time: ")


# --- which runs


def test_several_methods_are_those_asked_for_in_that_order(cpd: InProcess) -> None:
    found = runs(cpd, "--method", "lagrangian", "-m", "penalized")
    settings = [{"dual_lr": 0.01}, {"dual_lr": 0.1}, {"coefficient": 0.1}, {"coefficient": 1}]
    assert [run["method"] for run in found] == ["lagrangian"] * 2 + ["penalized"] * 2
    assert [run["setting"] for run in found] == settings


def test_set_replaces_a_grid_adds_a_hyperparameter_and_changes_the_recipe(cpd: InProcess) -> None:
    words = ["--method", "lagrangian", "--set", "lagrangian.dual_lr=1e-3:1e1:3:log"]
    found = runs(cpd, *words, "--set", "lagrangian.update=simultaneous", "--set", "train.steps=5")
    assert [run["setting"]["dual_lr"] for run in found] == pytest.approx([0.001, 0.1, 10])
    assert {run["setting"]["update"] for run in found} == {"simultaneous"}
    assert {run["steps"] for run in found} == {5}


def test_set_gives_a_method_that_the_task_lacks_its_settings(cpd: InProcess) -> None:
    found = runs(cpd, "--method", "nupi", "--set", "nupi.dual_lr=0.1,1", "--set", "nupi.kp=2")
    assert [(run["method"], run["setting"]) for run in found] == [
        ("nupi", {"dual_lr": 0.1, "kp": 2}),
        ("nupi", {"dual_lr": 1, "kp": 2}),
    ]


def test_levels_are_swept_and_each_run_gives_every_level(cpd: InProcess) -> None:
    cpd.edit("mine.yaml", '{g: "<= 0.5"}', '{g: "<= 0.5", h: ">= -1"}')
    cpd.edit("mine.py", '{"g": y.mean()}', '{"g": y.mean(), "h": y.min()}')
    found = runs(cpd, "--method", "penalized", "--levels", "g=0.2,0.4", "--set", "penalized.coefficient=1")
    assert [run["levels"] for run in found] == [{"g": 0.2, "h": -1}, {"g": 0.4, "h": -1}]
    for run in found:
        g, h = run["constraints"]["g"], run["constraints"]["h"]
        assert g["violation"] == pytest.approx(g["value"] - run["levels"]["g"])
        assert h["violation"] == pytest.approx(-1 - h["value"])


@pytest.mark.parametrize(("text", "seeds"), [("0:3", [0, 1, 2]), ("1,2,7", [1, 2, 7]), ("5", [5])])
def test_seeds(text: str, seeds: list[int], cpd: InProcess) -> None:
    found = runs(cpd, "--method", "penalized", "--set", "penalized.coefficient=1", "--seeds", text)
    assert [run["seed"] for run in found] == seeds
    assert len({run["objective"] for run in found}) == len(seeds)


def test_compare_takes_the_methods_from_both_places(cpd: InProcess) -> None:
    done = cpd("compare", "penalized", "--method", "lagrangian", "--task", "mine.yaml", "--format", "json")
    assert [entry["method"] for entry in json.loads(done.stdout)["summary"]] == ["penalized", "lagrangian"]


def test_a_file_without_a_suffix_is_a_task_unless_a_bundled_one_has_its_name(cpd: InProcess) -> None:
    text = (cpd.folder / "mine.yaml").read_text()
    cpd.write("mine", text)
    cpd.write("rate", text)
    assert json.loads(cpd("sweep", "mine", "--format", "json").stdout)["task"] == "mine"
    assert checks(cpd, "rate")[1]["spec"][1].startswith("rate: penalized, lagrangian, quadratic_penalty")


# --- what other programs read

DOCUMENT = {"task", "objective", "constraints", "runs", "judge", "confidence"}
RUN = {
    *("id", "method", "setting", "levels", "seed", "status", "feasible", "objective", "constraints", "metrics"),
    *("steps", "seconds", "diagnosis", "error", "model", "selected_step", "kkt", "held_out", "examples"),
}
CONSTRAINT = {"value", "surrogate", "violation", "multiplier", "feasible_share", "interval", "verdict"}
SUMMARY = {
    *("method", "settings", "feasible_settings", "feasible_decades", "useful_settings", "useful_decades"),
    *("best_setting", "best_objective", "trainings_to_first_useful"),
    *("mark", "useful_up_to", "feasible_at_edge", "useful_at_edge"),
}
SEARCH = {"constraint", "target", "tolerance", "outcome", "trainings", "iterations"}
ITERATION = {"iteration", "coefficient", "value", "objective", "metrics", "spread", "seeds"}


def of_every_document(document: Json) -> None:
    """The keys that all documents have, level by level."""
    assert (document["task"], document["objective"]) == ("mine", "error")
    assert document["constraints"].keys() == {"g"}
    assert document["constraints"]["g"].keys() == {"level", "sense", "tolerance"}
    assert document["runs"]
    for run in document["runs"]:
        assert run.keys() == RUN
        assert run["levels"].keys() == {"g"}
        assert run["constraints"].keys() == {"g"}
        assert run["constraints"]["g"].keys() == CONSTRAINT
        assert run["metrics"].keys() == {"largest"}
        assert run["status"] in ("completed", "diverged", "failed")


@pytest.mark.parametrize("words", [("sweep", "mine.yaml"), ("compare", "penalized", "lagrangian", "-t", "mine.yaml")])
def test_the_keys_of_a_sweep_and_a_comparison(words: tuple[str, ...], cpd: InProcess) -> None:
    document = json.loads(cpd(*words, "--format", "json").stdout)
    assert document.keys() == {*DOCUMENT, "summary", "gap"}
    of_every_document(document)
    assert [entry["method"] for entry in document["summary"]] == ["penalized", "lagrangian"]
    assert all(entry.keys() == SUMMARY for entry in document["summary"])
    assert json.loads(cpd("show", "last", "--format", "json").stdout) == document


def test_the_keys_of_a_search(cpd: InProcess) -> None:
    done = cpd("bisect", "mine.yaml", "--target-g", "0.5", "--max-trainings", "3", "--format", "json")
    document = json.loads(done.stdout)
    assert document.keys() == {*DOCUMENT, "search"}
    of_every_document(document)
    assert document["search"].keys() == SEARCH
    assert document["search"]["outcome"] in ("solved", "not_bracketed", "out_of_budget")
    assert document["search"]["trainings"] == len(document["runs"]) == len(document["search"]["iterations"])
    for iteration in document["search"]["iterations"]:
        assert iteration.keys() == ITERATION
        assert iteration["metrics"].keys() == {"largest"}


def test_the_keys_of_a_run_that_gave_no_numbers(cpd: InProcess) -> None:
    cpd.edit("mine.yaml", "lr: 0.1}", "lr: 1e300}")
    document = json.loads(cpd("sweep", "mine.yaml", "--set", "train.steps=50", "--format", "json").stdout)
    for run in document["runs"]:
        assert run.keys() == RUN
        assert (run["status"], run["feasible"], run["objective"]) == ("diverged", False, None)
    assert all(entry["best_setting"] is None for entry in document["summary"])
    assert {entry["best_objective"] for entry in document["summary"]} == {None}


def test_a_vector_constraint_gives_lists(cpd: InProcess) -> None:
    cpd.edit("mine.py", '{"g": y.mean()}', '{"g": y[:3, 0]}')
    for run in runs(cpd):
        found = run["constraints"]["g"]
        assert found.keys() == CONSTRAINT
        for key in ("value", "surrogate", "violation"):
            assert len(found[key]) == 3
        assert (found["multiplier"] is None) == (run["method"] == "penalized")


def test_the_list_of_stored_sweeps(cpd: InProcess) -> None:
    cpd("sweep", "mine.yaml")
    listed = json.loads(cpd("runs", "--format", "json").stdout)
    assert listed.keys() == {"sweeps"}
    (sweep,) = listed["sweeps"]
    assert (sweep["command"], sweep["task"], sweep["runs"]) == ("sweep", "mine", 4)


def test_every_format_has_the_same_rows(cpd: InProcess) -> None:
    found = runs(cpd)
    rows = list(csv.DictReader(io.StringIO(cpd("sweep", "mine.yaml", "--format", "csv").stdout)))
    assert [float(row["objective"]) for row in rows] == [run["objective"] for run in found]
    markdown = cpd("sweep", "mine.yaml", "--format", "markdown").stdout
    latex = cpd("sweep", "mine.yaml", "--format", "latex").stdout
    for run in found:
        shown = f"{run['objective']:#.4g}"
        assert shown in markdown
        assert shown in latex


# --- exit codes


def test_a_sweep_without_a_feasible_run_ends_with_3(cpd: InProcess) -> None:
    done = cpd("sweep", "mine.yaml", "--levels", "g=-100")
    assert done.rc == 3
    assert done.stdout.splitlines()[-2:] == [
        "penalized: 0 of 2 settings feasible.",
        "lagrangian: 0 of 2 settings feasible.",
    ]
