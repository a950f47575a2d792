"""The command line in a subprocess, and where the checkout's files are."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent


@dataclass(frozen=True)
class Finished:
    """A command that ended: exit code and both streams."""

    rc: int
    stdout: str
    stderr: str


Command = Callable[..., Finished]


def command_in(folder: Path) -> Command:
    """Return what runs ``python -m cpd ARGUMENTS`` as a user would: in a folder, with a clean, colourless environment.

    ``cpd_command("sweep", "rate", columns=80, env={...}, cwd=...)``; what the caller passes in ``env`` is added.
    """

    def run(*arguments: str, columns: int = 120, env: Mapping[str, str] | None = None, cwd: Path = folder) -> Finished:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cpd", *arguments],
            cwd=cwd,
            env=_environment(columns) | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


def _environment(columns: int) -> dict[str, str]:
    """Nothing of the developer's own settings but what finds programs, packages and caches."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    return {**inherited, "NO_COLOR": "1", "COLUMNS": str(columns), "OMP_NUM_THREADS": "1"}
