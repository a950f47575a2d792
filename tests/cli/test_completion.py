"""What a shell completes, asked as the shell itself asks: by the script that ``cpd completion`` prints."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from command_line import SPEC, InProcess

from cpd.cli.completion import SCRIPTS
from cpd.cli.main import app
from cpd.methods.registry import REGISTRY
from cpd.views.plots.draw import KINDS

ASK = {
    "bash": """
        eval "$(cpd completion bash)"
        while IFS= read -r line; do
            COMP_LINE="$line" COMP_POINT=${#line} COMPREPLY=(); _cpd_completion
            echo "${COMPREPLY[*]}"
        done
    """,
    "fish": """
        cpd completion fish | source
        while read -l line
            complete -C "$line" | string replace -r '\\t.*' '' | string join ' '
        end
        true
    """,
}

Ask = Callable[..., list[list[str]]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The words that a shell offers at the end of each line, in a folder with a task and a stored sweep of it."""
    cpd = InProcess(tmp_path, monkeypatch, capsys)
    cpd.write("other.YML", SPEC)
    cpd.write("notes.txt", "")
    cpd("sweep", "mine.yaml", "-q")
    program = tmp_path / "bin" / "cpd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cpd "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def words(*lines: str, shell: str = "bash") -> list[list[str]]:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        done = subprocess.run(
            [shell, "-c", ASK[shell]],
            cwd=tmp_path,
            input="\n".join([*lines, ""]),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return [line.split(" ") if line else [] for line in done.stdout.removesuffix("\n").split("\n")]

    return words


def test_bash_completes_values(ask: Ask) -> None:
    tasks, files, methods, named, kinds, keys, levels, sweeps = ask(
        "cpd sweep ra",
        "cpd check ",
        "cpd compare mine.yaml ",
        "cpd sweep rate --method=la",
        "cpd plot --kind ",
        "cpd sweep mine.yaml --set lag",
        "cpd sweep mine.yaml --levels ",
        "cpd show ",
    )
    assert tasks == ["rate"]
    assert {"mine.yaml", "other.YML", "bin/", "concave", "table1"} <= set(files)
    assert "notes.txt" not in files
    assert methods == ["penalized", "lagrangian"]  # those of the task
    assert named == ["lagrangian"]
    assert kinds == list(KINDS)
    assert keys == [f"lagrangian.{name}=" for name in REGISTRY["lagrangian"].hyperparameters]
    assert levels == ["g="]
    assert sweeps[:2] == ["last", "mine"]
    assert sweeps[2].startswith("20")
    assert len(sweeps) == 3


@pytest.mark.slow
def test_bash_completes_commands_options_and_what_has_few_words(ask: Ask) -> None:
    lines = {
        "cpd comp": ["compare", "completion"],
        "cpd show --tol": ["--tolerance"],
        "cpd sweep rate --format ma": ["markdown"],
        "cpd show --columns k": ["kkt"],
        "cpd sweep rate --fuse ": ["auto", "off"],
        "cpd completion ": ["bash", "zsh", "fish"],
        "cpd compare mine.yaml penalized ": ["lagrangian"],
        "cpd compare penalized la": ["lagrangian"],
        "cpd sweep nosuch.yaml --levels ": [],
        "cpd sweep rate --set train.st": ["train.steps=", "train.stop="],
    }
    assert dict(zip(lines, ask(*lines), strict=True)) == lines


@pytest.mark.slow
def test_fish_completes_values(ask: Ask) -> None:
    first, method, kinds = ask("cpd sweep ra", "cpd sweep mine.yaml --method=la", "cpd plot --kind fr", shell="fish")
    assert (first, method, kinds) == (["rate"], ["--method=lagrangian"], ["front"])


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_what_its_shell_reads(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(SCRIPTS[shell])
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_what_cannot_be_read_is_not_completed(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("constraints: [\n")
    (tmp_path / "damaged.sqlite").write_text("no store")
    for line in ("cpd sweep broken.yaml --levels ", "cpd show --store damaged.sqlite "):
        done = asked(line, tmp_path)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", ""), line


def test_every_argument_that_is_a_sweep_is_completed() -> None:
    commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    wanted = {
        (name, one.name): one._custom_shell_complete
        for name, command in commands.items()
        for one in command.params
        if "SWEEP" in str(one.metavar)
    }
    assert {("show", "sweeps"), ("rm", "sweeps"), ("diff", "a"), ("diff", "b"), ("plot", "sweep")} <= set(wanted)
    assert [key for key, found in wanted.items() if found is None] == []


def test_no_word_needs_torch(tmp_path: Path) -> None:
    for line in ("cpd sweep rate --set ", "cpd show ", "cpd plot --kind "):
        done = asked(line, tmp_path, "-X", "importtime")
        assert "cpd.cli.completing" in done.stderr
        assert " torch\n" not in done.stderr, line


def asked(line: str, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """A line as the scripts ask it."""
    names = {"_CPD_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": line}
    program = [sys.executable, *options, "-P", "-m", "cpd"]
    environment = {**os.environ, **names}
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
