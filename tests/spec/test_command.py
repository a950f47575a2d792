"""Commands with placeholders: split without a shell, filled in, checked before anything runs, and part of an id."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cpd.errors import CpdError
from cpd.spec.command import filled, text_of, values_for, words_of
from cpd.spec.identity import runs
from cpd.spec.models import Task, task_from_json, task_to_json
from cpd.spec.overrides import Overrides
from cpd.spec.program import named_files
from cpd.spec.reader import load_task
from cpd.spec.validation import InvalidError

BASE = {
    "command": "python train.py --coef {coefficient} --seed {seed}",
    "objective": "loss",
    "constraints": '{density: "<= 0.5"}',
    "methods": "{penalized: {coefficient: 1}}",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("x = 1\n")
    (tmp_path / "data.csv").write_text("1,2\n")
    return tmp_path


def load(*assign: str, only: tuple[str, ...] = (), **keys: Any) -> Task:
    lines = [f"{key}: {value}" for key, value in {**BASE, **keys}.items() if value is not None]
    Path("task.yaml").write_text("\n".join(lines) + "\n")
    return load_task("task.yaml", Overrides(set=assign, methods=only))


def refusal(*assign: str, **keys: Any) -> str:
    with pytest.raises(CpdError) as caught:
        load(*assign, **keys)
    return str(caught.value)


def ids(*assign: str, **keys: Any) -> list[str | None]:
    return [run.id for run in runs(load(*assign, **keys))]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("python train.py", ["python", "train.py"]),
        ("python 'my train.py' --x=\"a b\" ''", ["python", "my train.py", "--x=a b", ""]),
        ("python \\\n  train.py\n  --x 1", ["python", "train.py", "--x", "1"]),
        (["python", "train.py", "--epochs", 10, 0.5, True], ["python", "train.py", "--epochs", "10", "0.5", "true"]),
        (["bash", "-c", "a | b > c"], ["bash", "-c", "a | b > c"]),
    ],
)
def test_words(raw: Any, words: list[str]) -> None:
    assert list(words_of(raw)) == words


@pytest.mark.parametrize("raw", ["", "  ", [], None, 3, {"a": 1}, [["a"]], [None], "a 'b", "a | b", "a > b", "a && b"])
def test_what_is_no_command(raw: Any) -> None:
    with pytest.raises(InvalidError):
        words_of(raw)


def fill(command: str, method: str = "m", **setting: Any) -> list[str]:
    values = values_for(method, setting, {"density": 0.5, "a.b": 1.0}, 7, "/run")
    return filled(words_of(command), values)


def test_placeholders() -> None:
    assert fill("x {method} {seed} {folder}/out {level.density} {level.a.b} {{}} {python}") == [
        *("x", "m", "7", "/run/out", "0.5", "1", "{}", sys.executable)
    ]
    assert fill("x --json '{{\"a\": {c}}}'", c=[1, 2.5]) == ["x", "--json", '{"a": [1, 2.5]}']


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (10.0, "10"),
        (1e-05, "1e-05"),
        (0.1, "0.1"),
        (1e22, "1e+22"),
        (-0.5, "-0.5"),
        (True, "true"),
        ("a b", "a b"),
        ([1, "x"], '[1, "x"]'),
    ],
)
def test_values_as_programs_read_them(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("x --coef {c} --lr {d} y", ["x", "--lr", "2", "y"]),
        ("x --coef={c} --lr={d}", ["x", "--lr=2"]),
        ("x model.coef={c} model.lr={d}", ["x", "model.lr=2"]),
        ("x -c{c} -d{d}", ["x", "-d2"]),
        ("x {c} {d}", ["x", "", "2"]),
        ("x --verbose -c{c} {d}", ["x", "--verbose", "2"]),
        ("x --name {d}-{c} end", ["x", "end"]),
        ("x {d} --coef {c}", ["x", "2"]),
        ("x --lr={d} {c}", ["x", "--lr=2", ""]),
    ],
)
def test_options_without_a_value_are_left_out_and_other_words_keep_their_places(command: str, words: list[str]) -> None:
    assert fill(command, d=2) == words


@pytest.mark.usefixtures("folder")
def test_a_task() -> None:
    task = load(timeout="3600", check_with="{seed: 3}", seeds="[1, 2]")
    assert task.program is not None
    assert task.program.words == ("python", "train.py", "--coef", "{coefficient}", "--seed", "{seed}")
    assert (task.program.timeout, task.program.check_with) == (3600.0, {"seed": 3})
    assert len(runs(task)) == 2
    assert task_from_json(json.loads(json.dumps(task_to_json(task)))) == task


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"command": "python {coeficient}"}, "task.yaml: command: no method has 'coeficient', which '{coeficient}' names; "
     "did you mean 'coefficient'? Valid: coefficient, method, seed, folder, python, level.density"),
    ({"command": "python train.py"}, "task.yaml: methods.penalized.coefficient: the command has no {coefficient}, so "
     "'coefficient' would change nothing; add it to the command, e.g. --coefficient {coefficient}"),
    ({"command": "python {coefficient} {level.x}"}, "no method has 'level.x'"),
    ({"command": "python {coefficient} ${HOME}"}, "no method has 'HOME'"),
    ({"command": "[python, '{coefficient}', '{\"a\": 1}']"}, "is no placeholder; write {{ and }} for braces"),
    ({"command": "python {coefficient} {"}, "a '{' alone in '{'; write {{ and }} for braces that are meant as such"),
    ({"command": "python {coefficient} {}"}, "is no placeholder"),
    ({"command": ""}, "command: null is no command; write e.g. command: python train.py --coef {coefficient}"),
    ({"train": "{steps: 3}"}, "task.yaml: train: 'train' is for a problem, and a command trains as it likes"),
    ({"held_out": "0.2"}, "'held_out' is for a problem, and a command trains as it likes"),
    ({"problem": "mine.py:Mine"}, "task.yaml: problem: 'problem' stands beside a command; keep one of the two"),
    ({"timeout": "0"}, "task.yaml: timeout: 0 is out of range"),
    ({"timeout": "soon"}, "'soon' is not a number"),
    ({"check_with": "{steps: 2}"}, "task.yaml: check_with.steps: the command has no {steps}"),
    ({"methods": "{m: {seed: 1}}", "command": "python {seed}"}, "'seed' is a name of cpd's own"),
    ({"methods": "{m: {train.x: 1}}"}, "'train.x' is no hyperparameter's name"),
    ({"methods": "{m.n: {coefficient: 1}}"}, "'m.n' is no method's name"),
    ({"methods": "{m: {coefficient: {values: []}}}"}, "task.yaml: methods.m.coefficient: values is empty"),
    ({"methods": "{m: {coefficient: .nan}}"}, "is not a finite number"),
    ({"methods": "{m: {coefficient: null}}"}, "null is no value; leave it out"),
    ({"methods": "{m: {coefficient: {values: [1, null]}}}"}, "null is no value; leave it out"),
    ({"methods": "{m: 3}"}, "3 is not a mapping"),
    ({"arguments": "{coefficient: 3}"}, "'coefficient' is among the arguments too; keep one of the two"),
    ({"arguments": "{width: 3}"}, "task.yaml: arguments.width: the command has no {width}"),
    ({"files": "[nothing.csv]"}, "task.yaml: files[0]: 'nothing.csv' matches no file"),
    ({"files": "[/etc/hostname]"}, "is outside of the folder"),
    ({"files": "train.py"}, "'train.py' is not a list"),
    ({"command": None, "problem": "mine.py:Mine", "train": "{steps: 1}", "timeout": "3"}, "'timeout' is for a command"),
]  # fmt: skip


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("keys", "words"), REFUSED)
def test_what_is_refused_before_anything_runs(keys: dict[str, Any], words: str) -> None:
    assert words in refusal(**keys)


@pytest.mark.usefixtures("folder")
def test_a_placeholder_that_some_method_has_is_enough() -> None:
    methods = "{penalized: {coefficient: 1}, mine: {dual_lr: {values: [0.1, 1]}}}"
    task = load(command="python train.py --c {coefficient} --lr {dual_lr} --how {method}", methods=methods)
    assert [run.method for run in runs(task)] == ["penalized", "mine", "mine"]


@pytest.mark.usefixtures("folder")
def test_methods_of_its_own_are_set_and_chosen_on_the_command_line() -> None:
    keys: dict[str, Any] = {"command": "python {lr} {method}", "methods": "{mine: {lr: 1}, other: {lr: 2}}"}
    assert [run.setting for run in runs(load("mine.lr=3,4", **keys))] == [{"lr": 3}, {"lr": 4}, {"lr": 2}]
    assert [run.method for run in runs(load(only=("other",), **keys))] == ["other"]
    with pytest.raises(CpdError, match="unknown method 'another'"):
        load(only=("another",), **keys)


@pytest.mark.usefixtures("folder")
def test_whole_numbers_stay_whole() -> None:
    grids = "{n: {min: 1, max: 3, num: 3}, x: {min: 1, max: 2, num: 3}, w: on}"
    keys: dict[str, Any] = {"command": "python {n} {x} {w}", "methods": f"{{m: {grids}}}"}
    settings = [run.setting for run in runs(load(**keys))]
    assert [repr(one["n"]) for one in settings[::3]] == ["1", "2", "3"]
    assert [one["x"] for one in settings[:3]] == [1.0, 1.5, 2.0]


@pytest.mark.usefixtures("folder")
def test_arguments_are_placeholders_and_may_be_grids() -> None:
    keys: dict[str, Any] = {"command": "python {coefficient} {width}", "arguments": "{width: {values: [32, 64]}}"}
    found = runs(load(**keys))
    assert [run.setting for run in found] == [
        {"coefficient": 1, "arguments.width": 32},
        {"coefficient": 1, "arguments.width": 64},
    ]
    assert len({run.id for run in found}) == 2


def test_an_id_is_of_command_setting_seed_levels_and_files(folder: Path) -> None:
    first = ids()
    assert ids() == ids(timeout="5") == ids(check_with="{seed: 1}") == ids(files="[data.csv]") == first
    assert ids(methods="{penalized: {coefficient: 1.0}}") == first
    changed = {
        "command": ids(command="python train.py -c {coefficient} --seed {seed}"),
        "setting": ids(methods="{penalized: {coefficient: 2}}"),
        "method": ids(methods="{other: {coefficient: 1}}"),
        "seed": ids(seeds="[1]"),
        "level": ids(constraints='{density: "<= 0.4"}'),
        "sense": ids(constraints='{density: ">= 0.5"}'),
        "objective": ids(objective="error"),
    }
    assert len({first[0], *(own[0] for own in changed.values())}) == len(changed) + 1
    (folder / "data.csv").write_text("other")
    assert ids() == first
    (folder / "helper.py").write_text("x = 2\n")
    second = ids()
    assert second != first
    (folder / "train.py").write_text("import helper  # changed\n")
    assert ids() not in (first, second)


def test_what_it_depends_on_may_be_said(folder: Path) -> None:
    keys: dict[str, Any] = {"depends": '[data.csv, "*.py"]'}
    task = load(**keys)
    assert list(task.problem.depends) == ["data.csv", "helper.py", "train.py"]
    first = ids(**keys)
    (folder / "data.csv").write_text("other")
    assert ids(**keys) != first
    (note,) = load(depends="[data.csv]").notes
    assert note == "depends leaves out train.py, which the command names: stored runs stay when it changes"


def test_the_files_that_a_command_names(folder: Path) -> None:
    (folder / "conf").mkdir()
    for name in ("conf/a.yaml", "conf/b.yaml", "solver", "pkg.py"):
        (folder / name).write_text("")
    words = ("python", "./solver", "--config=conf/a.yaml", "data.csv", "nothing.csv", "conf", "{folder}/x", "{seed}")
    assert named_files(words, folder) == ["solver", "conf/a.yaml", "data.csv"]
    assert named_files(("python", "-m", "pkg"), folder) == ["pkg.py"]
    assert named_files(("x", "conf/{method}.yaml"), folder) == ["conf/a.yaml", "conf/b.yaml"]


@pytest.mark.usefixtures("folder")
def test_a_search() -> None:
    task = load(methods=None, search="{target: 0.4}")
    assert task.search is not None
    assert "no method has 'c'" in refusal(methods=None, search="{target: 0.4}", command="python {c}")
    assert load(methods=None, search="{target: 0.4, hyperparameter: mine.c}", command="python {c}").methods == {}


def test_a_sweep_of_a_task_with_a_command(folder: Path) -> None:
    load()
    (folder / "sub").mkdir()
    (folder / "sub" / "sweep.yaml").write_text("task: ../task.yaml\nmethods: {mine: {coefficient: {values: [1, 2]}}}\n")
    task = load_task("sub/sweep.yaml")
    assert task.program is not None
    assert task.program.folder == str(folder)
    assert list(task.problem.depends) == ["train.py", "train.py: helper.py"]
    assert len(runs(task)) == 2
