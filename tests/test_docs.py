"""The pages keep their word: their commands run, their links lead somewhere, their generated parts are fresh."""

import doctest
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from commands import ROOT, Finished
from forked_cpd import Forked
from pages import blocks, masked, unprinted

import cpd
from cpd.cli.main import app

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = [ROOT / name for name in ("pyproject.toml", ".ci/run", ".ci/debian-packages", ".pre-commit-config.yaml")]

TRAINING = ("sweep", "compare", "bisect")
SHELL = ("bash", "console", "sh", "shell")


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(command: str, cpd: Forked) -> Finished:
    """Run a line of a page: ``cpd`` in a process that starts at once, ``python`` and pipes as a user would."""
    if any(sign in f" {command} " for sign in (" < ", " | ")):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        piped = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=cpd.folder,
            env={**os.environ, "PATH": path, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
        )
        return Finished(piped.returncode, piped.stdout, piped.stderr)
    words, _, file = command.partition(" > ")
    program, *arguments = shlex.split(words)
    if program == "cpd":
        done = cpd(*arguments, COLUMNS="100")
    else:
        assert program == "python", f"no page shows {program} without saying that it is not run"
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "PYTHONPATH") if name in os.environ}
        ended = subprocess.run(
            [sys.executable, *arguments], cwd=cpd.folder, env=kept, capture_output=True, text=True, check=False
        )
        done = Finished(ended.returncode, ended.stdout, ended.stderr)
    if file:
        (cpd.folder / file.strip()).write_text(done.stdout, encoding="utf-8")
    return done


def test_there_are_pages() -> None:
    assert len(PAGES) > 6


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_command_is_run_or_says_why_not(page: Path) -> None:
    allowed = re.compile(r"run|run with: -.+|not run: .{10,}|transcript|test-command")
    wrong = [b.text for b in blocks(page) if b.language in SHELL and not allowed.fullmatch(b.marker)]
    assert wrong == [], "put <!-- run -->, <!-- run with: OPTIONS --> or <!-- not run: REASON --> above each block"


ELSEWHERE = [ROOT / "docs" / "tutorial.md"]
"""Pages that a test of their own follows, word for word: tests/test_tutorial.py."""
RUN = [page for page in PAGES if page not in ELSEWHERE and any(b.marker.startswith("run") for b in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=shown)
def test_the_commands_that_a_page_shows_run(page: Path, tmp_path: Path) -> None:
    for needed in re.findall(r"^<!-- needs: (\w+) -->$", page.read_text(encoding="utf-8"), re.MULTILINE):
        pytest.importorskip(needed, reason=f"the page shows {needed}, which the extra 'test-all' has")
    for block in blocks(page):
        if block.marker.startswith("file: "):
            (tmp_path / block.marker.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
    failed: list[str] = []
    printed: dict[str, str] = {}
    cpd = Forked(tmp_path)
    for block in blocks(page):
        if block.marker.startswith("run"):
            failed += [said for command in block.commands() if (said := tried(command, block.marker, cpd, printed))]
    assert failed == []
    assert unprinted(page, printed) == []


def test_a_line_that_is_not_printed_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    page.write_text("<!-- printed by: cpd x -->\n```text\nbest  0.35 of 4\nno 1\n```\n")
    assert unprinted(page, {"cpd x": "none\n   best 1.2 of 30\n"}) == ["cpd x: no 1"]
    assert len(unprinted(page, {"cpd y": "best 1.2 of 30\nno 2\n"})) == 2


def tried(command: str, marker: str, cpd: Forked, printed: dict[str, str]) -> str | None:
    """Run a command, with the marker's options where it trains; what went wrong, if anything did."""
    typed, _, comment = command.partition("  #")
    budget = marker.partition("run with: ")[2]
    words = typed.split()
    trains = words[0] == "cpd" and words[1] in TRAINING
    done = run(with_budget(typed.rstrip(), budget) if trains else typed.rstrip(), cpd)
    printed[typed.rstrip()] = done.stdout
    said = re.search(r"exit code (\d+)", comment)
    # With a smaller budget than the page's own nothing may be feasible, or a search may end elsewhere.
    expected = {int(said[1])} if said else {0}
    expected |= {0, 3} if budget else set()
    return None if done.rc in expected else f"{command}: exit code {done.rc}: {done.stderr[-2000:]}"


def with_budget(command: str, budget: str) -> str:
    words, redirected, file = command.partition(" > ")
    return f"{words} {budget}{redirected}{file}"


@pytest.mark.slow
def test_the_transcript_is_what_is_printed(tmp_path: Path) -> None:
    """Line by line, numbers aside, for those may differ in their last digits from machine to machine."""
    (block,) = [b for b in blocks(PAGES[0]) if b.marker == "transcript"]
    (command,) = block.commands()
    printed = iter([masked(line) for line in run(command, Forked(tmp_path)).stdout.splitlines()])
    expected = [line for line in block.text.splitlines() if not line.startswith(("$ ", "..."))]
    missing = [line for line in expected if not any(masked(line) == other for other in printed)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http://", "https://"))]
    broken = [link for link in links if not reached(page, link)]
    assert broken == []


def reached(page: Path, link: str) -> bool:
    """Whether a link's file is there, and its heading in it."""
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists() or not heading:
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return heading in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


PATH = re.compile(r"(?<![\w./-])(?:cpd|docs|examples|sweeps|tasks|tests|\.ci)/[\w./-]*[\w/]")
PLACEHOLDER = re.compile(r"[A-Z]{3}")


def absent(text: str) -> list[str]:
    """The files and folders that a text names and that are not there; a name in capitals stands for any."""
    named = [name for name in PATH.findall(text) if not PLACEHOLDER.search(name)]
    return [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=shown)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    assert absent(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SETTINGS, ids=shown)
def test_files_that_a_comment_names_are_there(path: Path) -> None:
    comments = [line.partition("#")[2] for line in path.read_text(encoding="utf-8").splitlines()]
    assert absent("\n".join(comments)) == []


def test_an_absent_file_is_seen() -> None:
    text = "`cpd/methods/NAME.py` `.cpd/runs.sqlite` ../tasks/x.yaml `cpd/methods/` (tests/nowhere.py) cpd/no/"
    assert absent(text) == ["tests/nowhere.py", "cpd/no/"]


def test_a_commit_is_checked_by_what_ci_runs() -> None:
    """ruff and mypy, with no configuration but the project's own: ``pre-commit`` adds only how it hands files over."""
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    tools = [hook for hook in repository["hooks"] if hook["language"] == "system"]
    entries = {hook["entry"].removesuffix(" --force-exclude") for hook in tools}
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {line.removesuffix(" .").removesuffix(" --check") for line in ran} >= entries
    assert entries == {"ruff check", "ruff format", "mypy"}


def test_a_broken_link_is_seen() -> None:
    assert reached(PAGES[0], "docs/yaml.md#in-an-editor")
    assert not reached(PAGES[0], "docs/yaml.md#nowhere")
    assert not reached(PAGES[0], "docs/nowhere.md")


@pytest.fixture(scope="module")
def maker() -> Iterator[ModuleType]:
    """``docs/make_reference.py``, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "docs"))  # as Python does for a file that it runs
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "docs"))


def test_generated_parts_are_fresh(maker: ModuleType) -> None:
    assert [page.name for page in maker.stale()] == [], "run: python docs/make_reference.py"


def test_a_stale_part_is_seen_and_what_is_written_by_hand_stays(maker: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    page.write_text("by hand\n<!-- generated: optimizers -->\nold\n<!-- end -->\nmore\n")
    before, _, after = maker.remade(page.read_text()).partition("`SGD`, `Adam`")
    assert before == "by hand\n<!-- generated: optimizers -->\n\n"
    assert after.endswith("\n\n<!-- end -->\nmore\n")


def test_a_star_marks_the_keys_of_json_that_may_be_missing() -> None:
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    starred = re.findall(r"^\| `(\w+)` \* \|", page, re.MULTILINE)
    plain = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert {"summary", "search", "held_out", "interval", "mixture"} <= set(starred)
    assert {"task", "runs", "id", "value", "feasible_share", "outcome"} <= set(plain) - set(starred)


def test_a_key_of_json_without_a_sentence_stops_the_maker(maker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(maker.json_reference.SENTENCES["RunRow"], "seed")
    with pytest.raises(LookupError, match=r"\['seed'\] of RunRow"):
        maker.json_reference.page()


def test_the_options_that_commands_share_stand_once(maker: ModuleType) -> None:
    page = maker.cli_reference.page()
    assert page.count("`--keep-models` `best\\|feasible\\|all\\|none`") == 1
    assert page.index("`--keep-models`") > page.index(f"## {maker.cli_reference.HEADING}")
    assert page.index("## cpd bisect") < page.index("`--low`") < page.index("## cpd tasks")


SEEN = re.compile(r"^\| ([^|]+) \|", re.MULTILINE)


def test_what_the_pages_say_one_sees_is_what_is_said() -> None:
    """Each quoted piece of a message or a table is in the program; names in capitals, and options, stand for others."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("troubleshooting.md", "failed-sweep.md")]
    quoted = {piece for page in pages for cell in SEEN.findall(page) for piece in re.findall(r"`([^`]+)`", cell)}
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "cpd").rglob("*.py")))
    spread = re.sub(r'"\s*f?"', "", source)  # text that is written over several lines
    assert [piece for piece in sorted(quoted) if not re.search(pattern_of(piece), spread)] == []
    assert len(quoted) > 15


def pattern_of(piece: str) -> str:
    """A piece of a message, whose numbers the program fills in."""
    return re.sub(r"\d+", r"(\\d+|\\{[^}]+\\})", re.escape(piece))


@pytest.fixture(scope="module")
def reference(maker: ModuleType) -> ModuleType:
    """``docs/python_reference.py``."""
    found: ModuleType = maker.python_reference
    return found


def test_every_public_name_is_on_the_page_with_an_example(reference: ModuleType) -> None:
    entries = reference.entries()
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert {entry.name for entry in entries} >= set(cpd.__all__)
    assert {"Result.best", "Result.plot", "Tracker.run_end", "Problem.held_out"} <= {entry.name for entry in entries}
    assert [entry.name for entry in entries if f"## `cpd.{entry.name}`\n" not in page] == []
    assert [entry.name for entry in entries if not entry.sections[""]] == []
    assert reference.without_example(entries) == []
    assert {"problem", "train", "seeds", "callbacks"} <= set(reference.keywords(cpd.sweep))
    assert {"problem", "target"} <= set(reference.keywords(cpd.bisect))


SETUP = re.compile(r"^```python\n(>>> .*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_examples_of_the_reference_say_what_comes_of_them(
    reference: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins where the first block of the page ends; all of them share a store, so that they train once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CPD_STORE", raising=False)
    setup = SETUP.search((ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    assert setup is not None
    parser, said = doctest.DocTestParser(), io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    examples = [entry for entry in reference.entries() if entry.example]
    for entry in examples:
        test = parser.get_doctest(setup[1] + entry.example, {"__name__": "__main__"}, f"cpd.{entry.name}", None, None)
        runner.run(test, out=said.write)
    assert said.getvalue() == ""
    assert runner.tries > 3 * len(examples)


def test_a_name_without_an_example_is_seen(reference: ModuleType) -> None:
    class Silent:
        """Says nothing."""

        def word(self) -> None:
            """No example."""

    class Told(Silent):
        """Says it.

        Example:
            >>> Told().word()
        """

    for owner, missing in ((Silent, ["Own", "Own.word"]), (Told, [])):
        found = [reference.Entry("Own", owner), reference.Entry("Own.word", owner.word, owner)]
        assert reference.without_example(found) == missing


def test_every_generated_part_is_on_a_page(maker: ModuleType) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", text)) == set(maker.GENERATED)


def commands() -> list[tuple[str, Any]]:
    group = typer.main.get_command(app)
    return sorted(group.commands.items())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_is_documented(name: str, command: Any) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert re.search(rf"\bcpd {name}\b", text), f"no page shows cpd {name}"
    assert re.search(rf"Example: cpd {name}\b", command.help or ""), f"cpd {name} --help has no example"
    silent = [option.name for option in command.params if not getattr(option, "help", None)]
    assert silent == []


def test_options_that_the_pages_name_exist() -> None:
    options = {option for _, command in commands() for one in command.params for option in one.opts}
    others = {"--help", "--debug", "--nthreads", "--logdir", "--check", "--target-NAME", "--target-density"}
    others |= {"--target-first", "--target-second"}  # of constraints of an example
    others |= {"--coef", "--dual-lr", "--seed", "--out"}  # of a program in an example
    lines = [line for page in PAGES[:1] for line in page.read_text(encoding="utf-8").splitlines()]
    lines += [line for page in PAGES[1:] for line in page.read_text(encoding="utf-8").splitlines() if "cpd" in line]
    named = {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][A-Za-z-]*", line)}
    assert named - options - others == set()
