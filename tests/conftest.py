"""What the tests share: one torch thread, the command line in a subprocess, and the real MNIST test images."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from commands import ROOT, Command, command_in

if TYPE_CHECKING:
    from cpd.store.store import Store

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the larger part of large grids, unless all of them are asked for."""
    if os.environ.get("CPD_WHOLE"):
        return
    left = [item for item in items if item.get_closest_marker("whole")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not item.get_closest_marker("whole")]


def _package() -> Path:
    import cpd

    return Path(cpd.__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Results do not depend on the machine's cores, and workers do not compete for them."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_path() -> Iterator[None]:
    """What one test's problems put on the path is not found by the next, nor are their modules."""
    before = sys.path.copy()
    yield
    if (importing := sys.modules.get("cpd.engine.importing")) is not None:
        importing.leave()
    sys.path[:] = before


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """A folder with the 10,000 MNIST test images as IDX files, gzipped or not."""
    named = os.environ.get("CPD_TEST_MNIST")
    folder = Path(named) if named else ROOT.parent / "shared" / "data" / "mnist"
    if not any(folder.glob("t10k-images*")):
        pytest.skip(f"no MNIST test images in {folder}; name their folder in CPD_TEST_MNIST")
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's store is: a name that no address takes as it is."""
    return tmp_path / "some folder" / "runs of 100%?#.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator["Store"]:
    """An empty store."""
    from cpd.store.store import open_store

    with open_store(path, "write") as opened:
        yield opened


@pytest.fixture
def cpd_command(tmp_path: Path) -> Command:
    """Run ``python -m cpd ARGUMENTS`` in an empty folder; see :func:`command_in`."""
    return command_in(tmp_path)
