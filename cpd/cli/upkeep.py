"""The commands that keep a store well: whether it is whole, and as small as what is in it. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cpd.cli.console import say
from cpd.cli.options import Format, Store

if TYPE_CHECKING:
    from cpd.store.integrity import Finding
    from cpd.verdict.document import Plain

HELP = """See that the store of runs is whole, and keep it small.

Example: cpd store check
"""

app = typer.Typer(no_args_is_help=True, help=HELP, short_help="See that the store is whole, and keep it small.")


@app.command(short_help="Look whether all of the store is whole.")
def check(form: Format = "table", store: Store = None) -> None:
    """Look whether the store is whole: its file, every run, model and judgement. Changes nothing; exit code 4 if not.

    Example: cpd store check
    """
    from cpd.store.integrity import findings
    from cpd.store.store import open_store
    from cpd.views.tables.render import print_rows

    with open_store(store, "read") as opened:
        place, found = str(opened.path), list(findings(opened))
    print_rows([_row(one, whole=form == "json") for one in found], form, "checks")
    for one in found:
        for problem in one.problems:
            say(f"cpd: {place}: {problem}; {one.fix}")
        for note in one.notes:
            say(f"note: {note}")
    raise typer.Exit(0 if all(one.ok for one in found) else 4)


def _row(one: Finding, *, whole: bool) -> dict[str, Plain]:
    """What one look came to; with the texts of all problems where there is room for them."""
    row: dict[str, Plain] = {"checked": one.what, "count": one.count, "result": "ok" if one.ok else "damaged"}
    if not whole:
        return {**row, "problems": len(one.problems)}
    return {**row, "problems": list(one.problems), "fix": None if one.ok else one.fix, "notes": list(one.notes)}


@app.command(short_help="Give back the room that removed sweeps left.")
def compact(store: Store = None) -> None:
    """Rewrite the store without the room that removed sweeps left in it, and remember what came of every sweep.

    Example: cpd store compact
    """
    from cpd.results.headlines import judged_by
    from cpd.results.listing import unremembered
    from cpd.store import compaction, headlines
    from cpd.store.integrity import counted
    from cpd.store.store import open_store
    from cpd.views.printable import size

    with open_store(store, "read") as opened:
        compaction.check_idle(opened)
    with open_store(store, "write") as opened:
        new = {sweep: headline.to_json() for sweep, headline in unremembered(opened)}
        if new:
            headlines.keep(opened, new, judged_by())
        before = compaction.compact(opened)
    with open_store(store, "read") as opened:
        after, models = compaction.size_of(opened), list(opened.models.sizes())
        orphans = len(set(models) - opened.finished(models))
    say(f"{opened.path}: {size(before)} before, {size(after)} now")
    if new:
        say(f"remembered what came of {counted(len(new), 'sweep')}")
    if orphans:
        say(f"{counted(orphans, 'model')} of no run of this store: cpd gc removes what no sweep keeps")
