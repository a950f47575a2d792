"""Columns of residuals and of slopes, in tables and in data."""

import csv
import io
import json
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from cpd.outcome import ConstraintOutcome, Kkt, Run, RunKey, Status
from cpd.verdict.document import Document
from cpd.verdict.judgement import judge
from cpd.views.tables.render import render, text
from cpd.views.tables.shape import Shape


def document(of: str = "strict", seeds: int = 1, old: bool = False) -> Document:
    """Two levels, the second of which does not settle; its multiplier is not what the levels cost."""
    bound = SimpleNamespace(level=1.0, sense="<=", tolerance=1e-3)
    task: Any = SimpleNamespace(
        name="t", objective="f", constraints={"g": bound}, train=SimpleNamespace(dtype="float64")
    )
    runs = []
    for level in (1.0, 2.0):
        for seed in range(seeds):
            kkt = Kkt(0.001 * level * (1 + seed), 0.0, 0.0, 0.25, of, level == 1)
            key = RunKey("lagrangian", {"dual_lr": 0.1}, {"g": level}, seed)
            outcome = ConstraintOutcome(level, level, 3.0, [level] * 10)
            run = Run(key, Status.COMPLETED, 7 - level, {"g": outcome}, {}, 10, 1.0, kkt=None if old else kkt)
            runs.append(run)
    return judge(task, runs)


def shown(of: Document, *further: str, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    render(of, "table", console, shape=Shape(columns=further))
    found: Any = console.file
    return str(found.getvalue())


def test_residuals_stand_in_the_table_where_they_are_asked_for() -> None:
    table = shown(document(), "kkt")
    assert [line.split()[-5:] for line in table.splitlines() if line.lstrip().startswith(("1  ", "2  "))] == [
        ["0", "0", "0.25", "yes", "[1]"],
        ["0", "0", "0.25", "no", "[1]"],
    ]
    assert "stationarity" not in shown(document())
    assert "surrogate" in shown(document("surrogate"), "kkt").partition("\n---")[0].partition("----")[0]
    assert "1/" not in table
    several = shown(document(seeds=2), "kkt")
    assert "2/2" in several
    assert "0.004" in several, "the largest over the seeds"


def test_residuals_stay_where_the_terminal_is_narrow() -> None:
    assert "stationarity" in shown(document(), "kkt", width=80)
    narrow = shown(document(seeds=2), "kkt", width=72)
    assert "stationarity" in narrow
    assert max(map(len, narrow.splitlines())) <= 72


def test_slopes_stand_beside_each_other_and_a_note_says_why_they_differ() -> None:
    table = shown(document())
    lines = [line.split() for line in table.splitlines() if line.lstrip().startswith(("1  ", "2  "))]
    assert [(line[4], line[5]) for line in lines] == [("-3.000", "-1.000")] * 2
    assert "only at a solution is it a price" in " ".join(table.split())
    assert "the price of the surrogate's level" in " ".join(shown(document("surrogate")).split())
    assert "dF/dlevel" in text(document(), "markdown")


def test_data_has_all_of_it_and_old_runs_have_none() -> None:
    (first, *_) = csv.DictReader(io.StringIO(text(document(), "csv")))
    assert (first["kkt.stationarity"], first["kkt.of"], first["kkt.stationary"]) == ("0.001", "strict", "true")
    assert float(first["constraints.g.sensitivity.measured"]) == -1
    assert "kkt" not in next(csv.reader(io.StringIO(text(document(old=True), "csv"))))
    assert [run["kkt"] for run in json.loads(text(document(old=True), "json"))["runs"]] == [None, None]
    assert "-" in shown(document(old=True), "kkt")
