"""The command that says what two stored sweeps differ in. No torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cpd.cli.console import say
from cpd.cli.options import Format, Store
from cpd.cli.stored import SweepArgument

if TYPE_CHECKING:
    from cpd.results.differences import Difference, Side

app = typer.Typer()


@app.command(short_help="Say what two stored sweeps differ in.")
def diff(
    a: SweepArgument,
    b: SweepArgument = "last",
    *,
    code: Annotated[bool, typer.Option("--code", help="Also the lines of code that differ.")] = False,
    form: Format = "table",
    store: Store = None,
) -> None:
    """Say what two stored sweeps differ in: what was asked, settings, code, data, versions, and the verdicts.

    Example: cpd diff last~1 last --code
    """
    from cpd.results.differences import code_change, differences

    sides = [_side(name, store) for name in (a, b)]
    found = differences(*sides)
    lines = code_change(*sides)
    ids = [side.sweep.info.id for side in sides]
    if form == "json":
        rows = [asdict(one) for one in found]
        written = {"a": ids[0], "b": ids[1], "differences": rows, "code": lines}
        sys.stdout.write(json.dumps(written, allow_nan=False, indent=2) + "\n")
        return
    if form == "csv":
        from cpd.results.sweep_rows import flat
        from cpd.views.tables.render import print_rows

        print_rows(flat([asdict(one) for one in found]), form, "differences")
        return
    _print(found, sides, lines if code else [], form)
    if ids[0] == ids[1]:
        say(f"{a} and {b} are the same sweep")
    elif not found:
        say("they differ in nothing that is stored")
    elif lines and not code:
        say("--code shows the lines of code that differ")


def _side(name: str, store: str | None) -> Side:
    from cpd.results import history
    from cpd.results.differences import Side
    from cpd.store.inputs_read import files_read
    from cpd.store.store import open_store

    stored, result = history.load(name, store)
    with open_store(store, "read") as opened:
        return Side(stored, result, files_read(opened, stored.info.id))


def _print(found: Sequence[Difference], sides: Sequence[Side], code: Sequence[str], form: str) -> None:
    from cpd.results.differences import words_of
    from cpd.views.tables.differences import differences_section
    from cpd.views.tables.headline import title
    from cpd.views.tables.laid_out import paper, print_laid_out, print_lines

    named = zip("AB", sides, strict=True)
    above = [f"{letter}  {side.sweep.info.id}  {title(side.result.document)}" for letter, side in named]
    rows = [(one.part, one.what, words_of(one.a), words_of(one.b)) for one in found]
    print_laid_out([differences_section(rows, paper().width, fold=form == "table")] if rows else [], form, above)
    print_lines(code)
