"""Long text goes through a pager, short text does not, and nothing is lost where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import ConsoleDimensions

from cpd.views.tables.pager import page, pager

Shown = Callable[..., str]

TEN = "".join(f"\x1b[1mline {k}\x1b[0m\n" for k in range(10))


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What a terminal of so many lines shows of a text."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("CPD_PAGER", "PAGER", "LESS"):
        monkeypatch.delenv(name, raising=False)

    def show(text: str = TEN, height: int = 5, width: int = 80, sideways: bool = False) -> str:
        with (tmp_path / "screen").open("w+", encoding="utf-8") as stream:
            page(text, stream, ConsoleDimensions(width, height), sideways)
            stream.seek(0)
            return stream.read()

    return show


def test_only_what_is_longer_than_the_screen_is_paged(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "sed s/^/paged:/")
    assert shown(height=11) == TEN
    assert shown(height=10) == "".join(f"paged:{line}\n" for line in TEN.splitlines()), "colours are kept"
    assert shown("x" * 200 + "\n", height=3, width=80).startswith("paged:"), "a folded line is three"
    assert shown("x" * 200 + "\n", height=4, width=80).startswith("x")


@pytest.mark.parametrize("named", ["", "cat", "  "])
def test_no_pager_is_asked_for_by_an_empty_one(shown: Shown, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("PAGER", "sed s/^/paged:/")
    monkeypatch.setenv("CPD_PAGER", named)
    assert pager() is None
    assert shown() == TEN


def test_ours_comes_before_that_of_all_programs(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "sed s/^/theirs:/")
    monkeypatch.setenv("CPD_PAGER", "sed s/^/ours:/")
    assert shown().startswith("ours:")
    monkeypatch.setenv("TERM", "dumb")
    assert shown() == TEN


def test_nothing_is_lost_where_the_pager_is_not_there(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "no-such-pager --quiet")
    assert shown() == TEN
    monkeypatch.delenv("PAGER")
    monkeypatch.setenv("PATH", "/nowhere")
    assert pager() is None
    assert shown() == TEN


def test_a_pager_that_is_left_early_is_no_error(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "head -1")
    long = TEN * 100_000
    assert shown(long) == TEN.splitlines(keepends=True)[0]


def test_less_keeps_colours_and_moves_sideways_in_wide_tables(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "echo $LESS; cat > /dev/null")
    assert shown() == "FRX\n"
    assert shown(sideways=True) == "RSX\n"
    monkeypatch.setenv("LESS", "-i")
    assert shown() == "-i\n", "as the user has it"


def test_characters_that_the_terminal_lacks_are_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PAGER", "cat -")
    with (tmp_path / "screen").open("w+", encoding="ascii") as stream:
        page("é\n" * 5, stream, ConsoleDimensions(80, 2))
    assert (tmp_path / "screen").read_text(encoding="ascii") == "\\xe9\n" * 5
