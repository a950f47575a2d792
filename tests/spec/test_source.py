"""Where a spec's problem is found, without running it."""

import sys
from pathlib import Path

import pytest
from spec_files import Write, load, refusal, writer
from wording import THEIRS, ours


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def test_a_problem_is_found_without_running_anything(tmp_path: Path, write: Write) -> None:
    package = tmp_path / "own_package" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "own_package" / "__init__.py").write_text("raise SystemExit('imported')\n")
    source = "raise SystemExit('imported')\nclass Own: pass\n"
    (package / "problem.py").write_text(source)
    found = load(write(problem="own_package.inner.problem:Own")).problem
    assert (found.path, found.source) == (str(package / "problem.py"), source)
    assert "own_package" not in sys.modules


def test_a_module_is_looked_for_beside_the_spec_and_in_the_current_folder(tmp_path: Path, write: Write) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "here.py").write_text("class A: pass\n")
    (tmp_path / "there.py").write_text("class B: pass\n")
    assert load(write("beside/x.yaml", problem="here:A")).problem.path == str(tmp_path / "beside" / "here.py")
    assert load(write("beside/x.yaml", problem="there:B")).problem.path == str(tmp_path / "there.py")


def test_a_module_that_python_finds_has_no_path(write: Write) -> None:
    found = load(write(problem="cpd.problems.rate:Rate")).problem
    assert found.path is None
    assert "class Rate(cpd.Problem)" in found.source


@pytest.mark.parametrize(
    "source",
    ["from elsewhere import Mine", "from elsewhere import Other as Mine", "from elsewhere import *", "Mine = make()"],
)
def test_a_class_may_come_from_elsewhere(source: str, write: Write) -> None:
    name = write()
    Path("mine.py").write_text(source)
    assert load(name).problem.source == source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"x = 1\ndef f(:\n", f"'mine.py:2' is not valid Python: {THEIRS}; fix the file"),
        (b"# caf\xe9\nclass Mine: pass\n", "'mine.py' is not UTF-8; save the file as UTF-8"),
        (b"def f():\n    class Mine: pass\n", "no class 'Mine' in 'mine.py'; valid: none"),
    ],
)
def test_a_problem_file_is_refused(source: bytes, message: str, write: Write) -> None:
    name = write()
    Path("mine.py").write_bytes(source)
    expected = f"x.yaml: problem: {message}"
    assert ours(refusal(name), expected) == expected


def test_a_problem_folder_is_refused(write: Write) -> None:
    Path("folder.py").mkdir()
    assert refusal(write(problem="folder.py:Mine")) == (
        "x.yaml: problem: 'folder.py' cannot be read: Is a directory; check the path and its permissions"
    )
