"""``cpd gallery``: every task with every method, in one table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cpd.cli import completing
from cpd.cli.console import say
from cpd.cli.options import Shared, training_options
from cpd.cli.streams import for_data
from cpd.errors import CpdError
from cpd.spec.option import TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cpd.run.gallery import Exhibit
    from cpd.run.options import Options
    from cpd.verdict.document import Plain
    from cpd.verdict.gallery import GalleryRow

app = typer.Typer()


@app.command(short_help="Every task with every method at its default grid, in one table.")
@training_options
def gallery(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Bundled tasks, or YAML files [default: every bundled task but those that take hours].",
            autocompletion=completing.tasks,
        ),
    ] = None,
    *,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Steps of each training [default: the task's].", rich_help_panel=TRAIN),
    ] = None,
    shared: Shared,
) -> None:
    """Train every task with every method at its default grid, and print task by method how many settings are useful.

    A method's default grid has one value for each decade from 1e-3 to 1e3 of what it is swept along. What is stored is
    not trained again: the same command goes on where it was stopped.

    Example: cpd gallery rate min_norm --method penalized --method lagrangian
    """
    from cpd.cli.progress import ConsoleSink
    from cpd.run.gallery import exhibits, hang, names_of

    _check(shared)
    words = shared.overrides
    if steps is not None:
        words = replace(words, set=(*words.set, f"train.steps={steps}"))
    with for_data():
        shown = exhibits(names_of(tasks or ()), words)
        options = shared.options
        options = options if options.keep_models is not None else replace(options, keep_models="none")
        rows: list[GalleryRow] = []
        failures = 0
        for number, exhibit in enumerate(() if shared.output.dry_run else shown, 1):
            with ConsoleSink(shared.output.quiet) as console:
                done = hang(exhibit, options, console)
            rows += done.rows
            failures += done.failures
            if not shared.output.quiet:
                say(f"{number} of {len(shown)}: {exhibit.name} is done")
    if shared.output.dry_run:
        return foretell(shown, options, shared.output.form)
    show(rows, shared.output.form, shared.shaping.wide)
    raise typer.Exit(1 if failures else 0)


def show(rows: Sequence[GalleryRow], form: str, wide: bool) -> None:
    """Print a gallery: as data a record for each task and method, on a page task by method."""
    from cpd.results.sweep_rows import flat
    from cpd.views.tables.gallery import gallery_list, gallery_matrix
    from cpd.views.tables.laid_out import print_laid_out
    from cpd.views.tables.render import print_rows

    if form in ("json", "csv"):
        plain = [cast("Mapping[str, Plain]", row) for row in rows]
        print_rows(flat(plain) if form == "csv" else plain, form, "gallery")
    else:
        section = gallery_list(rows) if form == "table" else gallery_matrix(rows)
        print_laid_out([section], form, wide=wide)


def foretell(shown: Sequence[Exhibit], options: Options, form: str) -> None:
    """Print what each task would train, and train nothing."""
    from cpd.cli.foretelling import in_words
    from cpd.run.forecast import forecast
    from cpd.run.gallery import tried
    from cpd.views.tables.render import print_rows

    with for_data():
        found = [(one.name, tried(one, lambda task: forecast("compare", task, options))[1]) for one in shown]
    if form == "table":
        for name, one in found:
            print(f"{name}: no method fits" if one is None else in_words(one))
        return
    rows = [
        {
            "task": name,
            "runs": 0 if one is None else one.runs,
            "stored": 0 if one is None else one.stored,
            "to_train": 0 if one is None else one.runs - one.stored,
            "seconds": 0.0 if one is None else one.seconds,
        }
        for name, one in found
    ]
    print_rows(rows, form, "tasks")


def _check(shared: Shared) -> None:
    """Refuse what is of one sweep's tables and pictures.

    Raises:
        CpdError: It is asked for.
    """
    shaping = shared.shaping
    given: dict[str, object] = {
        "--plot": shared.output.plot,
        "--transfer": shared.overrides.transfer,
        "--levels": shared.overrides.levels,
    }
    given |= {"--sort": shaping.sort, "--top": shaping.top is not None, "--columns": shaping.columns}
    for option, value in {**given, "--only": shaping.only}.items():
        if value:
            raise CpdError("is of one sweep's tables", place=option, hint="leave it out, or use cpd compare")
