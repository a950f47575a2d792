"""Long text on a terminal by way of a pager, as git has it."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
from rich.console import ConsoleDimensions

COMMAND = "less"

OPTIONS = "FRX"
"""Of less, where ``LESS`` says nothing: leave where all fits, show colours, let the text stay when it is left."""

SIDEWAYS = "RSX"
"""Likewise for a table that is wider than the terminal: lines are not folded, arrows move sideways."""

CODES = re.compile(r"\x1b\[[0-9;]*m")
"""What makes colours."""

NOT_THERE = (126, 127)
"""What a shell ends with where a command cannot be started."""


def page(text: str, stream: TextIO, size: ConsoleDimensions, sideways: bool = False) -> None:
    """Show text through ``CPD_PAGER``, else ``PAGER``, else ``less``; as it is where it fits, or there is none.

    Args:
        text: What is shown, with a terminal's codes.
        stream: A terminal.
        size: Its size.
        sideways: Whether lines may be wider than it.
    """
    command = pager()
    if command is None or _fits(text, size) or not _shown(text, stream, command, sideways):
        stream.write(text)
        stream.flush()


def pager() -> str | None:
    """The command that shows long text; None where there is to be none: an empty one, ``cat``, or a dumb terminal."""
    named = (os.environ.get(name) for name in ("CPD_PAGER", "PAGER"))
    command = next((value.strip() for value in named if value is not None), shutil.which(COMMAND) or "")
    return None if command in ("", "cat") or os.environ.get("TERM", "dumb") == "dumb" else command


def _fits(text: str, size: ConsoleDimensions) -> bool:
    """Whether the text leaves a line of the terminal for the prompt."""
    taken = 0
    for line in text.splitlines():
        taken += max(1, math.ceil(cell_len(CODES.sub("", line)) / max(1, size.width)))
        if taken >= size.height:
            return False
    return True


def _shown(text: str, stream: TextIO, command: str, sideways: bool) -> bool:
    """Whether the pager showed it; one that is not there shows nothing."""
    stream.flush()
    environment = {"LESS": SIDEWAYS if sideways else OPTIONS, "LV": "-c", **os.environ}
    encoding = getattr(stream, "encoding", None) or "utf-8"
    data = text.encode(encoding, "backslashreplace")
    # As git does, by way of the shell: the command may have options.
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=stream, env=environment)
    with _without_interrupts():
        process.communicate(data)  # that it was left before its end is no error here
    return process.returncode not in NOT_THERE


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the pager, which has the terminal."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
