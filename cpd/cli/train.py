"""The commands on tasks: train, compare, search, check, and what there is to train."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cpd.cli.console import say
from cpd.cli.options import Format, Output, Shared, training_options
from cpd.cli.streams import for_data
from cpd.errors import CpdError

if TYPE_CHECKING:
    from cpd.results.result import Result

app = typer.Typer()

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="A bundled task or sweep, or a YAML file.")]


@app.command(short_help="Train every setting; say which satisfy the constraints.")
@training_options
def sweep(task: TaskArgument, *, shared: Shared) -> None:
    """Train every setting of a task or sweep and say which satisfy the constraints.

    Example: cpd sweep rate --method penalized --set penalized.coefficient=1e-3:1e1:9:log
    """
    from cpd.cli.progress import ConsoleSink
    from cpd.run import commands

    with for_data(), ConsoleSink(shared.output.quiet) as console:
        result = commands.sweep(task, shared.overrides, shared.options, console)
    finish(result, shared.output)


@app.command(short_help="Train several methods and put them side by side.")
@training_options
def compare(
    named: Annotated[list[str], typer.Argument(metavar="METHOD METHOD...", help="The methods to put side by side.")],
    *,
    task: Annotated[str, typer.Option("--task", "-t", help="A bundled task or sweep, or a YAML file.")] = "rate",
    shared: Shared,
) -> None:
    """Train several methods over their own settings and put them side by side.

    Example: cpd compare penalized lagrangian --task rate
    """
    from cpd.cli.progress import ConsoleSink
    from cpd.run import commands

    with for_data(), ConsoleSink(shared.output.quiet) as console:
        result = commands.compare(
            *named, task=task, overrides=shared.overrides, options=shared.options, listener=console
        )
    finish(result, shared.output)


@app.command(short_help="Search the coefficient that brings a constraint to a target.")
@training_options
def bisect(
    task: TaskArgument = "sparsity",
    *,
    hyperparameter: Annotated[
        str | None, typer.Option(help="What is searched, METHOD.NAME [default: penalized.coefficient].")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Value to reach: VALUE, or NAME=VALUE where a task has several constraints; --target-NAME."),
    ] = None,
    tolerance: Annotated[float | None, typer.Option(help="Stop within this of the target [default: 0.01].")] = None,
    low: Annotated[float | None, typer.Option(help="Smallest coefficient [default: 1e-3].")] = None,
    high: Annotated[float | None, typer.Option(help="Largest coefficient [default: 1].")] = None,
    max_trainings: Annotated[int | None, typer.Option(help="Most trainings [default: 40].")] = None,
    strategy: Annotated[
        Literal["bisection", "illinois"] | None, typer.Option(help="How the next coefficient is chosen.")
    ] = None,
    parallel: Annotated[int, typer.Option(help="Coefficients to train at once in a round.", min=1)] = 1,
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
    as_tables = shared.output.form == "table"
    with for_data() as data, ConsoleSink(shared.output.quiet, data if as_tables else None) as console:
        aimed = with_target(commands.load(task, shared.overrides), words)
        result = commands.bisect(aimed, options=shared.options, listener=console, parallel=parallel)
    finish(result, shared.output, printed=as_tables)


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
    assign: Annotated[list[str] | None, typer.Option("--set", help="As for sweep.")] = None,
    device: Annotated[str, typer.Option(help="Where to evaluate.")] = "cpu",
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


def finish(result: "Result", output: Output, printed: bool = False) -> None:
    """Print a result, draw it if asked to, and leave with its exit code."""
    from cpd.views.tables.render import show

    show(result.document, output.form, sys.stdout, iterations_shown=printed, further=output.columns)
    if result.advice:
        say(result.advice)
    report_failures(result)
    drawn = draw(result, output.plot) if output.plot else True
    if result.store_error is not None:
        raise result.store_error
    raise typer.Exit(result.exit_code or (0 if drawn else 2))


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
