"""``cpd judge``: the kept models of a stored sweep on examples that no run of it has seen."""

import sys
from typing import Annotated

import typer

from cpd.cli import shaping
from cpd.cli.console import say
from cpd.cli.options import Format, Store
from cpd.cli.stored import Confidence, SweepArgument
from cpd.cli.streams import for_data, hush
from cpd.cli.train import report_failures

app = typer.Typer()


@app.command(short_help="Judge kept models on examples that no run has seen.")
@shaping.options
def judge(
    sweep: SweepArgument = "last",
    *,
    data: Annotated[
        str | None,
        typer.Option(
            help="What gives the examples: FILE.py:NAME or package.module:NAME of a function, a Dataset or tensors "
            "[default: held_out, the problem's held_out() as its file is now]."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the judgement is called [default: as the examples].")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace a judgement of the same name.")] = False,
    device: Annotated[str, typer.Option(help="Where to measure: cpu, cuda, cuda:1, mps.")] = "cpu",
    tolerance: Annotated[float | None, typer.Option(help="Judge at this tolerance instead.", min=0.0)] = None,
    gap: Annotated[str | None, typer.Option(help="Judge usefulness with this gap instead, 5% or 0.01.")] = None,
    confidence: Confidence = None,
    store: Store = None,
    form: Format = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes on stderr.")] = False,
    shaping: shaping.Shaping,
) -> None:
    """Judge the kept models of a stored sweep on examples that no run of it has seen.

    It prints what show does, and stores it beside the sweep: cpd show SWEEP --judgement NAME prints it again.

    Example: cpd judge last --data tests.py:test_set
    """
    from cpd.run.judging import Shown, Where, judged
    from cpd.verdict.confidence import read_confidence
    from cpd.verdict.gap import read_gap
    from cpd.views.tables.render import show

    if quiet:
        hush()
    sure = None if confidence is None else read_confidence(confidence)
    shown = Shown(tolerance, None if gap is None else read_gap(gap), sure)
    with for_data():
        result = judged(sweep, data, Where(store, name, device, fresh, typed=True), shown)
    show(result.document, form, sys.stdout, shape=shaping.shape, paged=bool(shaping.pager))
    for note in () if quiet else result.notes:
        say(note)
    report_failures(result)
    if result.store_error is not None:
        raise result.store_error
    raise typer.Exit(result.exit_code)
