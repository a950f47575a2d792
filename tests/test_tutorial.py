"""A new user who follows the tutorial word for word ends with a model file that plain torch loads."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from commands import ROOT
from packaging.requirements import Requirement
from pages import blocks, unprinted

PAGE = ROOT / "docs" / "tutorial.md"
EXTRAS = ("plot", "report")
"""Those that the page installs."""

FRESH = """
import importlib.machinery, sys
ABSENT = set({absent!r})
class Fresh(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Fresh
"""
"""What a fresh environment lacks: packages that only the tests and the developers have."""


def installed(name: str, extras: tuple[str, ...] = ()) -> set[str]:
    """The packages that come with one, by their own requirements."""
    found: dict[str, None] = {}
    wanted = [(name, extras)]
    while wanted:
        current, asked = wanted.pop()
        lines = (distribution(current).requires or []) if _is_there(current) else []
        found[_plain(current)] = None
        for line in map(Requirement, lines):
            needed = line.marker is None or any(line.marker.evaluate({"extra": one}) for one in (*asked, ""))
            if needed and _plain(line.name) not in found:
                wanted.append((line.name, tuple(line.extras)))
    return set(found)


def _is_there(name: str) -> bool:
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def test_what_is_installed_is_what_is_required() -> None:
    assert {"torch", "pandas", "scikit-learn", "matplotlib", "plotly"} <= installed("cpd", EXTRAS)
    assert {"pytest", "mkdocs"} & installed("cpd", EXTRAS) == set()
    assert "plotly" not in installed("cpd")
    assert "pip install '.[plot,report]'" in PAGE.read_text(encoding="utf-8")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user's: a home of its own, this environment's commands, and no package but those that the page installs."""
    there, home = installed("cpd", EXTRAS), tmp_path / "home"
    absent = [module for module, owners in packages_distributions().items() if not there & set(map(_plain, owners))]
    (home / "bin").mkdir(parents=True)
    (home / "sitecustomize.py").write_text(FRESH.format(absent=absent))
    for name, words in {"python": "", "cpd": "-P -m cpd "}.items():
        (home / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (home / "bin" / name).chmod(0o755)
    kept = {name: os.environ[name] for name in ("TMPDIR", "LANG", "LC_ALL") if name in os.environ}
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    return {**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": str(home), "COLUMNS": "100", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_the_tutorial_ends_with_a_model_that_plain_torch_loads(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "biopsies"
    folder.mkdir()
    printed: dict[str, str] = {}
    for block in blocks(PAGE):
        if block.marker.startswith("file: "):
            (folder / block.marker.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
        for command in block.commands() if block.marker == "run" else []:
            done = subprocess.run(
                ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            printed[command] = done.stdout
    assert unprinted(PAGE, printed) == []
    shown = next(block.text for block in blocks(PAGE) if block.marker == "printed by: python serve.py")
    assert numbers(printed["python serve.py"]) == pytest.approx(numbers(shown), abs=0.05)
    assert (folder / "biopsies.png").stat().st_size > 10_000
    assert (folder / "biopsies.html").stat().st_size > 10_000
    assert found_by(folder / "recall.pt", folder / "later.csv") >= 0.94


def numbers(text: str) -> list[float]:
    return [float(word) for word in re.findall(r"\d+\.\d+", text)]


def found_by(weights: Path, table: Path) -> float:
    """The share of a table's malignant tumours that a file of weights finds, by torch alone, without cpd."""
    program = """
import sys
sys.modules["cpd"] = None
import torch
model = torch.nn.Sequential(torch.nn.BatchNorm1d(3, affine=False), torch.nn.Linear(3, 1))
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
rows = [[float(word) for word in line.split(",")] for line in open(sys.argv[2]).read().splitlines()[1:]]
malignant = torch.tensor([row[:3] for row in rows if row[3] == 0])
print((model.eval()(malignant) > 0).float().mean().item())
"""
    words = [sys.executable, "-I", "-c", program, str(weights), str(table)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
