"""What problems import: of their own, not of each other, and nothing that hides what is installed."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command
from problem_folders import HEAD, HERE, swept, write_problem

from cpd.engine import importing
from cpd.engine.loading import load_problem
from cpd.errors import CpdError
from cpd.spec.reader import load_task


@pytest.mark.parametrize("name", ["random", "types", "queue", "html", "copy", "numpy", "yaml", "cpd"])
def test_a_file_of_any_name_hides_nothing(name: str, tmp_path: Path) -> None:
    before = f"import {name} as there\n" if name != "cpd" else ""
    task = write_problem(tmp_path, "1.5", before, f"{name}.py")
    assert swept(task)[0] == 1.5
    loaded = importing.problem_module(load_task(task).problem)
    importing.leave()
    assert loaded.__file__ == str(tmp_path / f"{name}.py")
    assert name == "cpd" or Path(loaded.there.__file__).parent != tmp_path


@pytest.mark.slow
def test_workers_start_in_a_folder_with_such_files(tmp_path: Path, cpd_command: Command) -> None:
    write_problem(tmp_path, "1.5", name="random.py")
    for name in ("queue", "tempfile", "html"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hidden')\n")
    done = cpd_command("sweep", "mine.yaml", "--no-store", "--jobs", "2", "--fuse", "1", "--format", "json")
    assert (done.rc, done.stderr) == (0, "")
    assert [run["metrics"]["seen"] for run in json.loads(done.stdout)["runs"]] == [1.5, 1.5]


def test_a_name_of_pythons_own_is_told_in_one_line(tmp_path: Path) -> None:
    own = "is a module of Python's own, not"
    task = write_problem(tmp_path, "1", name="random.py", problem="random:Mine")
    with pytest.raises(CpdError) as caught:
        load_task(task)
    assert str(caught.value) == (
        f"{task}: problem: 'random' {own} the file random.py here; write random.py:Mine, or rename the file"
    )
    task = write_problem(tmp_path, "1", name="html/p.py", problem="html.p:Mine")
    with pytest.raises(CpdError) as caught:
        load_task(task)
    assert str(caught.value) == (
        f"{task}: problem: 'html' {own} the package here; rename the package 'html', or write html/p.py:CLASS"
    )


def test_a_helper_that_is_hidden_by_what_is_installed_is_told(tmp_path: Path) -> None:
    task = write_problem(tmp_path, "1", "from random import mine\n")
    (tmp_path / "random.py").write_text("mine = 1\n")
    with pytest.raises(CpdError) as caught:
        load_problem(load_task(task).problem)
    importing.leave()
    assert "'random' is an installed module, not the file random.py: rename that" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "problem", "imports", "marked"),
    [
        ("pkg/mine.py", "pkg.mine:Mine", "from . import other as o\n", True),
        ("pkg/mine.py", "pkg/mine.py:Mine", "from . import other as o\n", True),
        ("pkg/mine.py", "pkg/mine.py:Mine", "from . import other as o\n", False),
        ("pkg/mine.py", "pkg.mine:Mine", "from . import other as o\n", False),
        ("pkg/mine.py", "pkg/mine.py:Mine", "from .deep.other import o\n", True),
        ("pkg/sub/mine.py", "pkg/sub/mine.py:Mine", "from ..other import o\n", True),
        ("pkg/__init__.py", "pkg:Mine", "from . import other as o\n", True),
        ("pkg/__init__.py", "pkg/__init__.py:Mine", "from . import other as o\n", True),
        ("pkg/mine.py", "pkg/mine.py:Mine", "import other as o\n", True),
    ],
)
def test_relative_imports_of_a_package(name: str, problem: str, imports: str, marked: bool, tmp_path: Path) -> None:
    target = tmp_path / "pkg"
    (target / "deep").mkdir(parents=True)
    (target / "sub").mkdir()
    for folder in (target, target / "deep", target / "sub") if marked else ():
        (folder / "__init__.py").write_text("")
    for folder in (target, target / "deep"):
        (folder / "other.py").write_text("from pathlib import Path\no = V = 2.5\n")
    task = write_problem(tmp_path, "getattr(o, 'V', o)", imports, name, problem)
    first = swept(task)
    assert first[0] == 2.5
    for folder in (target, target / "deep"):
        (folder / "other.py").write_text("o = V = 4.5\n")
    second = swept(task)
    assert second[0] == 4.5
    assert second[1] != first[1]
    assert not [module for module in sys.modules if module.partition(".")[0] in ("pkg", "other")]


def test_the_folder_above_a_relative_import_must_have_a_name_of_its_own(tmp_path: Path) -> None:
    task = write_problem(tmp_path, "o", "from .other import o\n", "html/mine.py")
    with pytest.raises(CpdError) as caught:
        load_task(task)
    assert "imports from its folder 'html', which is a module of Python's own; rename the folder" in str(caught.value)


IMPORTS = {
    "in a function": ("", "__import__('helper').V"),
    "by name": ("import importlib\n", "importlib.import_module('hel' + 'per').V"),
    "on a path of its own": (f"import sys\nsys.path.insert(0, str({HERE} / 'lib'))\nfrom inner import V\n", "V"),
    "of a package": ("import helpers.part\n", "helpers.part.V"),
    "of a package that lists": ("from helpers import *\n", "part.V"),
}


@pytest.mark.parametrize("how", list(IMPORTS))
def test_each_folder_has_its_own_helpers_and_an_edited_one_is_another_run(how: str, tmp_path: Path) -> None:
    before, data = IMPORTS[how]
    folders = [tmp_path / "one", tmp_path / "two"]
    tasks = [write_problem(folder, data, before) for folder in folders]

    def write(folder: Path, value: float) -> None:
        for name in ("helper.py", "lib/inner.py", "helpers/part.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"V = {value}\n")
        (folder / "helpers" / "__init__.py").write_text("__all__ = ['part']\n")

    for folder, value in zip(folders, (1.5, 2.5), strict=True):
        write(folder, value)
    path = list(sys.path)
    first, second = (swept(task) for task in tasks)
    assert (first[0], second[0]) == (1.5, 2.5)
    assert first[1] != second[1]
    assert [swept(task) for task in (*tasks, *tasks)] == [first, second, first, second]
    write(folders[0], 3.5)
    assert swept(tasks[0])[0] == 3.5
    assert swept(tasks[0])[1] not in (first[1], second[1])
    assert sys.path == path


def test_the_hosts_modules_are_back_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "helper.py").write_text("V = 9.5\n")
    monkeypatch.syspath_prepend(str(tmp_path / "host"))
    import helper  # type: ignore[import-not-found]

    task = write_problem(tmp_path / "own", "V", "from helper import V\n")
    (tmp_path / "own" / "helper.py").write_text("V = 1.5\n")
    assert swept(task)[0] == 1.5
    assert sys.modules["helper"] is helper
    monkeypatch.delitem(sys.modules, "helper")


POOLED = """
from helper import twice

def square(k):
    return float(k * k)

class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, k):
        return torch.tensor(square(k))

def loaded(context):
    return torch.cat(list(torch.utils.data.DataLoader(Squares(), 2, num_workers=2, multiprocessing_context=context)))

def pooled(context):
    import multiprocessing
    with multiprocessing.get_context(context).Pool(2) as pool:
        return pool.map(square, range(4))

def ended(context):
    import multiprocessing, time
    with multiprocessing.get_context(context).Pool(2) as pool:
        pool.apply_async(time.sleep, (1000,))
        return pool.map(square, range(4))

def joined(f):
    from joblib import Parallel, delayed
    return Parallel(n_jobs=2)(delayed(f)(k) for k in range(4))
"""


@pytest.mark.parametrize(
    ("data", "mean"),
    [
        ("joined(square)", 3.5),
        ("joined(twice)", 3.0),
        pytest.param("pooled('spawn')", 3.5, marks=pytest.mark.slow),
        ("pooled('fork')", 3.5),
        ("ended('fork')", 3.5),
        pytest.param("loaded('spawn').tolist()", 3.5, marks=pytest.mark.slow),
        ("loaded('fork').tolist()", 3.5),
    ],
)
def test_processes_that_a_problem_starts_know_its_functions(
    data: str, mean: float, tmp_path: Path, cpd_command: Command
) -> None:
    if "joined" in data:
        pytest.importorskip("joblib", reason="joblib is not installed")
    (tmp_path / "a-b c").mkdir()
    (tmp_path / "a-b c" / "helper.py").write_text("def twice(k):\n    return 2.0 * k\n")
    task = write_problem(tmp_path / "a-b c", data, POOLED)
    if "fork" not in data:
        assert swept(task)[0] == mean
        return
    # In a process of its own: one that has threads of other tests may hang in a fork, as any Python process may.
    done = cpd_command("sweep", task, "--no-store", "--engine", "eager", "--format", "json")
    assert (done.rc, done.stderr) == (0, "")
    assert json.loads(done.stdout)["runs"][0]["metrics"]["seen"] == mean


@pytest.mark.slow
def test_a_pool_in_a_worker_ends(tmp_path: Path, cpd_command: Command) -> None:
    (tmp_path / "helper.py").write_text("def twice(k):\n    return 2.0 * k\n")
    task = write_problem(tmp_path, "ended('fork')", POOLED)
    done = cpd_command("sweep", task, "--no-store", "--jobs", "2", "--fuse", "1", "--format", "json")
    assert (done.rc, done.stderr) == (0, "")
    assert [run["metrics"]["seen"] for run in json.loads(done.stdout)["runs"]] == [3.5, 3.5]


def test_a_function_of_a_problem_is_read_in_a_new_process(tmp_path: Path) -> None:
    task = write_problem(tmp_path, "1", POOLED, "odd näme.v2.py")
    (tmp_path / "helper.py").write_text("def twice(k):\n    return 2.0 * k\n")
    module = importing.problem_module(load_task(task).problem)
    pickled = pickle.dumps(module.square)
    importing.leave()
    reading = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(3))"
    done = subprocess.run([sys.executable, "-P", "-c", reading], input=pickled, capture_output=True, check=True)
    assert float(done.stdout) == 9.0


def test_a_problem_whose_import_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HEAD + "raise ValueError('no')\nclass Mine: ...\n")
    (tmp_path / "mine.yaml").write_text(
        "problem: mine.py:Mine\nconstraints: {g: '<= 1'}\ntrain: {steps: 1}\nmethods: {penalized: {coefficient: 1}}\n"
    )
    source = load_task(str(tmp_path / "mine.yaml")).problem
    for _ in range(2):
        with pytest.raises(CpdError, match="ValueError: no"):
            load_problem(source)
    importing.leave()


def test_modules_that_nobody_edited_stay_the_objects_that_the_program_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "path" / "nets_of_mine"
    package.mkdir(parents=True)
    for name, text in {"__init__": "", "a": "V = 1.5\n", "b": "V = 2.5\n"}.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    from nets_of_mine import a  # type: ignore[import-not-found]

    for name in ("a", "b", "a"):
        task = write_problem(tmp_path / name, "V", f"from nets_of_mine.{name} import V\n")
        assert swept(task)[0] == (1.5 if name == "a" else 2.5)
    assert sys.modules["nets_of_mine.a"] is a
    for name in ("nets_of_mine", "nets_of_mine.a", "nets_of_mine.b"):
        monkeypatch.delitem(sys.modules, name)
