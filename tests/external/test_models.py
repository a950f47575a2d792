"""The models of programs: files or folders of their own, kept as a problem's weights are, and taken out as they are."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from program_tasks import write_task

import cpd
from cpd.errors import CpdError
from cpd.results import kept
from cpd.results import models as shipped
from cpd.results.choosing import Wanted
from cpd.run import commands
from cpd.run.options import Options
from cpd.spec.overrides import Overrides
from cpd.store.store import open_store

AS_FILE = """\
import sys, cpd
c, folder = float(sys.argv[1]), sys.argv[2]
open(f"{folder}/best.ckpt", "w").write(f"weights {c}")
cpd.result(loss=c, density=0.4 if c > 1 else 0.6, model="best.ckpt")
"""
AS_FOLDER = AS_FILE.replace(
    'open(f"{folder}/best.ckpt"', 'import os; os.mkdir(f"{folder}/best"); open(f"{folder}/best/weights"'
).replace("best.ckpt", "best")


def sweep(path: Path, **options: Any) -> cpd.Result:
    store = path.parent / ".cpd" / "runs.sqlite"
    return commands.sweep(str(path), Overrides(), Options(store=store, **options))


@pytest.mark.parametrize(
    ("mode", "whose"),
    [(None, [2.0]), ("best", [2.0]), ("feasible", [2.0, 3.0]), ("all", [1.0, 2.0, 3.0]), ("none", [])],
)
def test_whose_are_kept(tmp_path: Path, mode: Any, whose: list[float]) -> None:
    path = write_task(tmp_path, AS_FILE, values="1, 2, 3", words="{coefficient} {folder}")
    result = sweep(path, keep_models=mode)
    found = {run.key.hyperparameters["coefficient"]: run.model for run in result.finished if run.model is not None}
    assert sorted(found) == whose
    assert all(Path(str(file)).read_text() == f"weights {float(c)}" for c, file in found.items())
    left = [file.read_text() for file in (tmp_path / ".cpd" / "work").rglob("best.ckpt")]
    assert sorted(left) == [f"weights {c}" for c in whose]
    again = sweep(path, keep_models=mode)
    assert again.found == 3
    assert [run.model for run in again.finished] == [run.model for run in result.finished]
    assert [row["model"] for row in again.document["runs"]] == [run.model for run in result.finished]


@pytest.mark.parametrize(("program", "to"), [(AS_FILE, "taken.ckpt"), (AS_FOLDER, "taken")])
def test_one_is_taken_out_as_it_is(tmp_path: Path, program: str, to: str) -> None:
    result = sweep(write_task(tmp_path, program, values="1, 2, 3", words="{coefficient} {folder}"))
    model = shipped.choose(result, Wanted.of(None, None, None, None))
    shipped.save(model, str(tmp_path / to))
    copied = tmp_path / to
    assert (copied / "weights" if copied.is_dir() else copied).read_text() == "weights 2.0"
    with pytest.raises(CpdError, match=r"it is copied"):
        shipped.save(model, str(tmp_path / "x.pt"))
    with pytest.raises(CpdError, match="is a program's own model"):
        shipped.module_of(model)
    with pytest.raises(CpdError, match="cpd cannot measure it"):
        cpd.judge(result, data=[1])


@pytest.mark.parametrize("program", [AS_FILE, AS_FOLDER])
def test_sizes_and_what_no_sweep_keeps(tmp_path: Path, program: str) -> None:
    path = write_task(tmp_path, program, values="1, 2, 3", words="{coefficient} {folder}")
    sweep(path, keep_models="all")
    with open_store(path.parent / ".cpd" / "runs.sqlite", "write") as store:
        assert list(store.models.sizes().values()) == [len("weights 1.0")] * 3
        assert list(store.model_sizes().values()) == [3 * len("weights 1.0")]
        sweep_id = store.resolve("last")
    sweep(path)  # the same runs, of which this sweep keeps the best alone: the one before keeps all
    with open_store(path.parent / ".cpd" / "runs.sqlite", "write") as store:
        assert len(store.models.sizes()) == 3
        store.remove(sweep_id)
        assert kept.collect(store).models == 2
        (run,) = store.models.sizes()
        assert store.models.file(run).exists()
        store.remove(store.resolve("last"))
        assert store.models.sizes() == {}
    assert not [*(tmp_path / ".cpd").rglob("best*")]
    assert not (tmp_path / ".cpd" / "models").exists()


@pytest.mark.parametrize("model", ["../../out.ckpt", "{outside}", "link", "", ".", 3])
def test_what_is_outside_of_the_folder_is_no_model(tmp_path: Path, model: object) -> None:
    outside = tmp_path / "out.ckpt"
    outside.write_text("mine")
    named = str(outside) if model == "{outside}" else model
    program = (
        f"import sys, os, cpd\nos.symlink({str(outside)!r}, sys.argv[2] + '/link')\n"
        f"cpd.result(loss=1, density=0.1, model={named!r})\n"
    )
    path = write_task(tmp_path, program, words="{coefficient} {folder}")
    result = sweep(path)
    assert [run.model for run in result.finished] == [None]
    assert any(note.startswith("'model' of a result") for note in result.notes) == (model != "")
    with open_store(path.parent / ".cpd" / "runs.sqlite", "write") as store:
        store.remove(store.resolve("last"))
    assert outside.read_text() == "mine"


def test_a_pointer_that_leads_elsewhere_is_none(tmp_path: Path) -> None:
    path = write_task(tmp_path, AS_FILE, values="2", words="{coefficient} {folder}")
    (run,) = sweep(path).finished
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (pointer,) = (tmp_path / ".cpd" / "models").glob("*.path")
    for written in (str(mine), "../../mine", ".", "", "\0"):
        pointer.write_text(written)
        with open_store(tmp_path / ".cpd" / "runs.sqlite", "write") as store:
            assert store.models.sizes() == {}
    with open_store(tmp_path / ".cpd" / "runs.sqlite", "write") as store:
        store.models.remove([str(run.key.id)])
    assert mine.read_text() == "mine"
    assert not pointer.exists()


def test_a_store_that_was_moved_has_its_models(tmp_path: Path) -> None:
    sweep(write_task(tmp_path, AS_FILE, values="1, 2", words="{coefficient} {folder}"))
    shutil.move(tmp_path / ".cpd", tmp_path / "moved")
    result = cpd.open("last", store=tmp_path / "moved" / "runs.sqlite")
    files = [Path(run.model).read_text() for run in result.finished if run.model is not None]
    assert files == ["weights 2.0"]


def test_a_search_keeps_that_of_its_answer(tmp_path: Path) -> None:
    program = AS_FILE.replace("0.4 if c > 1 else 0.6", "1 / (1 + c)")
    path = write_task(tmp_path, program, values="1", words="{coefficient} {folder}")
    task = cpd.Task(path, methods={"penalized": {"coefficient": 1}})
    store = tmp_path / ".cpd" / "runs.sqlite"
    result = cpd.bisect(task, target={"density": 0.75}, store=store)
    (run,) = [run for run in result.finished if run.model is not None]
    assert run.key.hyperparameters["coefficient"] == pytest.approx(1 / 3, rel=0.1)
    assert len([*(tmp_path / ".cpd" / "work").rglob("best.ckpt")]) == 1


def test_a_program_that_names_none(tmp_path: Path) -> None:
    program = AS_FILE.replace(', model="best.ckpt"', "")
    result = sweep(write_task(tmp_path, program, values="2", words="{coefficient} {folder}"))
    with pytest.raises(CpdError, match=r'names its model in its result: "model": "best\.ckpt"'):
        shipped.choose(result, Wanted.of(None, None, None, None))


@pytest.mark.parametrize("options", [{"engine": "eager"}, {"fuse": 2}, {"fuse": 1}, {"loader_workers": 1}])
def test_options_that_would_change_nothing_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_task(tmp_path, AS_FILE, words="{coefficient} {folder}")
    with pytest.raises(CpdError, match="is for problems, and the task has none"):
        sweep(path, **options)


def test_python_takes_a_command_and_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "program.py").write_text(AS_FILE)
    told: dict[str, Any] = {"objective": "loss", "constraints": {"density": "<= 0.5"}}
    command = [sys.executable, "program.py", "{x}", "{folder}"]
    result = cpd.sweep(command=command, methods={"mine": {"x": [1, 2]}}, **told)
    assert [run.objective for run in result.finished] == [1, 2]
    assert "command:" in str(cpd.Task(command=command, methods={"mine": {"x": [1, 2]}}, **told))
    changed = cpd.sweep(command=command, methods={"mine": {"x": 1}}, set={"mine.x": [2, 3]}, **told)
    assert [run.objective for run in changed.finished] == [2, 3]
    (tmp_path / "mine_of_a_module.py").write_text(
        "def train(setting, levels, seed, folder):\n    return {'loss': setting['x'], 'density': levels['density']}\n"
    )
    import mine_of_a_module  # type: ignore[import-not-found]

    called = cpd.sweep(mine_of_a_module.train, methods={"mine": {"x": [4, 5]}}, **told)
    assert [run.objective for run in called.finished] == [4, 5]

    def local(setting: Any, levels: Any, seed: Any, folder: Any) -> None:
        """One that no worker can import."""

    with pytest.raises(CpdError, match="is no function of a module; put it into a file"):
        cpd.sweep(problem=local, methods={"mine": {"x": 1}}, **told)
