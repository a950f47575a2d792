"""The commands on tasks: train, compare, search, check, and what there is to train."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cpd.cli import completing
from cpd.cli.console import say
from cpd.cli.foretelling import foretell
from cpd.cli.options import Format, Shared, training_options
from cpd.cli.streams import for_data
from cpd.errors import CpdError
from cpd.spec.option import TRAIN

if TYPE_CHECKING:
    from cpd.results.result import Result

app = typer.Typer()

ABOUT_TASK = "A bundled task or sweep, or a YAML file; - is what is piped in."
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help=ABOUT_TASK, autocompletion=completing.tasks)]


def searched(metavar: str, about: str, **more: Any) -> Any:
    """An option of a search."""
    return typer.Option(help=about, metavar=metavar, rich_help_panel=TRAIN, **more)


@app.command(short_help="Train every setting; say which satisfy the constraints.")
@training_options
def sweep(task: TaskArgument, *, shared: Shared) -> None:
    """Train every setting of a task or sweep and say which satisfy the constraints.

    Example: cpd sweep rate --method penalized --set penalized.coefficient=1e-3:1e1:9:log
    """
    from cpd.cli.progress import ConsoleSink
    from cpd.run import commands

    if shared.output.dry_run:
        return foretell("sweep", commands.load(task, shared.overrides), shared)
    with for_data(), ConsoleSink(shared.output.quiet) as console:
        result = commands.sweep(task, shared.overrides, shared.options, console)
    finish(result, shared)


@app.command(short_help="Train several methods and put them side by side.")
@training_options
def compare(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK] [METHOD]...",
            help=f"{ABOUT_TASK} Then the methods to put side by side, all that it has settings for where none is "
            "named; methods alone are those of --task.",
            autocompletion=completing.tasks_and_methods,
        ),
    ] = None,
    *,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "-t",
            metavar="TASK",
            help="The task, where it does not come first [default: rate].",
            autocompletion=completing.tasks,
            rich_help_panel=TRAIN,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        searched("N", "Give each method N trainings a seed, of settings between the ends of its grids.", min=1),
    ] = None,
    sampler: Annotated[
        Literal["random", "grid", "tpe", "gp"] | None,
        searched("random|grid|tpe|gp", "What chooses them: tpe and gp are Optuna's, and learn [default: random]."),
    ] = None,
    parallel: Annotated[
        int | None, searched("N", "Settings that tpe or gp is asked for at once [default: 4].", min=1)
    ] = None,
    shared: Shared,
) -> None:
    """Train several methods over their own settings and put them side by side.

    Example: cpd compare rate --method penalized --method lagrangian
    """
    from cpd.cli.progress import ConsoleSink
    from cpd.run import commands
    from cpd.spec.first_word import task_and_methods

    if task is None and not named:
        raise CpdError("the argument TASK is missing", place="compare", hint="see cpd compare --help")
    chosen, methods = task_and_methods(named or (), task)
    given = {"trainings": budget, "sampler": sampler, "parallel": parallel}
    asked = tuple((key, value) for key, value in given.items() if value is not None)
    words = replace(shared.overrides, methods=(*methods, *shared.overrides.methods), budget=asked)
    if shared.output.dry_run:
        return foretell("compare", commands.load(chosen, words), shared)
    with for_data(), ConsoleSink(shared.output.quiet) as console:
        result = commands.compare(task=chosen, overrides=words, options=shared.options, listener=console)
    finish(result, shared)


@app.command(short_help="Search the coefficient that brings a constraint to a target.")
@training_options
def bisect(
    task: TaskArgument = "sparsity",
    *,
    hyperparameter: Annotated[
        str | None, searched("METHOD.NAME", "What is searched [default: penalized.coefficient].")
    ] = None,
    target: Annotated[
        list[str] | None,
        searched(
            "[NAME=]VALUE",
            "Value to reach, of NAME where there are several constraints; or --target-NAME [default: the task's]. Of "
            "several each by its own coefficient.",
            autocompletion=completing.levels,
        ),
    ] = None,
    tolerance: Annotated[
        float | None, searched("NUMBER", "Stop within this of the target [default: the task's, else 0.01].")
    ] = None,
    low: Annotated[float | None, searched("NUMBER", "Smallest coefficient [default: the task's, else 1e-3].")] = None,
    high: Annotated[float | None, searched("NUMBER", "Largest coefficient [default: the task's, else 1].")] = None,
    max_trainings: Annotated[int | None, searched("N", "Most trainings [default: the task's, else 40].")] = None,
    strategy: Annotated[
        Literal["bisection", "illinois", "coordinates", "simplex"] | None,
        searched(
            "bisection|illinois|coordinates|simplex",
            "How the next coefficient is chosen; coordinates (one after the other) and simplex (all at once) search "
            "one of each constraint [default: the task's, else bisection; of several targets coordinates].",
        ),
    ] = None,
    parallel: Annotated[int, searched("N", "Coefficients to train at once in a round.", min=1)] = 1,
    shared: Shared,
) -> None:
    """Search the penalty coefficient that brings a constraint's value to a target.

    Example: cpd bisect --target-density 0.5
    """
    from cpd.cli.progress import ConsoleSink
    from cpd.run import commands
    from cpd.run.target import with_target

    words = {
        "hyperparameter": hyperparameter,
        "target": target,
        "tolerance": tolerance,
        "low": low,
        "high": high,
        "max_trainings": max_trainings,
        "strategy": strategy,
    }
    if shared.output.dry_run:
        return foretell("bisect", with_target(commands.load(task, shared.overrides), words), shared, parallel)
    shared.shaping.check_search()
    if shared.overrides.transfer is not None:
        raise CpdError("a search does not try each setting in both cases", place="--transfer", hint="use cpd sweep")
    live, wide = shared.output.form == "table" and shared.shaping.shape.is_plain, shared.shaping.wide
    with for_data() as data, ConsoleSink(shared.output.quiet, data if live else None, wide) as console:
        aimed = with_target(commands.load(task, shared.overrides), words)
        result = commands.bisect(aimed, options=shared.options, listener=console, parallel=parallel)
    finish(result, shared, printed=live)


@app.command()
def tasks(form: Format = "table") -> None:
    """List the bundled tasks and sweeps.

    Example: cpd tasks --format json
    """
    from cpd.spec.bundled import bundled
    from cpd.views.tables.render import print_rows

    rows = [{"name": b.name, "kind": b.kind, "description": b.description} for b in bundled()]
    print_rows(rows, form, "tasks")


@app.command(short_help="Check a task without training.")
def check(
    task: TaskArgument,
    *,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="As for sweep.", autocompletion=completing.settable),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Where to evaluate.", autocompletion=completing.devices)
    ] = "cpu",
    form: Format = "table",
) -> None:
    """Check a task without training: spec, one evaluation, names, shapes, gradients, fusable or not.

    Example: cpd check my_task.yaml
    """
    from cpd.run import commands
    from cpd.spec.overrides import Overrides
    from cpd.views.tables.render import print_rows

    with for_data():
        found = commands.check(task, Overrides(set=tuple(assign or ())), device)
    rows = [{"check": c.check, "result": "ok" if c.ok else "not ok", "found": c.found} for c in found]
    print_rows(rows, form, "checks")
    if not all(c.ok for c in found):
        raise typer.Exit(2)


@app.command(short_help="Print the JSON Schema of task files, for editors.")
def schema() -> None:
    """Print the JSON Schema of task and sweep files: with it, editors check them and complete their keys.

    Example: cpd schema > task.schema.json
    """
    import json

    from cpd.spec.schema import file_schema

    print(json.dumps(file_schema(), indent=2))


def finish(result: "Result", shared: Shared, printed: bool = False) -> None:
    """Print a result, draw it if asked to, and leave with its exit code."""
    output, shaped = shared.output, show_shaped(result, shared, printed)
    if result.advice:
        say(result.advice)
    report_failures(result)
    drawn = draw(result, output.plot) if output.plot else True
    if result.store_error is not None:
        raise result.store_error
    raise typer.Exit(result.exit_code or (0 if drawn and shaped else 2))


def show_shaped(result: "Result", shared: Shared, printed: bool) -> bool:
    """Print a result as it is asked for, or say why not and print it as it is: no training is lost over a column."""
    from cpd.views.tables.render import show

    form, shaping = shared.output.form, shared.shaping
    paged = bool(shaping.pager)
    try:
        show(result.document, form, sys.stdout, shape=shaping.shape, iterations_shown=printed, paged=paged)
    except CpdError as error:
        show(result.document, form, sys.stdout, iterations_shown=printed, paged=paged)
        say(f"cpd: not shaped: {error}")
        return False
    return True


def report_failures(result: "Result") -> None:
    """List every failed run once more at the end, with the traceback of each distinct error."""
    seen: set[str] = set()
    for run in result.failures:
        if run.error and run.error not in seen:
            seen.add(run.error)
            same = sum(other.error == run.error for other in result.failures)
            say(f"\n{same} run(s) failed with this error, the first with seed {run.key.seed}:\n{run.error.rstrip()}")


def draw(result: "Result", to: str) -> bool:
    """Draw a result's picture into a file, or say why not: what was trained is not lost over a picture."""
    from pathlib import Path

    from cpd.views.plots.draw import default_kind, plot

    document = result.document
    try:
        plot(default_kind(document), document, result.curves, Path(to))
    except CpdError as error:
        say(f"cpd: not drawn: {error}")
        return False
    say(f"drawn: {to}")
    return True
