"""Which iterate was judged: said where it is not the last one, once where it is the same in all rows."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
import sample_documents as samples

from cpd.outcome import Run
from cpd.verdict.judgement import judge
from cpd.views.tables.headline import subtitle
from cpd.views.tables.render import sections, text


def run(dual_lr: float, seed: int = 1, **judged: Any) -> Run:
    made = samples.rate_run("lagrangian", {"dual_lr": dual_lr}, judged.pop("rate", 0.75), 0.5)
    return replace(made, key=replace(made.key, seed=seed), **judged)


def said(*runs: Run) -> tuple[str | None, list[str] | None]:
    """The words above the table, and the column."""
    document = judge(samples.task(), runs)
    words = [part for part in subtitle(document).split("; ") if part.startswith("judged")]
    columns = [list(c.cells) for c in sections(document)[0].columns if c.name == "iterate"]
    return (words[0] if words else None), (columns[0] if columns else None)


MIXTURE = ((120, 0.25), (400, 0.75))


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run(1), run(2)], (None, None)),
        ([run(1, averaged=0.1), run(2, averaged=0.1)], ("judged: mean of last 10 %", None)),
        (
            [run(1, averaged=0.1), run(2, averaged=0.025)],
            ("judged: mean of last 2.5 to 10 %", ["mean of last 10 %", "mean of last 2.5 %"]),
        ),
        ([run(1, selected_step=1200)], ("judged: best feasible at 1,200", None)),
        (
            [run(1, selected_step=50), run(2, selected_step=80, rate=0.5)],
            ("judged: best at 50 to 80", ["best feasible at 50", "best at 80"]),
        ),
        ([run(1, seed=s, selected_step=10 * s) for s in (3, 1, 2)], ("judged: best feasible at 10 to 30", None)),
        ([run(1, mixture=MIXTURE), run(2, mixture=MIXTURE)], ("judged: mixture of 2", None)),
        (
            [run(1, mixture=MIXTURE), run(2, mixture=((5, 1.0),)), run(3)],
            (None, ["mixture of 2", "mixture of 1", "last"]),
        ),
    ],
)
def test_what_was_judged_is_said(runs: list[Run], expected: tuple[str | None, list[str] | None]) -> None:
    assert said(*runs) == expected


def test_shares_and_steps_are_in_the_data() -> None:
    document = judge(samples.task(), [run(1, mixture=MIXTURE), run(2, averaged=0.1), run(3)])
    first, second, third = document["runs"]
    assert first["mixture"] == [{"step": 120, "share": 0.25}, {"step": 400, "share": 0.75}]
    assert second["averaged"] == 0.1
    assert not {"mixture", "averaged"} & {*third}
    rows = list(csv.DictReader(io.StringIO(text(document, "csv"))))
    assert [row["mixture"] for row in rows] == ["0.25 at 120, 0.75 at 400", "", ""]
    assert [row["averaged"] for row in rows] == ["", "0.1", ""]
