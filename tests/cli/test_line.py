"""The command line as people type it: help, a task first, slips of the keys, pipes, and ``-`` for what is piped."""

import io
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from command_line import SPEC, InProcess

from cpd.cli.main import app
from cpd.errors import install, nearest
from cpd.spec.first_word import task_and_methods

GROUP: Any = typer.main.get_command(app)
COMMANDS: list[str] = list(GROUP.commands)


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    monkeypatch.setenv("COLUMNS", "80")
    return InProcess(tmp_path, monkeypatch, capsys)


def test_the_version(cpd: InProcess) -> None:
    for word in ("--version", "-V"):
        assert cpd(word).stdout == f"cpd {version('cpd')}\n"
        assert cpd(word).rc == 0


def test_help_shows_the_options_in_groups_with_what_they_take(cpd: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cpd("sweep", "--help").stdout.splitlines()
    assert lines[0] == "Usage: cpd sweep TASK [OPTIONS]"
    heads = [line for line in lines if line and not line.startswith(" ")][1:]
    assert heads == ["Arguments:", "What to train:", "What counts:", "Where and how:", "What is kept:", "Output:",
                     "Other options:"]  # fmt: skip
    text = " ".join(" ".join(lines).split())
    assert "-m, --method METHOD Only this method" in text
    assert "--retries N Times a batch is tried again after its worker died. [default: 1]" in text
    assert "--checkpoint-every SECONDS Seconds of work that may be lost when the machine dies. [default: 60]" in text
    assert "-f, --format table|json|csv|markdown|latex How to print the data. [default: table]" in text
    assert "  Example: cpd sweep rate --method penalized --set penalized.coefficient=1e-3:1e1:9:log" in lines


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_speaks_of_types(command: str, cpd: InProcess) -> None:
    done = cpd(command, "--help")
    assert done.rc == 0
    rows = [line.split("  ")[1] for line in done.stdout.splitlines() if line.startswith("  -")]
    assert rows
    for row in rows:
        assert not set("<>{}") & set(row)
        assert not {"TEXT", "INTEGER", "FLOAT", "str", "int"} & set(row.split())


def test_every_command_is_in_the_help_once_and_whole(cpd: InProcess) -> None:
    lines = cpd("--help").stdout.splitlines()
    for command in COMMANDS:
        assert sum(line.startswith(f"  {command} ") for line in lines) == 1, command
    assert "..." not in "".join(lines[1:])
    assert lines.index("Train:") < lines.index("Look:") < lines.index("Options:")


METHODS = ["penalized", "lagrangian"]


@pytest.mark.parametrize(
    ("named", "task", "meant"),
    [
        (["penalized", "lagrangian"], None, ("rate", METHODS)),
        (["penalized", "lagrangian"], "mine.yaml", ("mine.yaml", METHODS)),
        (["mine.yaml", "penalized", "lagrangian"], None, ("mine.yaml", METHODS)),
        (["concave"], None, ("concave", [])),
        (["-"], None, ("-", [])),
        (["./some.yml", "nupi"], None, ("./some.yml", ["nupi"])),
        (["tabel1"], None, ("tabel1", [])),
        (["rat", "penalized", "lagrangian"], None, ("rat", METHODS)),
        (["penalised", "lagrangian"], None, ("rate", ["penalised", "lagrangian"])),
        (["own", "other"], "t.yaml", ("t.yaml", ["own", "other"])),
        (["geco"], None, ("geco", [])),
        (["geco", "geco"], None, ("geco", ["geco"])),
        (["penalized", "geco"], None, ("rate", ["penalized", "geco"])),
        (["geco"], "rate", ("rate", ["geco"])),
        ((), "rate", ("rate", [])),
    ],
)
def test_compare_takes_the_task_first_or_as_an_option(named: list[str], task: str | None, meant: Any) -> None:
    assert task_and_methods(named, task) == meant


def test_both_forms_of_compare_are_one_command(cpd: InProcess) -> None:
    forms = [
        ("penalized", "lagrangian", "--task", "mine.yaml"),
        ("mine.yaml", "--method", "penalized", "--method", "lagrangian"),
        ("mine.yaml", "penalized", "lagrangian"),
        ("mine.yaml",),
    ]
    found = [json.loads(cpd("compare", *form, "--format", "json").stdout) for form in forms]
    assert all(one == found[0] for one in found)
    assert [row["method"] for row in found[0]["summary"]] == METHODS


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("list", "no command 'list'; did you mean 'cpd runs'?"),
        ("ls", "did you mean 'cpd runs'?"),
        ("train", "did you mean 'cpd sweep'?"),
        ("delete", "did you mean 'cpd rm'?"),
        ("plto", "did you mean 'plot'?"),
        ("quux", "no command 'quux'; valid: "),
        ("show --json", "--json: no such option; write --format json; see cpd show --help"),
        ("sweep rate --csv", "--csv: no such option; write --format csv; see cpd sweep --help"),
        ("sweep rate --lr 1", "write --set train.optimizer.lr=VALUE"),
        ("sweep rate --dual-lr 1", "write --set lagrangian.dual_lr=VALUE"),
        ("sweep --task rate", "the task comes first: cpd sweep TASK"),
        ("export last --output a.csv", "did you mean '--to'?"),
        ("sweep rate --sed 3", "did you mean '--seeds'?"),
        ("sweep rate --no-color", "write NO_COLOR=1 before the command"),
        ("watch --json", "--json: no such option; see cpd watch --help"),
        ("sweep rate --verbose", "--verbose: no such option; see cpd sweep --help"),
    ],
)
def test_what_was_meant(words: str, hint: str, cpd: InProcess) -> None:
    done = cpd(*words.split())
    assert (done.rc, done.stdout) == (2, "")
    assert hint in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("word", "choices", "near"), [
    ("list", ("bisect", "plot"), None),
    ("json", ("jobs",), None),
    ("coeficient", ("coefficient", "growth"), "coefficient"),
    ("ebisect", ("bisect",), "bisect"),
    ("Rate", ("rate",), "rate"),
])  # fmt: skip
def test_only_a_slip_is_suggested(word: str, choices: tuple[str, ...], near: str | None) -> None:
    assert nearest(word, choices) == near


def test_a_spec_is_piped_in(cpd: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(text: str, *words: str) -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return cpd(*words)

    done = piped(SPEC, "sweep", "-", "--format", "json")
    assert done.rc in (0, 3), done.stderr
    from_file = json.loads(cpd("sweep", "mine.yaml", "--format", "json").stdout)
    assert json.loads(done.stdout) == from_file | {"task": "stdin"}
    done = piped(SPEC.replace("seeds:", "sedes:"), "check", "-")
    assert done.stderr.startswith("cpd: stdin: sedes: unknown key 'sedes'; did you mean 'seeds'?")
    done = piped("", "compare", "-", "penalized", "lagrangian")
    assert done.stderr.startswith("cpd: stdin: is empty, a mapping was expected")


def test_what_is_exported_goes_to_stdout_too(cpd: InProcess) -> None:
    cpd("sweep", "mine.yaml", "-q")
    assert cpd("export", "last", "--to", "A.CSV").stderr == "4 rows written to A.CSV\n"
    done = cpd("export", "last", "--to", "-")
    assert (done.rc, done.stdout) == (0, (cpd.folder / "A.CSV").read_text())
    assert done.stderr == "4 rows written to stdout\n"
    rows = json.loads(cpd("export", "last", "--to", "-", "--format", "json").stdout)
    assert [row["seed"] for row in rows] == [1, 1, 1, 1]
    cpd("export", "last", "--to", "rows.txt", "--format", "json")
    assert json.loads((cpd.folder / "rows.txt").read_text()) == rows
    assert cpd("export", "last", "--to", "rows.txt").rc == 2
    assert not (cpd.folder / "-").exists()


def test_a_page_and_a_picture_go_to_stdout_too(cpd: InProcess) -> None:
    pytest.importorskip("plotly", reason="the extra 'report' is not installed")
    pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
    cpd("sweep", "mine.yaml", "-q")
    assert cpd("report", "--to", "-").stdout.startswith("<!doctype html>")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cpd", "plot", "--to", "-"], cwd=cpd.folder, capture_output=True, check=False
    )
    assert done.stdout.startswith(b"\x89PNG"), done.stderr
    assert not (cpd.folder / "-").exists()


def piped_into(reader: str, words: str, folder: Path, streams: str = "2>err.txt") -> tuple[int, str]:
    """Exit code of cpd before a pipe, and what it said."""
    line = f'{sys.executable} -P -m cpd {words} {streams} | {reader} >/dev/null; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
    error = folder / "err.txt"
    return int(done.stdout), done.stderr + (error.read_text() if error.exists() else "")


@pytest.mark.parametrize("words", ["--help", "schema", "tasks --format csv", "completion zsh"])
def test_a_reader_who_leaves_early_is_no_error(words: str, tmp_path: Path) -> None:
    assert piped_into("true", words, tmp_path) == (0, "")


@pytest.mark.slow
def test_a_reader_who_leaves_early_ends_no_training(cpd: InProcess) -> None:
    search = "bisect mine.yaml --target 0.4 --low 0.1 --high 10 --max-trainings 4"
    for words in (
        "sweep mine.yaml",
        search,
        "show",
        "show --format json",
        "runs",
        "export last --to -",
        "check mine.yaml",
    ):
        for reader in ("true", "head -1"):
            code, said = piped_into(reader, words, cpd.folder)
            assert code == 0, words
            assert "Traceback" not in said
            assert "Broken" not in said
    assert piped_into("true", f"{search} --fresh", cpd.folder, "2>&1")[0] == 0
    ended = json.loads(cpd("runs", "--format", "json").stdout)["sweeps"]
    assert len(ended) == 5
    assert all(one["ended"] for one in ended)
    assert piped_into("true", "sweep nosuch", cpd.folder)[0] == 2


def test_what_installs_a_package_is_for_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install("a", "b").endswith("pip install a b") or install("a", "b").startswith("uv pip install --python ")
    assert sys.executable in install("a")
    pip = tmp_path / "pip"
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    assert sys.executable in install("a")  # another Python's
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert install("a", "b") == "pip install a b"
    assert own != tmp_path


def test_what_installs_a_package_costs_nothing_of_those_that_are_there(tmp_path: Path) -> None:
    """Compiling works after it: looking for pip as a module makes setuptools drop its distutils."""
    pytest.importorskip("setuptools", reason="torch's compiler needs it, and it is not installed")
    program = (
        "from cpd.errors import install\nassert 'pip install a' in install('a')\n"
        "import setuptools, distutils.core\nassert '_distutils' in distutils.core.__file__, distutils.core.__file__\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
