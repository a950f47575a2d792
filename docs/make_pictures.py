"""Remake the pictures of the README and the docs with the project's own commands: ``python docs/make_pictures.py``.

Each command is printed as a user would type it and runs in a temporary folder; it takes a minute or two on two cores.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parent / "pictures"

COMMANDS = {
    "figure2": ["cpd sweep figure2 --quiet", "cpd plot figure2 --kind tuning --to figure2.png"],
    "table1": ["cpd sweep table1 --quiet", "cpd plot table1 --kind front --to table1.png"],
    "table2": ["cpd bisect table2 --quiet", "cpd plot table2 --kind bisection --to table2.png"],
    "dynamics": [
        "cpd sweep concave --method lagrangian --method nupi --set train.steps=1000 --quiet",
        "cpd plot concave --runs method=lagrangian,dual_lr=0.3 --runs method=nupi,kp=40 --to dynamics.png",
    ],
}
"""The commands that draw each picture: first the training, then the picture from the store."""


def make(name: str, into: Path) -> None:
    """Run a picture's commands in a temporary folder and keep the picture.

    Raises:
        CalledProcessError: A command ended with another code than 0, or 3: nothing feasible is a result.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CPD_STORE": str(Path(folder, "runs.sqlite"))}
        for command in COMMANDS[name]:
            print(command, flush=True)
            words = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
            if done.returncode not in (0, 3):
                raise subprocess.CalledProcessError(done.returncode, command)
        (into / f"{name}.png").write_bytes(Path(folder, f"{name}.png").read_bytes())


def main() -> None:
    """Make all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COMMANDS)} [default: all]")
    parser.add_argument("--into", type=Path, default=PICTURES, help="folder of the pictures [default: docs/pictures]")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - COMMANDS.keys():
        parser.error(f"no picture {', '.join(sorted(unknown))}; valid: {', '.join(COMMANDS)}")
    arguments.into.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or COMMANDS:
        make(name, arguments.into)


if __name__ == "__main__":
    main()
