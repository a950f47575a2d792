"""The command that writes tasks from other tools' files."""

from pathlib import Path
from typing import Annotated

import typer

from cpd.cli.console import say
from cpd.errors import CpdError

app = typer.Typer()


@app.command("import", short_help="Write a task from a sweep of W&B or a config of Hydra.")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A sweep of Weights & Biases, or a config of Hydra.")],
    *,
    to: Annotated[str | None, typer.Option(help="Write the task into this file, which is not there yet.")] = None,
    program: Annotated[str | None, typer.Option(help="The program, where the file does not name it.")] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(help="What must hold, as 'NAME <= LEVEL'; may be given several times.")
    ] = None,
) -> None:
    """Write a task with a command from a sweep of Weights & Biases or a config of Hydra.

    What cannot be carried over is in it as comments that say why.

    Example: cpd import sweep.yaml --to task.yaml
    """
    from cpd.spec.foreign.importing import imported

    target = None if to is None else Path(to)
    if target is not None and target.exists():
        raise CpdError("is there already", place=f"--to {to}", hint="name another file, or remove it")
    text = imported(file, Path() if target is None else target.parent, program, constraint or ())
    if target is None:
        print(text, end="")
        return
    _write(target, text)
    say(f"written: {to}" + ("" if constraint else "; fill in its constraints"))


def _write(target: Path, text: str) -> None:
    try:
        with target.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        hint = "name a file in a folder that can be written"
        raise CpdError(f"cannot be written: {error.strerror}", place=f"--to {target}", hint=hint) from None
