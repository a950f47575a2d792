"""The commands on stored sweeps: list, show, draw, report, export, remove. No torch."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cpd.cli.console import say
from cpd.cli.options import Columns, Format, Store
from cpd.views.printable import size, spelled_out

app = typer.Typer()

Judge = Annotated[
    Literal["training", "held_out"] | None,
    typer.Option(help="The data that decide, training or held_out [default: as the sweep was judged]."),
]

Confidence = Annotated[str | None, typer.Option(help="How sure a verdict is to be instead, 0.99 or 99%.")]

SweepArgument = Annotated[
    str, typer.Argument(metavar="SWEEP", help="An id, the start of one, a task's name for its newest, or last.")
]


@app.command()
def runs(form: Format = "table", store: Store = None) -> None:
    """List the stored sweeps, the newest first.

    Example: cpd runs --format json
    """
    from dataclasses import asdict

    from cpd.store.store import open_store
    from cpd.views.tables.render import print_rows

    with open_store(store, "read") as opened:
        rows = [asdict(info) for info in opened.sweeps()]
        models = opened.model_sizes()
    if models:  # bytes for programs
        kept = [models.get(row["id"], 0) for row in rows]
        shown = kept if form in ("json", "csv") else [size(bytes_) if bytes_ else "" for bytes_ in kept]
        rows = [{**row, "models": value} for row, value in zip(rows, shown, strict=True)]
    print_rows(rows, form, "sweeps")


@app.command()
def show(
    sweep: SweepArgument = "last",
    *,
    tolerance: Annotated[float | None, typer.Option(help="Judge at this tolerance instead.", min=0.0)] = None,
    gap: Annotated[str | None, typer.Option(help="Judge usefulness with this gap instead, 5% or 0.01.")] = None,
    judge: Judge = None,
    confidence: Confidence = None,
    judgement: Annotated[
        str | None, typer.Option(help="Its kept models as cpd judge saw them on other examples, by that name.")
    ] = None,
    store: Store = None,
    form: Format = "table",
    columns: Columns = None,
) -> None:
    """Print a stored sweep's tables again.

    Example: cpd show last --tolerance 0.01 --format markdown
    """
    from cpd.results import history
    from cpd.verdict.confidence import read_confidence
    from cpd.views.tables import render
    from cpd.views.tables.certificates import read_columns

    further = read_columns(columns or "")
    sure = None if confidence is None else read_confidence(confidence)
    stored_sweep, result = history.load(sweep, store, tolerance, gap, judge, sure, judgement)
    render.show(result.document, form, sys.stdout, further=further)
    for note in result.notes if judgement is not None else _judgements(stored_sweep.info.id, store):
        say(note)
    raise typer.Exit(result.exit_code)


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
        typer.Option(help="tuning, bisection, front, dynamics or levels [default: what shows the sweep best]."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="A .png, .svg or .pdf file [default: SWEEP-KIND.png].")] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option(
            "--runs",
            help="Runs for dynamics: the start of an id, or what they have in common, e.g. method=nupi,seed=1 or "
            "dual_lr=0.1; may be given again.",
        ),
    ] = None,
    judge: Judge = None,
    store: Store = None,
) -> None:
    """Draw a stored sweep as the paper's figures do.

    Example: cpd plot figure2 --kind tuning --to figure2.pdf
    """
    from cpd.results import history
    from cpd.views.plots import draw
    from cpd.views.plots.draw import default_kind
    from cpd.views.plots.selection import select

    stored_sweep, result = history.load(sweep, store, judge=judge)
    document = result.document
    kind = kind or ("dynamics" if chosen else default_kind(document))
    places = select(document, chosen, kind) if chosen else None
    file = Path(to or f"{_file_name(stored_sweep.record.task)}-{kind}.png")
    draw.plot(kind, document, result.curves, file, places)
    say(f"drawn: {file}")


@app.command()
def report(
    sweep: SweepArgument = "last",
    *,
    to: Annotated[str | None, typer.Option(help="An .html file [default: SWEEP.html].")] = None,
    judge: Judge = None,
    store: Store = None,
) -> None:
    """Write a stored sweep as one HTML file that opens offline, for those who have no cpd.

    Example: cpd report figure2 --to figure2.html
    """
    from cpd.results import history
    from cpd.results.provenance import of_record
    from cpd.views.report.page import write_report

    stored_sweep, result = history.load(sweep, store, judge=judge)
    file = Path(to or f"{_file_name(stored_sweep.record.task)}.html")
    provenance = of_record(stored_sweep.record, stored_sweep.info.ended)
    write_report(file, result.document, result.curves, provenance)
    say(f"written: {file}")


@app.command()
def export(
    sweep: SweepArgument,
    *,
    to: Annotated[str, typer.Option(help="A .csv, .parquet or .json file.")],
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
    count = export.export(result.document, result.curves if curves else None, to)
    say(f"{count} rows written to {to}")


@app.command()
def rm(
    sweep: SweepArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Store = None,
) -> None:
    """Remove a stored sweep and the runs that no other sweep shows, with their models; asks first.

    Example: cpd rm last
    """
    from cpd.store.store import open_store

    with open_store(store, "read") as opened:
        name = opened.resolve(sweep)
        info = opened.info(name)
    if not yes:
        question = f"Remove {name} ({info.command} {spelled_out(info.task)}, {info.runs} runs)? [y/N]: "
        print(question, end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("nothing was removed; --yes does not ask")
            raise typer.Abort
    with open_store(store, "write") as opened:
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
