"""Which text makes a kept model: that which travelled with the sweep, whatever became of the files since."""

import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from cpd.engine.importing import leave
from cpd.engine.shipped import module_of
from cpd.errors import CpdError
from cpd.spec.models import ProblemSource, Task, Train, task_from_json, task_to_json
from cpd.spec.reader import load_task

PROBLEM = """
import torch
import cpd
{imports}

class Mine(cpd.Problem):
    def data(self):
        return (torch.ones(4, 2),)

    def model(self):
        return {net}

    def evaluate(self, model, batch):
        return cpd.Evaluation(model(batch[0]).mean(), {{"g": model(batch[0]).mean()}})
"""
NETS = """
import torch

class Net(torch.nn.Linear):
    def forward(self, x):
        return {factor} * super().forward(x)
"""
SPEC = """problem: {target}
constraints: {{g: "<= 1"}}
train: {{steps: 3, optimizer: {{name: SGD, lr: 0.1}}}}
methods: {{penalized: {{coefficient: 1}}}}
"""
OWN = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}


@pytest.fixture(autouse=True)
def _nothing_in_use() -> None:
    """What other tests have put to use is put away."""
    leave()


def stored(folder: Path, target: str, files: dict[str, str]) -> ProblemSource:
    """The problem of a task as a store has it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(SPEC.format(target=target))
    task: Task = task_from_json(task_to_json(load_task(str(folder / "mine.yaml"))))
    return task.problem


def forget(top: str) -> None:
    """As in another process."""
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        del sys.modules[name]


def answer(source: ProblemSource) -> float:
    """What the model gives for ones: twice the factor of its net."""
    module = module_of(source, Train(steps=3), 0, OWN, place="m.safetensors")
    return float(module(torch.ones(1, 2)).detach())


BESIDE = {"mine.py": PROBLEM.format(imports="from nets import Net", net="Net(2, 1)"), "nets.py": NETS.format(factor=3)}
PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/mine.py": PROBLEM.format(imports="from .deep.nets import Net", net="Net(2, 1)"),
    "pkg/deep/__init__.py": "",
    "pkg/deep/nets.py": NETS.format(factor=3),
}
SPREAD = {  # a folder without __init__.py
    "mine.py": PROBLEM.format(imports="import parts.nets as nets", net="nets.Net(2, 1)"),
    "parts/nets.py": NETS.format(factor=3),
}
PLACES = [("mine.py:Mine", BESIDE), ("pkg.mine:Mine", PACKAGE), ("pkg/mine.py:Mine", PACKAGE)]


@pytest.mark.parametrize(("target", "files"), PLACES)
@pytest.mark.parametrize("what", ["as it was", "edited", "broken", "gone"])
def test_an_edited_or_removed_file_beside_the_problem_does_not_matter(
    target: str, files: dict[str, str], what: str, tmp_path: Path
) -> None:
    source = stored(tmp_path / "own", target, files)
    for name in files:
        path = tmp_path / "own" / name
        if what == "edited":
            path.write_text(path.read_text().replace("3 *", "5 *").replace("Net(2, 1)", "Net(7, 7)"))
        if what == "broken" and files[name]:
            path.write_text("raise SystemExit\n")
    if what == "gone":
        shutil.rmtree(tmp_path / "own")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answer(source) == 6
    assert not [name for name in sys.modules if name.partition(".")[0] in ("nets", "pkg")]


def test_a_folder_that_is_no_package_is_found_as_python_finds_it(tmp_path: Path) -> None:
    sources = [stored(tmp_path / name, "mine.py:Mine", SPREAD) for name in ("one", "two", "three")]
    assert answer(sources[0]) == 6
    (tmp_path / "two" / "parts" / "nets.py").write_text(NETS.format(factor=5))
    forget("parts")
    with pytest.warns(UserWarning, match=r"parts/nets\.py changed since"):
        assert answer(sources[1]) == 10
    forget("parts")
    shutil.rmtree(tmp_path / "three")
    assert answer(sources[2]) == 6


def test_a_module_elsewhere_on_the_path_is_used_as_it_is_now_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "far_nets.py").write_text(NETS.format(factor=3))
    files = {"mine.py": PROBLEM.format(imports="from far_nets import Net", net="Net(2, 1)")}
    first, second = (stored(tmp_path / name, "mine.py:Mine", files) for name in ("one", "two"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answer(first) == 6
    (tmp_path / "lib" / "far_nets.py").write_text(NETS.format(factor=5))
    forget("far_nets")
    with pytest.warns(UserWarning, match=r"m\.safetensors: far_nets\.py changed since it was trained"):
        assert answer(second) == 10
    forget("far_nets")


def test_where_shapes_fit_no_more_it_is_said_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "far_sizes.py").write_text("WIDTH = 2\n")
    files = {"mine.py": PROBLEM.format(imports="import far_sizes", net="torch.nn.Linear(far_sizes.WIDTH, 1)")}
    source = stored(tmp_path / "own", "mine.py:Mine", files)
    (tmp_path / "lib" / "far_sizes.py").write_text("WIDTH = 2 + 1\n")
    (tmp_path / "own" / "mine.py").write_text("# edited\n" + files["mine.py"])
    forget("far_sizes")
    with pytest.warns(UserWarning, match="far_sizes"), pytest.raises(CpdError) as caught:
        answer(source)
    assert str(caught.value) == (
        "m.safetensors: is of another problem than mine.py:Mine: 'weight' is [1, 2], in the problem's model [1, 3]; "
        "mine.py, far_sizes.py changed since"
    )
    forget("far_sizes")


def test_an_edited_package_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem's own text is that which was stored; what it imports is said to be another by now."""
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    files = {name.replace("pkg/", "far_pkg/"): text for name, text in PACKAGE.items()}
    for name, text in files.items():
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).write_text(text)
    sources = [stored(tmp_path / name, "far_pkg.mine:Mine", {}) for name in ("one", "two")]
    sources[1] = sources[1].model_copy(update={"source": "# of another sweep\n" + sources[1].source})
    assert sources[0].path is None
    edited = tmp_path / "lib" / "far_pkg" / "mine.py"
    edited.write_text(edited.read_text().replace("Net(2, 1)", "Net(7, 7)"))
    assert answer(sources[0]) == 6
    forget("far_pkg")
    (tmp_path / "lib" / "far_pkg" / "deep" / "nets.py").write_text(NETS.format(factor=5))
    with pytest.warns(UserWarning, match=r"far_pkg/deep/nets\.py changed since"):
        assert answer(sources[1]) == 10
    forget("far_pkg")


def test_the_module_can_be_called_and_copied_after_others_were_loaded(tmp_path: Path) -> None:
    first = stored(tmp_path / "one", "mine.py:Mine", BESIDE)
    second = stored(tmp_path / "two", "mine.py:Mine", {**BESIDE, "nets.py": NETS.format(factor=7)})
    one: nn.Module = module_of(first, Train(steps=3), 0, OWN)
    two: nn.Module = module_of(second, Train(steps=3), 0, OWN)
    assert [float(m(torch.ones(1, 2)).detach()) for m in (one, two, one)] == [6, 14, 6]
