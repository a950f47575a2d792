"""The programs of the page on commands, in other languages and frameworks, each run as it stands there."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import ROOT
from program_tasks import sweep

from cpd.outcome import Run, Status

TASK = """\
command: {command}
objective: loss
constraints: {{size: "<= 3"}}
methods: {{penalized: {{coefficient: {{values: [0.5, 1.5]}}}}}}
seeds: [3]
"""

SOLVER = """\
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words) {
  double weight = atof(words[2]);
  char path[4096];
  snprintf(path, sizeof path, "%s/mesh.txt", getenv("CPD_FOLDER"));
  FILE *mesh = fopen(path, "w");
  for (int k = 0; k < 4 - (int)weight; k++) fputs("a line\\n", mesh);
  fclose(mesh);
  printf("iteration 1\\n%.17g\\n", weight * weight / 2);
}
"""


def shown(name: str, part: str = "") -> tuple[str, list[str]]:
    """The text of a program of the page, of several of one name that with a part, and its command."""
    page = (ROOT / "docs" / "command.md").read_text()
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (text,) = [text for text in blocks if f" {name}: command: " in text.partition("\n")[0] and part in text]
    words = text.partition("\n")[0].partition(": command: ")[2].split()
    return text, [sys.executable if word == "python" else word for word in words]


def ran(folder: Path, command: list[str]) -> list[Run]:
    (folder / "task.yaml").write_text(TASK.format(command=json.dumps(command)))
    return sweep(folder / "task.yaml")


def minimum(runs: list[Run]) -> None:
    """Of |w - 2|^2 + c sum(w), of two numbers: c^2 / 2, at the size 4 - c."""
    assert [run.status for run in runs] == [Status.COMPLETED] * 2, [run.error for run in runs]
    assert [run.objective for run in runs] == pytest.approx([0.125, 1.125], abs=1e-4)
    assert [run.constraints["size"].value for run in runs] == pytest.approx([3.5, 2.5], abs=1e-4)


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"there is no {program} here")
    return found


@pytest.mark.slow
def test_jax(tmp_path: Path) -> None:
    if find_spec("jax") is None:
        pytest.skip("jax is not installed: the extra 'bench' has it")
    text, command = shown("train.py", "import sys, jax")
    (tmp_path / "train.py").write_text(text)
    minimum(ran(tmp_path, command))


def test_r(tmp_path: Path) -> None:
    needs("Rscript")
    text, command = shown("train.R")
    (tmp_path / "train.R").write_text(text)
    minimum(ran(tmp_path, command))


def test_fortran(tmp_path: Path) -> None:
    compiler = needs("gfortran")
    text, command = shown("train.f90")
    (tmp_path / "train.f90").write_text(text)
    subprocess.run([compiler, "-o", "train", "train.f90"], cwd=tmp_path, check=True)
    minimum(ran(tmp_path, command))


def test_bash_around_a_solver(tmp_path: Path) -> None:
    compiler = needs("gcc")
    text, command = shown("train.sh")
    (tmp_path / "train.sh").write_text(text)
    (tmp_path / "solver.c").write_text(SOLVER)
    subprocess.run([compiler, "-o", "solver", "solver.c"], cwd=tmp_path, check=True)
    runs = ran(tmp_path, command)
    assert [(run.objective, run.constraints["size"].value) for run in runs] == [(0.125, 4.0), (1.125, 3.0)]
    (tmp_path / "solver").unlink()
    (failed, _) = sweep(tmp_path / "task.yaml", fresh=True)
    assert failed.status is Status.FAILED, "a pipe whose solver is not there is no result"
