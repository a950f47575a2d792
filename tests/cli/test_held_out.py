"""Held-out verdicts through the command line: stored, judged again either way, searched, drawn, exported."""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest
from command_line import InProcess

import cpd

SPLIT = ("--set", "held_out={share: 0.25, seed: 2}")
ASKED = ("sweep", "mine.yaml", *SPLIT, "--set", "train.measure_every=1 epoch", "--levels", "g=0.32")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def printed(command: InProcess, *arguments: str, rc: tuple[int, ...] = (0, 3)) -> dict[str, Any]:
    done = command(*arguments, "--format", "json")
    assert done.rc in rc, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def feasible(document: dict[str, Any]) -> list[bool]:
    return [run["feasible"] for run in document["runs"]]


def by_hand(document: dict[str, Any], held_out: bool) -> list[bool]:
    parts = [run["held_out"] if held_out else run for run in document["runs"]]
    return [part["constraints"]["g"]["value"] <= 0.32 + 1e-3 for part in parts]


def test_a_stored_sweep_is_judged_again_either_way(command: InProcess) -> None:
    document = printed(command, *ASKED)
    assert document["judge"] == "held_out"
    assert [(run["examples"], run["held_out"]["examples"]) for run in document["runs"]] == [(6, 2)] * 4
    assert feasible(document) == by_hand(document, held_out=True)
    assert printed(command, "show") == document
    other = printed(command, "show", "--judge", "training")
    assert other["judge"] == "training"
    assert feasible(other) == by_hand(document, held_out=False) != feasible(document)
    beside, judged = (printed["runs"][0]["held_out"] for printed in (other, document))
    sure = {name: judged["constraints"]["g"].pop(name) for name in ("interval", "verdict")}
    assert beside == judged
    judged["constraints"]["g"] |= sure
    measured = document["runs"][0]["curves"]["measured"]
    assert measured["held_out"]["objective"][-1] == document["runs"][0]["held_out"]["objective"]
    # What decides moves no id: all is found, and the sweep remembers it.
    again = command(*ASKED, "--judge", "training", "--format", "json")
    assert again.stderr == "4 of 4 runs found in the store, 0 to do\n"
    assert json.loads(again.stdout) == other
    assert printed(command, "show") == other
    assert printed(command, "show", "--judge", "held_out") == document
    assert [
        run.held_out.examples
        for run in cpd.sweep("mine.yaml", options=cpd.Options(judge="training")).finished
        if run.held_out
    ] == []


def test_tables_show_both_and_the_gap_in_80_columns(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = command(*ASKED, "--method", "lagrangian").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "judged on 2 held-out examples" in " ".join(" ".join(lines[:2]).split())
    header = next(k for k, line in enumerate(lines) if line.startswith("-"))
    assert " ".join(lines[header - 1].split()) == "dual_lr feasible held-out gap held-out training gap"
    judged = command("show", "--judge", "training").stdout.splitlines()[:2]
    assert "judged on 6 training examples" in " ".join(" ".join(judged).split())
    marked = command("show", "--format", "markdown").stdout
    assert all(f"| {name} " in " ".join(marked.split()) for name in ("error held-out", "error training", "error gap"))


def test_a_search_goes_by_the_value_that_decides(command: InProcess) -> None:
    search = ("bisect", "mine.yaml", *SPLIT, "--target-g", "0.5", "--tolerance", "1e-3", "--set", "train.steps=40")
    found = printed(command, *search)
    assert found["judge"] == "held_out"
    best = min(found["search"]["iterations"], key=lambda i: abs(i["value"] - 0.5))
    (run,) = (r for r in found["runs"] if r["setting"]["coefficient"] == best["coefficient"])
    assert (best["value"], best["objective"]) == (
        run["held_out"]["constraints"]["g"]["value"],
        run["held_out"]["objective"],
    )
    assert found["search"]["outcome"] == "solved"
    other = printed(command, "show", "--judge", "training")
    assert [i["value"] for i in other["search"]["iterations"]] == [
        r["constraints"]["g"]["value"] for r in found["runs"]
    ]
    assert other["search"]["outcome"] == "out_of_budget"
    own = printed(command, *search, "--judge", "training")
    assert own["search"]["outcome"] == "solved"
    assert [i["coefficient"] for i in own["search"]["iterations"]][2:] != [
        i["coefficient"] for i in found["search"]["iterations"]
    ][2:]
    assert "g held-out" in command(*search, "--format", "markdown").stdout


def test_tables_in_files_have_both(command: InProcess) -> None:
    document = printed(command, *ASKED)
    assert command("export", "last", "--to", "runs.csv").rc == 0
    assert command("export", "last", "--to", "points.csv", "--curves").rc == 0
    assert command("export", "last", "--to", "other.csv", "--judge", "training").rc == 0
    runs, points, other = (pandas.read_csv(f"{name}.csv") for name in ("runs", "points", "other"))
    held = [run["held_out"]["constraints"]["g"]["value"] for run in document["runs"]]
    assert runs["held_out.constraints.g.value"].tolist() == pytest.approx(held)
    assert runs["feasible"].tolist() != other["feasible"].tolist()
    assert points["measured.held_out.objective"].notna().sum() == 3 * 4


def test_there_must_be_something_to_judge(command: InProcess) -> None:
    fix = "add held_out: 0.2, or write held_out(self) in the problem"
    done = command("sweep", "mine.yaml", "--judge", "held_out")
    assert (done.rc, done.stderr) == (2, f"cpd: --judge: there are no held-out examples; {fix}\n")
    command.write("judging.yaml", "task: mine.yaml\njudge: held_out\n")
    done = command("sweep", "judging.yaml")
    assert (done.rc, done.stderr) == (2, f"cpd: judging.yaml: judge: there are no held-out examples; {fix}\n")
    assert command("sweep", "mine.yaml").rc == 0
    done = command("show", "--judge", "held_out")
    assert done.rc == 2
    assert done.stderr.startswith("cpd: --judge: no run of the sweep was measured on held-out examples; ")
    done = command("sweep", "mine.yaml", "--set", "held_out=0.01")
    assert (done.rc, done.stderr.count("\n")) == (2, 1)
    assert "--set held_out: a share of 0.01 of 8 examples is none" in done.stderr
    done = command("sweep", "mine.yaml", "--set", "held_out.share=0.5", "--set", "held_out.stratify=3")
    assert "cpd: --set held_out.stratify: the data has no entry 3; it has: 0" in done.stderr


@pytest.mark.slow
def test_workers_and_views_see_the_same(command: InProcess) -> None:
    document = printed(command, *ASKED)
    assert feasible(printed(command, *ASKED, "--fresh", "--jobs", "2")) == feasible(document)
    for kind in ("tuning", "front", "dynamics"):
        for by in ("training", "held_out"):
            assert command("plot", "last", "--kind", kind, "--judge", by, "--to", f"{kind}.svg").rc == 0
            labelled = "held-out" in Path(f"{kind}.svg").read_text()
            assert labelled == (by == "held_out") or kind == "dynamics"
    assert command("report", "last", "--to", "page.html").rc == 0
    assert "judged on 2 held-out examples" in Path("page.html").read_text()
