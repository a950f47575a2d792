"""The recorded session of the docs is what its commands print in a terminal, in a picture that asks for no font."""

import html
import importlib.util
import re
from types import ModuleType

import pytest
from commands import ROOT


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """``docs/make_session.py``, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("make_session", ROOT / "docs" / "make_session.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(picture: str) -> str:
    """What a reader of the picture sees, line by line in the order of the file."""
    seen = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    return html.unescape("".join(seen)).replace("\N{NO-BREAK SPACE}", " ")


def test_the_session_shows_its_commands_and_what_came_of_them(maker: ModuleType) -> None:
    picture = maker.SESSION.read_text(encoding="utf-8")
    seen = text_of(picture)
    typed = [line.strip() for command in maker.COMMANDS for line in command.splitlines()]
    assert [line for line in typed if line not in seen] == []
    assert "settings feasible" in seen
    assert "Traceback" not in seen
    assert "@font-face" not in picture
    assert re.findall(r"(?:src|href|url\()[=\s\"']*https?:", picture) == []


@pytest.mark.slow
def test_a_session_is_recorded_with_its_colours(maker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # a developer's own settings do not matter
    monkeypatch.setenv("CPD_STORE", "/nowhere/runs.sqlite")
    sweep = "cpd sweep rate --method penalized --set penalized.coefficient=2 \\\n    --set train.steps=20"
    picture = maker.record([sweep, "cpd runs"])
    seen = text_of(picture)
    assert "$ cpd runs" in seen
    assert "penalized: 0 of 1 settings feasible." in seen
    assert "font-weight: bold" in picture
    assert "@font-face" not in picture
    assert len(set(re.findall(r"fill: (#[0-9a-f]{6})", picture))) >= 3
