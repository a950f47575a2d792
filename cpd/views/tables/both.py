"""Numbers on training data and on held-out examples side by side, and the gap between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cpd.verdict.averages import mean
from cpd.verdict.document import Document, RunRow
from cpd.verdict.judged import judged_row, judges
from cpd.views.printable import one_line
from cpd.views.tables.lines import components, worst_place
from cpd.views.tables.numbers import measured, signed
from cpd.views.tables.section import Column

DATA = {"training": "training", "held_out": "held-out"}
"""What each part of the examples is called in a table."""

Number = Callable[[RunRow, str], float | None]
"""A number of a run on one part of the examples."""


def has_held_out(document: Document) -> bool:
    """Whether some run was measured on held-out examples."""
    return any(run.get("held_out") is not None for run in document["runs"])


def judged_header(document: Document) -> tuple[str, ...]:
    """The line of a header that says which examples its numbers are on, where there are both."""
    return (DATA[judges(document)],) if has_held_out(document) else ()


def both_columns(
    document: Document,
    groups: Sequence[Sequence[RunRow]],
    header: tuple[str, ...],
    number: Number,
    percent: int | None = None,
    ranks: tuple[int, int] = (0, 0),
) -> list[Column]:
    """The mean on the examples that do not decide, and the gap: held-out less training; none without both.

    Args:
        document: Says which decide.
        groups: The runs of each row.
        header: The quantity's.
        number: Gives it.
        percent: Decimals of a share.
        ranks: Of the two columns.
    """
    if not has_held_out(document):
        return []
    other = "training" if judges(document) == "held_out" else "held_out"
    others = [_mean([number(run, other) for run in runs]) for runs in groups]
    gaps = [_mean([_gap(number(run, "held_out"), number(run, "training")) for run in runs]) for runs in groups]
    written = [measured(x) if percent is None or x is None else f"{100 * x:.{percent}f}" for x in others]
    return [
        Column((*header, DATA[other]), written, rank=ranks[0], values=others),
        Column((*header, "gap"), [signed(gap, percent) for gap in gaps], rank=ranks[1], values=gaps),
    ]


def objective_on(run: RunRow, on: str) -> float | None:
    """A run's objective on one part of the examples."""
    return judged_row(run, on)["objective"]


def value_on(document: Document, name: str) -> Number:
    """A constraint's value; a vector's at the component that is worst on the examples that decide."""
    sense, by = document["constraints"][name]["sense"], judges(document)

    def number(run: RunRow, on: str) -> float | None:
        place = worst_place(judged_row(run, by)["constraints"][name], sense)
        values = components(judged_row(run, on)["constraints"][name]["value"])
        return values[place] if place < len(values) else None

    return number


def judged_on(document: Document) -> str:
    """``judged on 359 held-out examples``, or those of what was named; empty where nobody knows how many there are."""
    by = judges(document)
    held = [run.get("held_out") for run in document["runs"]]
    counts = [run.get("examples") for run in document["runs"]]
    if by == "held_out":
        counts = [row["examples"] for row in held if row is not None]
    known = sorted({count for count in counts if count is not None})
    if not known:
        return "judged on held-out examples" if by == "held_out" else ""
    many = f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"
    examples = "example" if known == [1] else "examples"
    if by == "held_out" and (anew := document.get("judgement")) is not None:
        return f"judged on {many} {examples} of {one_line(anew['data'])}"
    return f"judged on {many} {DATA[by]} {examples}"


def _gap(held_out: float | None, training: float | None) -> float | None:
    return None if held_out is None or training is None else held_out - training


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return mean(known) if known else None
