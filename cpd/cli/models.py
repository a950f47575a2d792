"""The command that takes a kept model out of a stored sweep. No torch but for a .pt file."""

from __future__ import annotations

from typing import Annotated

import typer

from cpd.cli.console import say
from cpd.cli.options import Format, Store
from cpd.cli.stored import SweepArgument

app = typer.Typer()


@app.command()
def model(
    sweep: SweepArgument = "last",
    *,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="Of this method [default: the best of all].")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Of this setting, e.g. coefficient=0.1 [default: the best]; may be given again."),
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option("--level", "--levels", help="At this level of a constraint, e.g. g=0.3; may be given again."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of this seed [default: the first].")] = None,
    to: Annotated[
        str | None,
        typer.Option(help="A .safetensors or .pt file, which torch.load reads [default: say what there is]."),
    ] = None,
    store: Store = None,
    form: Format = "table",
) -> None:
    """Take the weights of a stored sweep's best run out, or of another one; without --to list those that are kept.

    Example: cpd model last --to best.pt
    """
    from cpd.results import models
    from cpd.results.choosing import Wanted
    from cpd.results.model_words import kept_rows
    from cpd.views.tables.render import print_rows

    wanted = Wanted.of(method, setting, level, seed, typed=True)
    result = models.loaded(sweep, store)
    if to is None:
        offered = models.offered(result, wanted)
        print_rows(kept_rows(result, offered.place, form), form, "models")
        say(offered.said)
        return
    taken = models.choose(result, wanted)
    models.save(taken, to)
    say(taken.words)
    say(f"written: {to}")
