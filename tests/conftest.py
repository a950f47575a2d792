"""What the tests share: one torch thread, the command line in a subprocess, and the real MNIST test images."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from cpd.store import Store

ROOT = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile("cpd", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("cpd")


def pytest_sessionstart() -> None:
    """On CI the installed cpd is tested, for an install is what users get."""
    if os.environ.get("CI") and _package() == ROOT / "cpd":
        pytest.exit(
            "CI tests the installed package, but `import cpd` finds the checkout: use `python -P`", returncode=4
        )


def pytest_report_header() -> str:
    """Say which cpd is tested."""
    return f"cpd: {_package()}"


def _package() -> Path:
    import cpd

    return Path(cpd.__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Results do not depend on the machine's cores, and workers do not compete for them."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """A folder with the 10,000 MNIST test images as IDX files, gzipped or not."""
    named = os.environ.get("CPD_TEST_MNIST")
    folder = Path(named) if named else ROOT.parent / "shared" / "data" / "mnist"
    if not any(folder.glob("t10k-images*")):
        pytest.skip(f"no MNIST test images in {folder}; name their folder in CPD_TEST_MNIST")
    return folder


@dataclass(frozen=True)
class Finished:
    """A command that ended: exit code and both streams."""

    rc: int
    stdout: str
    stderr: str


Command = Callable[..., Finished]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's store is: a name that no address takes as it is."""
    return tmp_path / "some folder" / "runs of 100%?#.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator["Store"]:
    """An empty store."""
    from cpd.store import open_store

    with open_store(path, "write") as opened:
        yield opened


@pytest.fixture
def cpd_command(tmp_path: Path) -> Command:
    """Run ``python -m cpd ARGUMENTS`` in an empty folder; see :func:`command_in`."""
    return command_in(tmp_path)


def command_in(folder: Path) -> Command:
    """Return what runs ``python -m cpd ARGUMENTS`` as a user would: in a folder, with a clean, colourless environment.

    ``cpd_command("sweep", "rate", columns=80, env={...}, cwd=...)``; what the caller passes in ``env`` is added.
    """

    def run(*arguments: str, columns: int = 120, env: Mapping[str, str] | None = None, cwd: Path = folder) -> Finished:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cpd", *arguments],
            cwd=cwd,
            env=_environment(columns) | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


def _environment(columns: int) -> dict[str, str]:
    """Nothing of the developer's own settings but what finds programs, packages and caches."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    return {**inherited, "NO_COLOR": "1", "COLUMNS": str(columns), "OMP_NUM_THREADS": "1"}
