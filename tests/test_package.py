"""What is shipped: the wheel and the source distribution, built from the project's own files."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from commands import ROOT

import cpd

SPECS = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("tasks", "sweeps") for path in ROOT.glob(f"{folder}/*.*")
)
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.glob("cpd/**/*")
    if path.is_file() and path.parent.name != "__pycache__"
)

CONTRIBUTORS = (
    ".editorconfig", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "README.md",
    "mkdocs.yml",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built offline."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_ships_every_module_and_spec_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert SPECS
    assert "cpd/py.typed" in SOURCES
    assert shipped == {*SOURCES, *(f"cpd/{spec}" for spec in SPECS)}


@pytest.mark.parametrize("spec", SPECS)
def test_the_wheel_ships_specs_unchanged(wheel: zipfile.ZipFile, spec: str) -> None:
    assert wheel.read(f"cpd/{spec}") == (ROOT / spec).read_bytes()


def test_the_wheel_carries_its_license(wheel: zipfile.ZipFile) -> None:
    assert sum(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--help",), None),
        (("tasks", "--format", "csv"), None),
        (("check", "table2"), "steps ok 1,800 steps, random numbers drawn"),
        (("sweep", "rate", "-m", "penalized", "--set", "train.steps=2"), "penalized: 0 of 20 settings feasible."),
    ],
)
def test_the_wheel_works_from_any_folder(
    wheel: zipfile.ZipFile, words: tuple[str, ...], said: str | None, tmp_path: Path
) -> None:
    wheel.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = "import sys, cpd; print(cpd.__file__, file=sys.stderr); from cpd.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stderr.splitlines() == [str(tmp_path / "site" / "cpd" / "__init__.py")]
    assert done.returncode == (3 if words[0] == "sweep" else 0)
    assert done.stdout
    assert said is None or said in [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_the_source_distribution_builds_and_tests_itself(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    tests = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py")}
    tests |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*.*")}
    assert {"pyproject.toml", "LICENSE", ".ci/run", *CONTRIBUTORS, *SOURCES, *SPECS, *tests} <= names


def test_the_version_is_the_installed_one() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert cpd.__version__ == version("cpd") == declared


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="cpd")
    assert command.value == "cpd.cli.main:main"
