"""The table of the gallery's page: remade with the words of the page, or with others."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGE = "before\n<!-- gallery: cpd gallery rate min_norm -->\nold table\n<!-- end -->\nafter\n"


@pytest.fixture
def maker() -> ModuleType:
    """``docs/make_gallery.py``, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], ["rate", "min_norm"]),
        (["concave", "--set", "nupi.kp=10"], ["concave", "--set", "nupi.kp=10"]),
    ],
)
def test_the_table_is_remade_with_the_words_of_the_page_unless_others_are_given(
    maker: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], asked: list[str]
) -> None:
    page = tmp_path / "gallery.md"
    page.write_text(PAGE, encoding="utf-8")
    lines: list[list[str]] = []

    def run(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        lines.append(line)
        return subprocess.CompletedProcess(line, 0, stdout="new table\n")

    monkeypatch.setattr(maker, "PAGE", page)
    monkeypatch.setattr(maker.subprocess, "run", run)
    assert maker.main(words) == 0
    assert lines[0][3:] == ["gallery", *asked, "--format", "markdown"]
    shown = f"before\n<!-- gallery: cpd gallery {' '.join(asked)} -->\nnew table\n<!-- end -->\nafter\n"
    assert page.read_text(encoding="utf-8") == shown
