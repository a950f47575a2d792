"""The site is built offline without a warning, asks for nothing from elsewhere, and leads to every page."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT

PROGRAM = """
import runpy, socket, sys
def refuse(*address): raise OSError("the site is built offline")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.argv = ["mkdocs", *sys.argv[1:]]
runpy.run_module("mkdocs", run_name="__main__")
"""
ASKED = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"?(https?:)?//[^>]+>|<link[^>]+href=\"?(https?:)?//[^>]+>")
FETCHED = re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import\s+[\"'](?:https?:)?//")

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as built without a network."""
    if not (find_spec("mkdocs") and find_spec("material") and find_spec("latex2mathml")):
        pytest.skip("mkdocs is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-c", PROGRAM, "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def pages_of(nav: Any) -> list[str]:
    """The files that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    return [name for part in (nav if isinstance(nav, list) else nav.values()) for name in pages_of(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    named = pages_of(SITE["nav"])
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(named) == len(set(named))
    assert set(named) == there


@pytest.mark.slow
def test_the_site_is_built_offline_and_asks_for_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    named = {name.removesuffix(".md") + ".html" for name in pages_of(SITE["nav"])}
    assert named <= set(pages)
    assert "bisection|illinois" in pages["cli.html"], "a choice in a table has no backslash"
    assert [f"{name}: {found[0]}" for name, text in pages.items() for found in ASKED.finditer(text)] == []
    styles = [*site.rglob("*.css"), *site.rglob("*.svg")]
    assert styles
    assert [path.name for path in styles if FETCHED.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_equations_are_drawn_without_a_script_and_notebooks_are_there(site: Path) -> None:
    methods = (site / "methods.html").read_text(encoding="utf-8")
    source = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert methods.count("<math") == source.count("```math") > 5
    for notebook in (ROOT / "examples").glob("*.ipynb"):
        assert f'href="examples/{notebook.name}"' in (site / "examples.html").read_text(encoding="utf-8")
        assert (site / "examples" / notebook.name).read_bytes() == notebook.read_bytes()


def test_what_is_fetched_is_seen() -> None:
    assert ASKED.search('<script src="https://unpkg.com/x"></script>')
    assert ASKED.search('<link rel="stylesheet" href="//fonts.googleapis.com/css">')
    assert not ASKED.search('<a href="https://docs.python.org">')
    assert FETCHED.search("@font-face { src: url(https://x.org/a.woff2) }")
    assert not FETCHED.search('a { background: url("data:image/svg+xml;utf8,<svg xmlns=http://www.w3.org/>") }')
