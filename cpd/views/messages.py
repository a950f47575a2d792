"""Lines on stderr; data alone goes to stdout."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cpd.errors import last_line
from cpd.views.printable import spelled_out

if TYPE_CHECKING:
    from cpd.outcome import Run


def say(text: str) -> None:
    """One plain line on stderr, with control characters made harmless; a reader who has gone ends no training."""
    with suppress(BrokenPipeError):
        print(spelled_out(text), file=sys.stderr)


def failure_line(run: Run) -> str:
    """A failed run and the last line of its error."""
    last = last_line(run.error or "failed")
    setting = ", ".join(f"{n}={v}" for n, v in run.key.setting.items())
    return f"failed: {run.key.method} {setting} seed {run.key.seed}: {last}"
