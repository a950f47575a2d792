"""The command that lists the stored sweeps. No torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cpd.cli.console import say
from cpd.cli.options import Format, Store

if TYPE_CHECKING:
    from cpd.results.listing import Listed

app = typer.Typer()

MOST = 30
"""Sweeps that a terminal shows where nobody asks for more."""

MANY = 30
"""Sweeps that are judged for a list, from which on it is said how to have it quicker."""

Task = Annotated[str | None, typer.Option(metavar="NAME", help="Of this task alone.")]


@app.command()
def runs(
    *,
    task: Task = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Begun since then: 2d, 12h, 2026-11-01, yesterday.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="With failed runs alone.")] = False,
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="With this tag alone, see cpd tag.")] = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help=f"The newest N [default: {MOST} in a terminal, else all]."),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="All columns, with full times, however long the lines.")] = False,
    form: Format = "table",
    store: Store = None,
) -> None:
    """List the stored sweeps, the newest first.

    Example: cpd runs --task rate --since 2d
    """
    from cpd.results.listing import Filters, listing
    from cpd.results.moments import read_since
    from cpd.store.store import open_store

    filters = Filters(task, None if since is None else read_since(since), failed, tag)
    most = MOST if top is None and form == "table" and sys.stdout.isatty() else top
    with open_store(store, "read") as opened:
        found = listing(opened, filters, most)
        models = opened.model_sizes()
    _print(found.sweeps, models, form, wide)
    if not found.sweeps:
        say("no sweep is like that" if filters.any else "no sweep is stored; run one: cpd sweep TASK")
    if found.left_out:
        total = len(found.sweeps) + found.left_out
        say(f"the newest {len(found.sweeps):,} of {total:,} sweeps; --top {total} shows all")
    if found.judged >= MANY:
        say(f"{found.judged:,} sweeps were judged anew for this list; cpd store compact remembers what came of them")


@app.command(short_help="The best setting of each task over all stored sweeps.")
def best(
    *,
    task: Task = None,
    outdated: Annotated[
        bool,
        typer.Option("--outdated", help="Also of sweeps whose problem had another code, or other data, than by now."),
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="All columns, however long the lines.")] = False,
    form: Format = "table",
    store: Store = None,
) -> None:
    """Print the best useful setting of each task over all stored sweeps, and how to take its model out.

    Settings are compared that answer the same question: task, objective, constraints, levels and judged data.

    Example: cpd best --task rate
    """
    from cpd.results.listing import Filters, listing
    from cpd.results.overall import lines_of, overall, rows_of
    from cpd.results.sweep_rows import flat
    from cpd.store.store import open_store
    from cpd.views.printable import one_line
    from cpd.views.tables.laid_out import paper, print_laid_out, print_lines
    from cpd.views.tables.overall import commands, not_kept, overall_section
    from cpd.views.tables.render import print_rows
    from cpd.views.tables.terminal import UNLIMITED

    with open_store(store, "read") as opened:
        found = overall(listing(opened, Filters(task)).sweeps, outdated=outdated)
        kept = list(opened.models.sizes())
    if form in ("json", "csv"):
        rows = rows_of(found.bests, kept, store)
        print_rows(flat(rows) if form == "csv" else rows, form, "best")
    elif found.bests:
        console = paper(wide or form != "table")
        lines = lines_of(found.bests, kept, store)
        section = overall_section(lines, None if console.width == UNLIMITED else console.width)
        print_laid_out([section], form, below=not_kept(lines), wide=wide)
        print_lines(commands(lines))
    if found.unanswered:
        say(f"no sweep has a useful setting of: {', '.join(map(one_line, found.unanswered))}")
    if found.outdated:
        say(f"{len(found.outdated)} sweeps are of another code of their problem: left out; --outdated compares them")
    if not (found.bests or found.unanswered):
        say("no sweep is stored; run one: cpd sweep TASK")


def _print(sweeps: Sequence[Listed], models: dict[str, int], form: str, wide: bool) -> None:
    from cpd.results.sweep_rows import flat, lines_of, rows_of
    from cpd.views.tables.laid_out import paper, print_laid_out
    from cpd.views.tables.render import print_rows
    from cpd.views.tables.sweeps import sweeps_section
    from cpd.views.tables.terminal import UNLIMITED

    if form in ("json", "csv"):
        rows = rows_of(sweeps, models)
        print_rows(flat(rows) if form == "csv" else rows, form, "sweeps")
    elif sweeps:
        console = paper(wide or form != "table")
        width = None if console.width == UNLIMITED else console.width
        print_laid_out([sweeps_section(lines_of(sweeps, models), width, console.encoding)], form, wide=wide)
