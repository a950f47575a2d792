"""The local modules that a problem imports: found as Python finds them, none of them run."""

import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from spec_files import Write, load, writer

from cpd.spec.identity import runs
from cpd.spec.imports import imports, listed
from cpd.spec.local_modules import local_modules
from cpd.spec.models import task_from_json, task_to_json
from cpd.spec.packages import imported_packages

BOOM = "raise SystemExit('imported')\n"
"""What every module of these tests begins with: to find it is not to run it."""


def files(folder: Path, *names: str, **texts: str) -> None:
    """Write modules: blank packages by path, others by name with their imports."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(BOOM)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(BOOM + text)


def found(source: str, folder: Path | None, package: str = "") -> list[str]:
    return list(local_modules(source, package, [] if folder is None else [folder]))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a", [("a", ())]),
        ("import a.b as c, d", [("a.b", ()), ("d", ())]),
        ("from a.b import c as d, e", [("a.b", ("c", "e"))]),
        ("from a import *", [("a", ("*",))]),
        ("from . import x", [("pkg.sub", ("x",))]),
        ("from .y import x", [("pkg.sub.y", ("x",))]),
        ("from ..z import x", [("pkg.z", ("x",))]),
        ("from ... import x", []),
        ("def f():\n    class A:\n        import a", [("a", ())]),
        ("try:\n    import a\nexcept ImportError:\n    import b", [("a", ()), ("b", ())]),
        ("if x:\n    import a\nelif y:\n    import b\nelse:\n    import c", [("a", ()), ("b", ()), ("c", ())]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", [("b", ())]),
        ("import typing as t\nif t.TYPE_CHECKING:\n    import a", [("typing", ())]),
        ("match x:\n    case 1:\n        import a", [("a", ())]),
        ("import a\nimport (", []),
        ("import a\0", []),
        ("(" * 1000, []),
    ],
)
def test_imports_are_read_where_they_run(source: str, names: list[Any]) -> None:
    assert sorted(imports(source, "pkg.sub")) == names


def test_a_file_in_no_package_has_no_relative_imports() -> None:
    assert list(imports("from . import x\nfrom .a import y")) == []


def test_what_a_module_lists() -> None:
    assert listed("__all__ = ['a', 'b', name]\n") == ["a", "b"]
    assert listed("__all__ = make()\nx = ['a']\n") == listed("import (") == []


def test_modules_beside_the_problem_and_what_they_import(tmp_path: Path) -> None:
    files(tmp_path, a="import b", b="from c import thing\nimport a", c="import no_such", unused="import a")
    assert found("import a", tmp_path) == ["a.py", "b.py", "c.py"]


def test_a_package_is_its_init_and_what_is_taken_from_it(tmp_path: Path) -> None:
    files(
        tmp_path, "nets/__init__.py", "nets/deep/__init__.py", "nets/deep/one.py", "nets/deep/two.py", "nets/other.py"
    )
    assert found("import nets", tmp_path) == ["nets/__init__.py"]
    assert found("from nets import other, thing", tmp_path) == ["nets/__init__.py", "nets/other.py"]
    deep = ["nets/__init__.py", "nets/deep/__init__.py", "nets/deep/one.py"]
    assert found("import nets.deep.one", tmp_path) == found("from nets.deep import one", tmp_path) == deep
    (tmp_path / "nets/deep/__init__.py").write_text("__all__ = ['two']\nfrom ..other import x\nfrom . import one\n")
    everything = [*deep, "nets/deep/two.py", "nets/other.py"]
    assert found("from nets.deep import *", tmp_path) == everything


def test_a_namespace_package_has_no_text_of_its_own(tmp_path: Path) -> None:
    files(tmp_path, "space/inner/one.py", "space/two.py")
    assert found("import space", tmp_path) == []
    assert found("import space.inner.one\nfrom space import two", tmp_path) == ["space/inner/one.py", "space/two.py"]


def test_a_folder_beside_the_problem_does_not_hide_what_is_installed(tmp_path: Path) -> None:
    files(tmp_path, "yaml/reader.py")
    assert found("import yaml.reader", tmp_path) == []


def test_stubs_are_not_imported_and_extensions_count_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "stub.pyi").write_text("x: int\n")
    extension = tmp_path / f"fast{EXTENSION_SUFFIXES[0]}"
    extension.write_bytes(b"\x7fELF one")
    texts = local_modules("import stub, fast", "", [tmp_path])
    assert list(texts) == [extension.name]
    extension.write_bytes(b"\x7fELF two")
    assert local_modules("import stub, fast", "", [tmp_path]) != texts


def test_a_module_that_is_no_text_or_not_python_counts_and_imports_nothing(tmp_path: Path) -> None:
    files(tmp_path, a="import b\nimport (", b="")
    (tmp_path / "c.py").write_bytes(b"import b # caf\xe9\n")
    texts = local_modules("import a, c", "", [tmp_path])
    assert list(texts) == ["a.py", "c.py"]
    assert texts["c.py"].startswith("sha256:")
    (tmp_path / "c.py").write_bytes(b"# coding: latin-1\nimport b # caf\xe9\n")
    assert local_modules("import c", "", [tmp_path])["c.py"] == "# coding: latin-1\nimport b # café\n"


def test_line_ends_and_blank_modules_do_not_count(tmp_path: Path) -> None:
    files(tmp_path, "nets/a.py", b="x = 1\ny = 2\n")
    unix = local_modules("import b", "", [tmp_path])
    (tmp_path / "b.py").write_bytes((tmp_path / "b.py").read_bytes().replace(b"\n", b"\r\n"))
    assert local_modules("import b", "", [tmp_path]) == unix
    (tmp_path / "nets/__init__.py").write_text(" \n")
    assert found("import nets.a", tmp_path) == ["nets/a.py"]


def test_what_is_installed_or_of_cpd_is_not_local(tmp_path: Path) -> None:
    installed = tmp_path / "lib" / "site-packages"
    files(installed, "bought.py")
    files(tmp_path, a="import bought")
    sources = "import torch, json, sys, cpd.problems.rate, a, bought, numpy.linalg\nfrom importlib import metadata"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(installed))
        assert found(sources, tmp_path) == ["a.py"]


def test_modules_that_python_finds_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout, beside = tmp_path / "checkout", tmp_path / "project"
    files(checkout, "mine/__init__.py", "mine/problem.py", "mine/layers.py", "shadowed.py")
    files(beside, "shadowed.py")
    source = "import shadowed\nfrom mine import layers"
    assert found(source, beside) == ["shadowed.py"]
    monkeypatch.syspath_prepend(str(checkout))
    (beside / "shadowed.py").write_text("beside = True\n")
    assert local_modules(source, "", [beside]) == {
        "mine/__init__.py": BOOM,
        "mine/layers.py": BOOM,
        "shadowed.py": "beside = True\n",
    }
    # A problem that Python finds is imported as part of its package.
    assert found("from . import layers", None, "mine") == ["mine/__init__.py", "mine/layers.py"]


def test_modules_of_an_editable_installation_and_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "src/editable.py")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("zipped.py", BOOM)

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            return spec_from_file_location(name, tmp_path / "src" / "editable.py") if name == "editable" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    monkeypatch.syspath_prepend(str(tmp_path / "more.zip"))
    assert local_modules("import editable, zipped", "", [tmp_path / "src"]) == {"editable.py": BOOM, "zipped.py": BOOM}


def test_a_project_that_is_moved_keeps_its_modules(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two" / "deep"):
        files(folder, "nets/__init__.py", "nets/a.py", "b.py")
    source = "import nets.a, b"
    assert local_modules(source, "", [tmp_path / "one"]) == local_modules(source, "", [tmp_path / "two" / "deep"])


# In a task


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def ids(name: str) -> list[str | None]:
    return [key.id for key in runs(load(name))]


def test_an_edited_module_changes_the_ids_and_another_does_not(write: Write) -> None:
    name = write()
    alone = ids(name)
    files(Path(), "helper.py", "nets/layers.py")
    assert ids(name) == alone
    Path("mine.py").write_text("import helper\n" + Path("mine.py").read_text())
    first = ids(name)
    files(Path(), helper="from nets import layers\n")
    second = ids(name)
    Path("nets/layers.py").write_text("# edited\n")
    third = ids(name)
    assert len({*alone, *first, *second, *third}) == 4
    files(Path(), "nets/unused.py", unused="# edited\n")
    assert ids(name) == third


def test_a_package_that_a_dotted_name_starts_with_is_the_start(write: Write) -> None:
    files(Path(), "own/__init__.py", "own/inner/other.py", "beside.py")
    Path("own/inner/problem.py").write_text("import beside\nfrom own.inner import other\nclass Own: pass\n")
    found = load(write(problem="own.inner.problem:Own")).problem
    assert list(found.modules) == ["beside.py", "own/__init__.py", "own/inner/other.py"]


def test_modules_travel_with_the_task(write: Write) -> None:
    name = write()
    files(Path(), helper="x = 1\n")
    Path("mine.py").write_text("import helper\nclass Mine: pass\n")
    task = load(name)
    assert task.problem.modules == {"helper.py": BOOM + "x = 1\n"}
    again = task_from_json(task_to_json(task))
    assert again == task
    assert runs(again) == runs(task)


def test_a_task_that_was_stored_without_modules_is_read(write: Write) -> None:
    task = load(write())
    stored = task_to_json(task)
    del stored["problem"]["modules"], stored["problem"]["depends"]
    assert task_from_json(stored) == task


def test_imported_packages_are_known_with_their_versions(write: Write) -> None:
    name = write()
    files(Path(), helper="import yaml\nimport json\n", torch="")
    Path("mine.py").write_text("import helper\nimport sklearn.svm\nimport no_such\nclass Mine: pass\n")
    versions = imported_packages(load(name))
    assert list(versions) == ["PyYAML", "scikit-learn"]
    assert all(version[0].isdigit() for version in versions.values())
