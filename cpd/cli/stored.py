"""The commands on stored sweeps: list, show, draw, report, export, remove. No torch."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cpd.cli import completing, shaping
from cpd.cli.beside import print_labels, show_beside
from cpd.cli.console import say
from cpd.cli.options import Format, Store, typed
from cpd.errors import CpdError
from cpd.spec.overrides import Overrides
from cpd.views.output import named
from cpd.views.printable import size

if TYPE_CHECKING:
    from cpd.results.result import Result

app = typer.Typer()

Judge = Annotated[
    Literal["training", "held_out"] | None,
    typer.Option(help="The data that decide, training or held_out [default: as the sweep was judged]."),
]

Confidence = Annotated[str | None, typer.Option(help="How sure a verdict is to be instead, 0.99 or 99%.")]

SweepArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="An id, the start of one, a task's name for its newest, last, or last~1.",
        autocompletion=completing.sweeps,
    ),
]


@app.command(short_help="Print stored sweeps' tables again, several side by side.")
@shaping.options
def show(
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SWEEP]...",
            help="As for other commands; of several, side by side [default: last].",
            autocompletion=completing.sweeps,
        ),
    ] = None,
    *,
    tolerance: Annotated[float | None, typer.Option(help="Judge at this tolerance instead.", min=0.0)] = None,
    gap: Annotated[str | None, typer.Option(help="Judge usefulness with this gap instead, 5% or 0.01.")] = None,
    judge: Judge = None,
    confidence: Confidence = None,
    judgement: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Its kept models as cpd judge saw them on other examples, by that name.",
            autocompletion=completing.judgements,
        ),
    ] = None,
    transfer: Annotated[str | None, typed(Overrides, "transfer")] = None,
    store: Store = None,
    form: Format = "table",
    shaping: shaping.Shaping,
) -> None:
    """Print a stored sweep's tables again, or each setting of several sweeps in one table.

    Example: cpd show last --sort -accuracy --top 5
    """
    from cpd.results import history
    from cpd.verdict.confidence import read_confidence
    from cpd.views.tables import render

    sure = None if confidence is None else read_confidence(confidence)
    loaded = [history.load(one, store, tolerance, gap, judge, sure, judgement) for one in sweeps or ["last"]]
    found = {stored_sweep.info.id: result for stored_sweep, result in loaded}
    if len(found) > 1 and transfer is not None:
        raise CpdError("is of one sweep", place="--transfer", hint="show them one by one")
    if len(found) > 1:
        shaping.check_beside()
        raise typer.Exit(show_beside(found, form, store, shaping.shape))
    stored_sweep, result = loaded[0]
    result = result if transfer is None else carried_over(result, transfer)
    print_labels(stored_sweep.info.id, form, store)
    render.show(result.document, form, sys.stdout, shape=shaping.shape, paged=shaping.pager is not False)
    for note in result.notes if judgement is not None else _judgements(stored_sweep.info.id, store):
        say(note)
    raise typer.Exit(result.exit_code)


def carried_over(result: Result, words: str) -> Result:
    """A stored sweep whose settings are carried over between other cases than it was asked for.

    Raises:
        CpdError: It has no such cases.
    """
    from cpd.spec.transfer import transfer_of, words_of

    place = "--transfer"
    asked = words_of(words, place)
    if result.search is not None or result.task.budget is not None:
        hint = "show a sweep of grids"
        raise CpdError("does not try each setting in both cases", place=place, hint=hint)
    transfer = transfer_of(asked, result.task.grids, lambda key: place)
    return replace(result, task=result.task.model_copy(update={"transfer": transfer}))


def _judgements(sweep: str, store: str | None) -> list[str]:
    """Say by which names kept models were judged on other examples."""
    from cpd.store import judgements
    from cpd.store.store import open_store

    with open_store(store, "read") as opened:
        names = [one.name for one in judgements.listed(opened, sweep)]
    return [f"judged on other examples too, see --judgement NAME: {', '.join(names)}"] if names else []


@app.command()
def plot(
    sweep: SweepArgument = "last",
    *,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="tuning, heatmap, parallel, bisection, front, dynamics or levels [default: what shows it best].",
            autocompletion=completing.kinds,
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="A .png, .svg or .pdf file; - is stdout, as .png [default: SWEEP-KIND.png].")
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option(
            "--runs",
            help="Runs for dynamics: the start of an id, or what they have in common, e.g. method=nupi,seed=1 or "
            "dual_lr=0.1; may be given again.",
        ),
    ] = None,
    constraints: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Constraints that are shown: names or patterns with commas between, 'group_*', or all; may be given "
            "again [default: of many, the 12 that are violated most].",
        ),
    ] = None,
    style: Annotated[
        Literal["paper", "talk"], typer.Option(help="paper, as wide as a column or a page, or talk, a slide of 16:9.")
    ] = "paper",
    title: Annotated[
        str | None, typer.Option(help="Above the picture, '' for none [default: the task and what is shown].")
    ] = None,
    judge: Judge = None,
    store: Store = None,
) -> None:
    """Draw a stored sweep as the paper's figures do.

    Example: cpd plot figure2 --kind tuning --to figure2.pdf
    """
    from cpd.results import history
    from cpd.views.figures.selection import select
    from cpd.views.plots import draw
    from cpd.views.plots.draw import default_kind

    stored_sweep, result = history.load(sweep, store, judge=judge)
    document = result.document
    kind = kind or ("dynamics" if chosen else default_kind(document))
    places = select(document, chosen, kind) if chosen else None
    file = Path(to or f"{_file_name(stored_sweep.record.task)}-{kind}.png")
    wishes = draw.Wishes(places, constraints or (), style, title)
    draw.plot(kind, document, result.curves, file, wishes)
    say(f"drawn: {named(file)}")


@app.command()
def report(
    sweep: SweepArgument = "last",
    *,
    to: Annotated[str | None, typer.Option(help="An .html file; - is stdout [default: SWEEP.html].")] = None,
    judge: Judge = None,
    store: Store = None,
) -> None:
    """Write a stored sweep as one HTML file that opens offline, for those who have no cpd.

    Example: cpd report figure2 --to figure2.html
    """
    from cpd.results import history
    from cpd.results.beside import judged_beside
    from cpd.results.provenance import of_record
    from cpd.views.report.page import write_report

    stored_sweep, result = history.load(sweep, store, judge=judge)
    beside = judged_beside(result.task, result.finished, result.gap, result.search, result.confidence)
    file = Path(to or f"{_file_name(stored_sweep.record.task)}.html")
    provenance = of_record(stored_sweep.record, stored_sweep.info.ended)
    write_report(file, result.document, result.curves, provenance, beside)
    say(f"written: {named(file)}")


@app.command()
def export(
    sweep: SweepArgument,
    *,
    to: Annotated[str, typer.Option(help="A .csv, .parquet or .json file; - is stdout.")],
    form: Annotated[
        Literal["csv", "parquet", "json"] | None,
        typer.Option("--format", "-f", help="What to write [default: as the file's name ends; csv to stdout]."),
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="One row per recorded point instead of one per run.")
    ] = False,
    judge: Judge = None,
    store: Store = None,
) -> None:
    """Write a stored sweep as a tidy table: one row per run, or per recorded point.

    Example: cpd export last --to runs.csv
    """
    from cpd.results import export, history

    _, result = history.load(sweep, store, judge=judge)
    count = export.export(result.document, result.curves if curves else None, to, form)
    say(f"{count} rows written to {named(to)}")


@app.command(short_help="Remove stored sweeps, their runs and models; asks first.")
def rm(
    sweeps: Annotated[
        list[str],
        typer.Argument(
            metavar="SWEEP...",
            help="Each an id, the start of one, a task's name, or last.",
            autocompletion=completing.sweeps,
        ),
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Store = None,
) -> None:
    """Remove stored sweeps and the runs that no other sweep shows, with their models; asks once, for all.

    Example: cpd rm last last~1
    """
    from cpd.results.removal import at_stake
    from cpd.store.store import open_store

    with open_store(store, "read") as opened:
        found = at_stake(opened, sweeps)
    if not yes:
        print(*found.lines, found.question, sep="\n", end=" ", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("nothing was removed; --yes does not ask")
            raise typer.Abort
    with open_store(store, "write") as opened:
        for name in found.sweeps:
            removed = opened.remove(name)
            freed = f", {size(removed.freed)} of models freed" if removed.freed else ""
            say(f"removed {name}: {removed.runs} runs gone, {removed.kept} kept for other sweeps{freed}")


@app.command()
def gc(store: Store = None) -> None:
    """Remove the models that no sweep keeps, and what commands left that were killed; says what that freed.

    Example: cpd gc
    """
    from cpd.results.kept import collect
    from cpd.store.store import open_store

    with open_store(store, "read") as opened:
        found = collect(opened)
    if found.running:
        say(f"{', '.join(found.running)} is running: what it may keep stays")
    say(f"{found.models} models that no sweep keeps are gone, {size(found.freed)} freed")


def _file_name(task: str) -> str:
    """A task's name as a file's: a name may hold slashes and worse."""
    return re.sub(r"[^\w.-]+", "-", task).strip("-.") or "sweep"
