"""Tasks and calls in Python's words."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch

import cpd
from cpd.engine.loading import load_problem
from cpd.run.batches import Batches
from cpd.run.sent import sent
from cpd.spec.identity import runs
from cpd.spec.models import task_to_json
from cpd.spec.reader import load_task
from cpd.spec.yaml import parse_yaml

MINE = """
import torch, cpd
class Model(torch.nn.Module):
    def __init__(self, start):
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor(float(start)))
class Line(cpd.Problem):
    def __init__(self, start=0.0, target=2.0):
        self.start, self.target = start, target
    def model(self):
        return Model(self.start)
    def evaluate(self, model, batch):
        return cpd.Evaluation(objective=(model.x - self.target) ** 2, constraints={"x": model.x})
"""
TRAIN = {"steps": 20, "optimizer": {"name": "SGD", "lr": 0.05}}
WORDS: dict[str, Any] = {
    "constraints": {"x": "<= 1"},
    "train": TRAIN,
    "methods": {"penalized": {"coefficient": [0.1, 1, 10]}, "lagrangian": {"dual_lr": 0.1}},
    "seeds": range(3),
}
QUIET: dict[str, Any] = {"keep": False, "engine": "eager"}


class Model(torch.nn.Module):
    """One number."""

    def __init__(self) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(()))


def line(target: float = 2.0) -> type[cpd.Problem]:
    """A class that no module has."""

    class Line(cpd.Problem):
        def model(self) -> torch.nn.Module:
            return Model()

        def evaluate(self, model: Any, batch: Any) -> cpd.Evaluation:
            return cpd.Evaluation(objective=(model.x - target) ** 2, constraints={"x": model.x})

    return Line


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's own, imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_of_a_test.py").write_text(MINE)
    import mine_of_a_test  # type: ignore[import-not-found]

    yield mine_of_a_test
    del sys.modules["mine_of_a_test"]


def penalized(result: Any) -> list[float]:
    return [run.objective for run in result.finished if run.key.method == "penalized"]


def by_hand(coefficient: float, target: float = 2.0) -> float:
    x = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        ((x - target) ** 2 + coefficient * (x - 1)).backward()
        optimizer.step()
    return float((x.detach() - target) ** 2)


def test_a_class_an_object_a_mapping_and_a_task_train_alike() -> None:
    kind = line()
    task = cpd.Task(problem=kind, **WORDS)
    for given, words in (
        (kind, WORDS),
        (kind(), WORDS),
        ({"problem": kind, **WORDS}, {}),
        (task, {}),
        (cpd.Task(kind, **{**WORDS, "seeds": [7]}), {"seeds": np.arange(3)}),
        (None, {**WORDS, "problem": kind}),
    ):
        result = cpd.sweep(given, **words, **QUIET)
        assert penalized(result) == pytest.approx([by_hand(c) for c in (0.1, 1, 10) for _ in range(3)], rel=1e-5)
        assert result.task.name == "Line"


def test_what_a_class_closes_over_is_what_is_trained() -> None:
    for target in (2.0, 3.0, 2.0):
        result = cpd.sweep(line(target), **{**WORDS, "methods": {"penalized": {"coefficient": 1}}}, **QUIET)
        assert penalized(result)[0] == pytest.approx(by_hand(1.0, target), rel=1e-5)


def test_runs_are_found_again_and_those_of_another_class_are_not(tmp_path: Path) -> None:
    stored = {**WORDS, "store": tmp_path / "runs.sqlite", "engine": "eager"}
    assert cpd.sweep(line(), **stored).found == 0
    assert cpd.sweep(line(), **stored).found == 12
    assert cpd.sweep(line(3.0), **stored).found == 0
    assert cpd.compare("penalized", "lagrangian", problem=line(3.0), **stored).found == 12
    assert cpd.compare("lagrangian", problem=line(3.0), **stored).found == 3


def test_a_comparison_may_begin_with_its_task() -> None:
    for words, task, method in (
        (("concave", "lagrangian"), "concave", "lagrangian"),
        (("min-norm", "penalized"), "min_norm", "penalized"),
        (("lagrangian",), "rate", "lagrangian"),
    ):
        compared = cpd.compare(*words, train={"steps": 3}, **QUIET)
        assert (compared.task.name, {run.key.method for run in compared.finished}) == (task, {method})
    with pytest.raises(cpd.CpdError, match="unknown method 'lagrangain'"):
        cpd.compare("lagrangain")


def test_a_class_of_a_module_goes_by_its_file(mine: Any, tmp_path: Path) -> None:
    keys = "problem: mine_of_a_test.py:Line\nconstraints: {x: <= 1}\nseeds: 0:3\n"
    recipe = "train: {steps: 20, optimizer: {name: SGD, lr: 0.05}}\n"
    grid = "methods: {penalized: {coefficient: {values: [0.1, 1, 10]}}}\n"
    (tmp_path / "task.yaml").write_text(keys + recipe + grid)
    words = {**WORDS, "methods": {"penalized": {"coefficient": [0.1, 1, 10]}}, "engine": "eager", "store": "s.sqlite"}
    assert cpd.sweep("task.yaml", store="s.sqlite", engine="eager").found == 0
    assert cpd.sweep(mine.Line, **words).found == 9
    assert cpd.sweep(problem="mine_of_a_test.py:Line", **words).found == 9
    one = cpd.sweep(mine.Line(target=3.0), **words)
    assert one.found == 0
    assert penalized(one)[3] == pytest.approx(by_hand(1.0, 3.0), rel=1e-5)
    assert cpd.sweep(mine.Line(target=3.0), **words).found == 9
    assert cpd.sweep(mine.Line(target=4.0), **words).found == 0
    gridded = cpd.sweep(mine.Line, **words, arguments={"target": {"values": [2.0, 3.0]}})
    assert penalized(gridded)[-3] == pytest.approx(by_hand(10.0, 3.0), rel=1e-5)


def test_keywords_stand_over_a_bundled_task() -> None:
    task = cpd.Task(
        "rate", seeds=range(2), train={"steps": 7}, set={"penalized.coefficient": [0.5, 2]}, methods=["penalized"]
    )
    same = load_task(
        "rate", cpd.Overrides(seeds="0:2", set=("train.steps=7", "penalized.coefficient=0.5,2"), methods=("penalized",))
    )
    told = {"name", "seeds", "train", "methods", "problem", "constraints", "levels", "objective", "description"}
    assert task.spec.model_dump(include=told) == same.model_dump(include=told)
    assert cpd.Task("rate", methods={"penalized": {"coefficient": 3}}).spec.methods == {
        "penalized": ({"coefficient": 3.0},)
    }


@pytest.mark.parametrize("name", ["rate", "table3", "sparsity", "figure2", "surrogate_rate"])
def test_a_task_is_printed_and_saved_as_the_yaml_that_means_it(name: str, tmp_path: Path) -> None:
    task = cpd.Task(name)
    assert parse_yaml(str(task), "printed")
    task.save(tmp_path / "t.yaml")
    assert cpd.Task(tmp_path / "t.yaml") == task
    assert cpd.Task(tmp_path / "t.yaml", set={"train.steps": 3}, seeds=[9]) != task


def test_odd_words_and_numbers_survive_a_file(mine: Any, tmp_path: Path) -> None:
    words = {
        **WORDS,
        "arguments": {"start": 1e-7},
        "constraints": {"1e3": "<= 1e-9", "x": "<= 1", "yes: no": "== -0.5", 'é "q"': {"level": 1e22, "sense": ">="}},
        "objective": "null",
        "description": "Two # words: here",
        "train": {**TRAIN, "optimizer": {"name": "SGD", "lr": 1e-5}},
    }
    task = cpd.Task(mine.Line, **words)
    (tmp_path / "sub").mkdir()
    task.save(tmp_path / "sub" / "t.yaml")
    again = cpd.Task("sub/t.yaml")
    assert again == task
    assert list(again.spec.constraints) == list(words["constraints"])
    assert "../mine_of_a_test.py:Line" in (tmp_path / "sub" / "t.yaml").read_text()


def test_a_problem_that_is_in_no_file_cannot_be_saved(mine: Any, tmp_path: Path) -> None:
    for given, what in ((line(), "into a file"), (mine.Line(), "arguments=")):
        with pytest.raises(cpd.CpdError) as caught:
            cpd.Task(given, **WORDS).save(tmp_path / "t.yaml")
        assert str(caught.value).startswith("cpd.Task.save(): problem: ")
        assert what in str(caught.value)
        assert not (tmp_path / "t.yaml").exists()


def test_a_task_sees_that_its_class_has_changed() -> None:
    kind = line()
    task = cpd.Task(kind, **WORDS)
    first = task.read().problem.source
    kind.measure = lambda self, model, batch: self.evaluate(model, batch)  # type: ignore[method-assign]
    assert task.read().problem.source != first


def test_a_search_and_a_check() -> None:
    words = {name: value for name, value in WORDS.items() if name != "methods"}
    for target in (0.5, {"x": 0.5}, torch.tensor(0.5)):
        found = cpd.bisect(line(), target=target, tolerance=0.05, low=0.1, high=10, **words, **QUIET)
        assert found.search is not None
        assert found.search["outcome"] == "solved"
    assert cpd.sweep(line(), search={"target": 0.5, "tolerance": 0.05, "low": 0.1, "high": 10}, **words, **QUIET).search
    checks = cpd.check(line(), **WORDS)
    assert checks.ok
    assert str(checks).splitlines()[0].split() == ["check", "result", "found"]
    assert "12 runs" in repr(checks)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"seed": 1}, "cpd.sweep(): no argument 'seed'; did you mean 'seeds'?"),
    ({"train": {"steps": 5, "optimizer": {"lr": "x"}}}, "cpd.sweep(): train.optimizer.lr: 'x' is not a number"),
    ({"methods": {"penalized": {"coefficient": [1, "a"]}}}, "cpd.sweep(): methods.penalized.coefficient: 'a' is not"),
    (
        {"methods": {"penalized": {"coefficient": [1, float("nan")]}}},
        "cpd.sweep(): methods.penalized.coefficient[1]: nan",
    ),
    (
        {"methods": {"penalised": {}}},
        "cpd.sweep(): methods.penalised: unknown method 'penalised'; did you mean 'penalized'",
    ),
    ({"train": None}, "cpd.sweep(): 'train' is missing; add train={\"steps\": 1000"),
    ({"constraints": {"y": "<= 1"}}, "cpd.sweep(): constraints.y: "),
    ({"jobs": 0}, "cpd.sweep(): jobs: 0 is out of range; give a number from 1 on"),
    ({"jobs": 1.5}, "cpd.sweep(): jobs: 1.5 does not fit; give an integer or None"),
    ({"engine": "fast"}, "cpd.sweep(): engine: 'fast' is not a valid choice; valid: auto, eager"),
    ({"device": "cuda:77"}, "cpd.sweep(): device: no device 'cuda:77' here"),
    ({"fuse": "maybe"}, "cpd.sweep(): fuse: expected an integer >= 1, auto or off, got 'maybe'"),
    ({"max_runs": 3}, "cpd.sweep(): makes 12 runs; at most 3; make its grids shorter, or raise max_runs"),
    ({"set": {"train.stepz": 3}}, "cpd.sweep(): set['train.stepz']: unknown key 'stepz'; did you mean 'steps'"),
    ({"judge": "held_out"}, "cpd.sweep(): judge: there are no held-out examples; add held_out=0.2"),
    ({"seeds": [1.5]}, "cpd.sweep(): seeds: [1.5] gives no seeds; write e.g. [1, 2, 7] or range(5)"),
    ({"arguments": {"a": 1}}, "cpd.sweep(): arguments.a: Line takes no argument 'a'"),
    ({"levels": {"x": {"from": 1}}}, 'cpd.sweep(): levels.x: \'over\' is missing; write {"from": 1, "to": 0.5'),
    ({"problem": 3}, "cpd.sweep(): problem: an object of the class int is no problem"),
    ({"methods": ["nupi"]}, "cpd.sweep(): methods: no settings for 'nupi'; give some: set={\"nupi.dual_lr\": VALUES}"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda one: "" if isinstance(one, str) else "-".join(one))
def test_errors_name_the_argument_and_the_fix(words: dict[str, Any], message: str) -> None:
    with pytest.raises(cpd.CpdError) as caught:
        cpd.sweep(**{"problem": line(), **WORDS, **QUIET, **words})
    said = str(caught.value)
    assert said.startswith(message)
    assert "\n" not in said
    assert not re.search(r"--\w|YAML", said)


def test_an_object_takes_no_arguments_and_a_store_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(cpd.CpdError, match=r"^cpd\.sweep\(\): arguments: a problem that is an object takes none"):
        cpd.sweep(problem=object.__new__(line()), **{**WORDS, **QUIET, "arguments": {"target": 1.0}})
    wrong: Any = 3
    with pytest.raises(cpd.CpdError, match="store: 3"):
        cpd.sweep(problem=line(), **WORDS, store=wrong)
    with pytest.raises(cpd.CpdError, match="store: 3"):
        cpd.open("last", store=wrong)


SCRIPT = """
import sys
import torch, cpd
print("begins")
calls = []
N = 0
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(()))
class Line(cpd.Problem):
    def model(self): return Model()
    def evaluate(self, model, batch):
        global N
        N += 1
        calls.append(1)
        return cpd.Evaluation(objective=(model.x - 2) ** 2 + 0.0 * N, constraints={"x": model.x})
class Raising(Line):
    def data(self): raise ValueError("of my own")
words = dict(constraints={"x": "<= 1"}, train={"steps": 20, "optimizer": {"name": "SGD", "lr": 0.05}}, engine="eager",
             methods={"penalized": {"coefficient": [0.1, 1]}}, jobs=2, fuse=1)
result = cpd.sweep(problem=Line, **words)
print(result.found, [round(run.objective, 6) for run in result.finished], N, calls, bool(result.notes))
try:
    cpd.sweep(problem=Raising, **words)
except cpd.CpdError as error:
    print(str(error), error.__notes__)
"""
OBJECTIVES = [round(by_hand(c), 6) for c in (0.1, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["script", "-c", "stdin"])
def test_a_class_of_a_program_trains_in_workers_and_is_found_again(how: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    words = {"script": ["script.py"], "-c": ["-c", SCRIPT], "stdin": ["-"]}[how]
    for found in (0, 2):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            input=SCRIPT if how == "stdin" else "",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        first, second, third = done.stdout.splitlines()  # a worker does not run the script again
        assert first == "begins"
        numbers = second.partition("[")[2].partition("]")[0].split(", ")
        assert [float(one) for one in numbers] == pytest.approx(OBJECTIVES, abs=2e-6)
        assert second.startswith(f"{found} [")
        assert "] 0 [] " in second  # the program's own variables are as they were
        assert "Raising.data() raised ValueError: of my own" in third
        if how == "script":
            assert 'raise ValueError("of my own")' in third


CELLS = dedent(SCRIPT).partition("result = ")


@pytest.mark.slow
def test_a_notebook_finds_its_runs_again_also_in_a_new_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(Path(cpd.__file__).parents[1]))
    head, train = CELLS[0], "result = cpd.sweep(problem=Line, **words)\nprint(result.found, len(result.notes) and N)"

    def printed(*cells: str) -> list[str]:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
        texts = [one.text for cell in book.cells for one in cell.outputs if one.get("name") == "stdout"]
        return [line for text in texts for line in text.splitlines() if re.fullmatch(r"\d+ \d+", line)]

    edited = head.replace("model.x - 2", "model.x - 3")
    assert printed(head, train, train, edited, train, head, train) == ["0 0", "2 0", "0 0", "2 0"]
    assert printed("%time 3", head, train, edited, train)[-2:] == ["2 0", "2 0"]


COUNTING = """
import torch, cpd
CALLS, SEEN = 0, []
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(()))
class Counting(cpd.Problem):
    def model(self): return Model()
    def evaluate(self, model, batch):
        global CALLS
        CALLS += 1
        SEEN.append(CALLS)
        return cpd.Evaluation(objective=(model.x - 0.1 * len(SEEN)) ** 2, constraints={"x": model.x})
"""


def test_counters_of_a_program_count_as_those_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counting.py").write_text(COUNTING)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(COUNTING, "<cell>", "exec"), names)
    by_file = cpd.sweep(problem="counting.py:Counting", **WORDS, **QUIET)
    for _ in range(2):
        of_a_program = cpd.sweep(problem=names["Counting"], **WORDS, **QUIET)
        assert [run.objective for run in of_a_program.finished] == [run.objective for run in by_file.finished]
    assert (names["CALLS"], names["SEEN"]) == (0, [])


def test_what_travels_is_pickled_once_for_all_batches() -> None:
    task = cpd.Task(line(), **WORDS).spec
    batches = Batches("sweep", task, cpd.Options(), None, pruning=False)
    first, second = sent([batches.of((key,)) for key in runs(task)[:2]])
    assert first.problem.pickled is second.problem.pickled is not None
    assert "pickled" not in task_to_json(task)["problem"]


def test_a_class_that_is_not_here_any_more_is_named() -> None:
    task = cpd.Task(line(), **WORDS).spec
    gone = task.problem.model_copy(update={"source": "# Line, of another program", "target": "__main__:Gone"})
    with pytest.raises(
        cpd.CpdError, match=r"'Gone' was defined in a program or a notebook, and is not here; .*problem="
    ):
        load_problem(gone)


PROGRAM = "import json, sys\nx = float(sys.argv[1])\nprint(json.dumps({'loss': x, 'size': 1 / x}))\n"


def of_a_program(**words: Any) -> dict[str, Any]:
    command = [sys.executable, "program.py", "{x}"]
    return {"command": command, "objective": "loss", "constraints": {"size": "<= 1"}, **words}


def test_a_command_is_a_task_in_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    methods = {"a": {"x": [1, 2]}, "b": {"x": np.array([4.0])}}
    assert [run.objective for run in cpd.sweep(**of_a_program(methods=methods)).finished] == [1, 2, 4]
    assert [run.objective for run in cpd.compare("b", "a", **of_a_program(methods=methods)).finished] == [4, 1, 2]
    search = {"hyperparameter": "a.x", "target": 0.5, "low": 1, "high": 4}
    found = cpd.bisect(**of_a_program(methods={"a": {"x": 1}}, search=search))
    assert found.search is not None
    assert found.search["outcome"] == "solved"
    assert cpd.check(**of_a_program(methods=methods)).ok


def test_a_task_of_a_command_is_saved_where_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    made = cpd.Task(**of_a_program(methods={"a": {"x": [1, 2]}}))
    made.save("saved.yaml")
    assert "problem" not in (tmp_path / "saved.yaml").read_text()
    assert cpd.Task("saved.yaml") == made
    with pytest.raises(cpd.CpdError, match=r"a command starts in the folder of its task; save it there: .*else\.yaml"):
        made.save("sub/else.yaml")


def test_a_task_of_a_function_is_saved_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def train(setting): return {'loss': setting['x'], 'size': 1}\n")
    made = cpd.Task(
        problem="mine.py:train", objective="loss", constraints={"size": "<= 1"}, methods={"a": {"x": [1, 2]}}
    )
    (tmp_path / "sub").mkdir()
    made.save("sub/saved.yaml")
    assert cpd.Task("sub/saved.yaml") == made
