"""Remake the recorded terminal session of the docs with the project's own commands: ``python docs/make_session.py``.

Each command runs in a terminal of its own in a temporary folder; what it prints becomes ``pictures/session.svg``. The
picture asks for no font but those of the reader's machine.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

SESSION = Path(__file__).parent / "pictures" / "session.svg"
WIDTH = 100

COMMANDS = (
    "cpd compare penalized lagrangian --set penalized.coefficient=0.1:10:7:log \\\n"
    "    --set lagrangian.dual_lr=0.001:1:4:log",
    "cpd model last",
)
"""What is typed."""

FETCHED = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""What rich's picture fetches from elsewhere: a font."""
FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"


def offline(picture: str) -> str:
    """A picture of rich's in fonts that the reader has."""
    return FETCHED.sub("", picture).replace("Fira Code, monospace", FONTS).replace("Fira Code", FONTS)


def printed(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What a command prints in a terminal, its colours included; bars and notes are left out.

    Raises:
        CalledProcessError: It ended with another code than 0, or 3: nothing feasible is a result.
    """
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", *shlex.split(command.replace("\\\n", " "))]
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    parts = []
    while part := _read(ours):
        parts.append(part)
    os.close(ours)
    if process.wait() not in (0, 3):
        raise subprocess.CalledProcessError(process.returncode, command)
    return b"".join(parts).decode("utf-8").replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """The next bytes; none at its end, which Linux tells as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def record(commands: Sequence[str]) -> str:
    """A session of these commands as an SVG."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CPD_STORE")}
        environment |= {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
            for command in commands:
                console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
                console.print(Text.from_ansi(printed(command, folder, environment)), highlight=False)
    return offline(console.export_svg(title="cpd", theme=DIMMED_MONOKAI, unique_id="session"))


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=SESSION, help="the picture [default: docs/pictures/session.svg]")
    arguments = parser.parse_args()
    arguments.to.write_text(record(COMMANDS), encoding="utf-8")


if __name__ == "__main__":
    main()
