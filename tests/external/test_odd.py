"""Odd programs, results and folders: what is no model, what is no program, what cannot be made or opened."""

import json
import os
import sys
from pathlib import Path

import pytest
from program_tasks import refused, sweep, write_task

from cpd.errors import StoreError
from cpd.external.process import Order, run
from cpd.outcome import Status
from cpd.results.kept import Mode
from cpd.run import commands
from cpd.run.options import Options

GOOD = 'print(\'{"loss": 1.5, "density": 0.25}\')\n'

MODELS = """\
import json, os
os.symlink('log.txt', os.environ['CPD_FOLDER'] + '/link.txt')
print(json.dumps({'loss': 1, 'density': 0.5, 'model': MODEL}))
"""


@pytest.mark.parametrize("model", ["log.txt", "link.txt", ".", ".run", ".run/ended.json"])
def test_what_cpd_needs_of_a_folder_is_no_model(tmp_path: Path, model: str) -> None:
    path = write_task(tmp_path, MODELS.replace("MODEL", repr(model)), values="1, 2")
    assert [one.model for one in sweep(path)] == [None, None]
    assert len(list(tmp_path.glob(".cpd/work/*/log.txt"))) == 2


@pytest.mark.parametrize("what", ["os.mkdir", "os.mkfifo"])
def test_what_a_killed_program_put_in_place_of_files(tmp_path: Path, what: str) -> None:
    program = (
        "import os, signal\nfolder = os.environ['CPD_FOLDER']\nif 'CPD_RESUME' not in os.environ:\n"
        "    os.remove(folder + '/log.txt')\n"
        f"    {what}(folder + '/log.txt')\n    {what}(folder + '/result.json')\n    os.kill(os.getpid(), 9)\n{GOOD}"
    )
    path = write_task(tmp_path, program)
    assert sweep(path)[0].status is Status.FAILED
    (done,) = sweep(path)
    assert done.status is Status.COMPLETED, done.error


def test_a_log_that_cannot_be_opened_is_a_failed_run(tmp_path: Path) -> None:
    order = Order(["true"], str(tmp_path), dict(os.environ), str(tmp_path / "no" / "log.txt"), str(tmp_path / "ended"))
    with (tmp_path / "lock").open("w") as lock:
        for _ in range(2):
            assert "No such file or directory" in (run(order, lock.fileno()).error or "")


@pytest.mark.parametrize("mode", [0o600, None])
def test_what_cannot_be_started_is_refused_before_anything_runs(tmp_path: Path, mode: int | None) -> None:
    path = write_task(tmp_path, GOOD)
    path.write_text(path.read_text().replace(json.dumps(sys.executable), '"./own"'))
    if mode is None:
        (tmp_path / "own").mkdir()
    else:
        (tmp_path / "own").touch(mode)
    assert "command: './own' is no program that can be started" in refused(path)


KEEPS = """\
import json, os, sys
open(os.environ['CPD_FOLDER'] + '/m.pt', 'w').write(sys.argv[1])
open('count', 'a').write(sys.argv[1])
print(json.dumps({'loss': int(sys.argv[1]), 'density': 0.5, 'model': 'm.pt' if sys.argv[1] != '3' else None}))
"""


def test_models_of_programs_are_kept_as_asked(tmp_path: Path) -> None:
    path = write_task(tmp_path, KEEPS, values="1, 2, 3")

    def kept(mode: Mode) -> list[str]:
        result = commands.sweep(str(path), options=Options(store=tmp_path / ".cpd" / "runs.sqlite", keep_models=mode))
        there = sorted(one.read_text() for one in tmp_path.glob(".cpd/work/*/m.pt"))
        named = sorted(Path(one.model).read_text() for one in result.finished if one.model is not None)
        assert [one for one in there if one != "3"] == named
        return named

    assert kept("none") == []
    assert (tmp_path / "count").read_text() == "123"
    assert kept("all") == ["1", "2"]
    assert (tmp_path / "count").read_text() == "12312", "what names no model is not done again for it"
    assert kept("all") == ["1", "2"]
    assert (tmp_path / "count").read_text() == "12312"
    sweep(path, fresh=True, keep_models="none")
    assert kept("feasible") == ["1", "2"], "what another sweep keeps stays"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    path = write_task(tmp_path, GOOD)
    (tmp_path / ".cpd").mkdir()
    (tmp_path / ".cpd" / "work").touch()
    with pytest.raises(StoreError, match="a part of the path is a file"):
        sweep(path)


@pytest.mark.parametrize("name", ["model", "held_out", "surrogate", "step", "multipliers"])
def test_names_that_mean_something_else_in_a_result(tmp_path: Path, name: str) -> None:
    path = write_task(tmp_path, GOOD)
    text = path.read_text()
    path.write_text(text.replace("objective: loss", f"objective: {name}"))
    assert f"objective: '{name}' means something else in a result" in refused(path)
    path.write_text(text.replace("density", name))
    assert f"constraints.{name}: '{name}' means something else in a result" in refused(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/no/such/python\n", "No such file or directory; its first line is '#!/no/such/python'"),
        ("echo 1\n", "Exec format error; it has no first line like #!/bin/bash"),
    ],
)
def test_a_script_that_nothing_can_start(tmp_path: Path, text: str, words: str) -> None:
    path = write_task(tmp_path, GOOD)
    path.write_text(path.read_text().replace(json.dumps(sys.executable), '"./own"'))
    (tmp_path / "own").write_text(text)
    (tmp_path / "own").chmod(0o700)
    (failed,) = sweep(path)
    assert failed.error == f"cannot start './own': {words}"


def test_a_variable_before_the_program_is_for_a_shell(tmp_path: Path) -> None:
    path = write_task(tmp_path, GOOD)
    path.write_text(path.read_text().replace(json.dumps(sys.executable), '"A=1", "python"'))
    assert "no program 'A=1'; no shell reads the command: write env A=1 PROGRAM ..." in refused(path)
