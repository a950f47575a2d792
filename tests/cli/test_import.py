"""``cpd import``: a task on stdout or in a new file, one line for what is wrong."""

from pathlib import Path

import pytest
from commands import command_in

SWEEP = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {coef: {values: [0.1, 1]}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path


def test_a_task_is_printed_or_written_into_a_new_file(folder: Path) -> None:
    cpd = command_in(folder)
    printed = cpd("import", "sweep.yaml", "--constraint", "size <= 20")
    assert (printed.rc, printed.stderr) == (0, "")
    assert "command: python train.py --coef={coef}\n" in printed.stdout
    assert '  size: "<= 20"\n' in printed.stdout
    written = cpd("import", "sweep.yaml", "--to", "task.yaml", "--program", "my.py")
    assert (written.rc, written.stdout) == (0, "")
    assert written.stderr == "written: task.yaml; fill in its constraints\n"
    assert "command: python my.py --coef={coef}\n" in (folder / "task.yaml").read_text()
    again = cpd("import", "sweep.yaml", "--to", "task.yaml")
    assert (again.rc, again.stderr.count("\n")) == (2, 1)
    assert "--to task.yaml: is there already" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.yaml"], "no.yaml: no such file"),
        (["other.yaml"], "other.yaml: is neither a sweep of W&B nor a config of Hydra"),
        (["sweep.yaml", "--to", "nowhere/task.yaml"], "--to nowhere/task.yaml: cannot be written"),
        (["sweep.yaml", "--constraint", "size"], "--constraint: expected NAME<=LEVEL, got 'size'"),
        ([], "the argument FILE is missing"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, words: list[str], said: str) -> None:
    (folder / "other.yaml").write_text("a: 1\n")
    done = command_in(folder)("import", *words)
    assert (done.rc, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
