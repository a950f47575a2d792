"""The command that says what a user calls a sweep. No torch."""

from __future__ import annotations

from typing import Annotated

import typer

from cpd.cli.console import say
from cpd.cli.options import Format, Store
from cpd.cli.stored import SweepArgument

app = typer.Typer()


@app.command(short_help="Give a stored sweep tags and a note.")
def tag(
    sweep: SweepArgument,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Tags to give it.")] = None,
    *,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="NAME", help="Take a tag away; may be given again.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(metavar="WORDS", help="A note, in the place of the one it has; '' takes that away.")
    ] = None,
    form: Format = "table",
    store: Store = None,
) -> None:
    """Give a stored sweep tags and a note, which runs and show print; without any, say what it has.

    Example: cpd tag last paper --note "the run of Table 3"
    """
    from cpd.store.labels import change, labels_of
    from cpd.store.store import open_store
    from cpd.views.printable import spelled_out
    from cpd.views.tables.render import print_rows

    changes = bool(names or remove or note is not None)
    with open_store(store, "read") as opened:
        name = opened.resolve(sweep)
        found = labels_of(opened, name)
    if changes:
        with open_store(store, "write") as opened:
            found = change(opened, name, names or (), remove or (), note)
    tags, noted = (spelled_out(text).replace("\n", " ") for text in (", ".join(found.tags), found.note or ""))
    if form == "json":
        print_rows([{"id": name, "tags": list(found.tags), "note": found.note}], form, "sweeps")
    elif form == "csv" or not changes:
        print_rows([{"id": name, "tags": tags, "note": noted}], form, "sweeps")
    if changes and form == "table":
        said = [f"tags {tags}" if tags else "no tags", *([f"note: {noted}"] if noted else [])]
        say(f"{name}: {', '.join(said)}")
