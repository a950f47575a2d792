"""The command line in this process, for tests that need many commands: a subprocess for each would take minutes."""

import sys
from pathlib import Path

import pytest
from commands import Finished

from cpd.cli.main import main

PROBLEM = """\
import torch

import cpd


class Mine(cpd.Problem):
    def __init__(self, size: int = 8):
        self.size = size

    def data(self):
        return (torch.linspace(0, 1, self.size)[:, None],)

    def model(self):
        return torch.nn.Linear(1, 1)

    def evaluate(self, model, batch):
        y = model(batch[0])
        return cpd.Evaluation((y - 1).square().mean(), {"g": y.mean()}, metrics={"largest": y.max()})
"""

SPEC = """\
# A line through the points of an interval
problem: mine.py:Mine
objective: error
constraints: {g: "<= 0.5"}
train: {steps: 3, optimizer: {name: SGD, lr: 0.1}, dtype: float64}
seeds: [1]
methods:
  penalized: {coefficient: {values: [0.1, 1]}}
  lagrangian: {dual_lr: {values: [0.01, 0.1]}}
"""


class InProcess:
    """Runs ``cpd ARGUMENTS`` in a folder that has ``mine.py`` and ``mine.yaml``."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        self.folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.delenv("CPD_STORE", raising=False)
        self.write("mine.py", PROBLEM)
        self.write("mine.yaml", SPEC)

    def write(self, name: str, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (self.folder / name).write_bytes(data)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that is there once."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is in {name} {text.count(old)} times"
        self.write(name, text.replace(old, new))

    def __call__(self, *arguments: str) -> Finished:
        self.monkeypatch.setattr(sys, "argv", ["cpd", *arguments])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Finished(code, out, err)
