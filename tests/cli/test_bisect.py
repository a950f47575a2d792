"""Searches from the command line to the printed line: every outcome, several constraints and seeds, names and units."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess

PROBLEM = '''\
import torch

import cpd


class Line(cpd.Problem):
    """min (x - 2)^2 + c * value: x = 2 - c / 2, and value = scale * (x + the seed's own shift)."""

    def __init__(self, scale=1.0, shift=0.0, name="g", hump=False, lost=(), other="", metric=""):
        self.scale, self.shift, self.name, self.hump = scale, shift, name, hump
        self.lost, self.other, self.metric = lost, other, metric

    def model(self):
        model = torch.nn.Module()
        model.x = torch.nn.Parameter(torch.zeros(()))
        drawn = torch.randn(())
        model.register_buffer("shift", self.shift * drawn)
        bad = torch.initial_seed() in self.lost
        model.register_buffer("spoilt", torch.tensor(float("nan") if bad else 0.0))
        return model

    def evaluate(self, model, batch):
        x = model.x
        value = self.scale * (x + model.shift)
        strict = {self.name: 1 - (x - 1) ** 2} if self.hump else {}
        constraints = {self.name: value}
        if self.other:
            constraints[self.other] = torch.stack([-x, x])
        metrics = {self.metric: 7 + 0 * x} if self.metric else {}
        return cpd.Evaluation((x - 2) ** 2 + model.spoilt, constraints, strict=strict, metrics=metrics)
'''

SPEC = """\
problem: line.py:Line
arguments: {%s}
objective: f
constraints: {%s}
train: {steps: 20, optimizer: {name: SGD, lr: 0.4}, dtype: %s}
search: {%s}
"""


class Bisect:
    """Writes a task and searches it."""

    def __init__(self, cpd: InProcess) -> None:
        self.cpd = cpd
        cpd.write("line.py", PROBLEM)

    def write(self, search: str, constraints: str = 'g: "<= -1"', arguments: str = "", dtype: str = "float32") -> None:
        self.cpd.write("line.yaml", SPEC % (arguments, constraints, dtype, search))

    def document(self, *words: str, rc: int = 0) -> dict[str, Any]:
        done = self.cpd("bisect", "line.yaml", "--engine", "eager", "--format", "json", *words)
        assert done.rc == rc, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def table(self, *words: str) -> list[str]:
        return self.cpd("bisect", "line.yaml", "--engine", "eager", *words).stdout.splitlines()


@pytest.fixture
def bisect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bisect:
    return Bisect(InProcess(tmp_path, monkeypatch, capsys))


def cells(lines: list[str], header: str) -> dict[str, list[str]]:
    """The cells of a printed table under its header that begins so, by column; headers are parted by two spaces."""
    at = next(k for k, line in enumerate(lines) if line.split()[:1] == [header])
    rule = lines[at + 1]
    bounds, start = [], 0
    for part in rule.split("  "):
        bounds.append((start, start + len(part)))
        start += len(part) + 2
    rows = [line for line in lines[at + 2 :] if line.strip()]
    rows = rows[: next((k for k, row in enumerate(rows) if not row.strip()[0].isdigit()), len(rows))]
    return {lines[at][a:b].strip(): [row[a:b].strip() for row in rows] for a, b in bounds}


# --- a straight line is no jump


@pytest.mark.parametrize(
    ("strategy", "target", "scale", "ends"),
    [
        ("bisection", -1, 1.0, "low: 0.1, high: 10"),
        ("illinois", 0, 1e9, "low: 1e-10, high: 1e-8"),
        pytest.param("illinois", -1, 1.0, "low: 0.1, high: 10", marks=pytest.mark.slow),
        pytest.param("bisection", 0, 1e9, "low: 1e-10, high: 1e-8", marks=pytest.mark.slow),
        pytest.param("bisection", 1, 1e-9, "low: 1e8, high: 1e10", marks=pytest.mark.slow),
    ],
)
def test_a_straight_line_is_solved(bisect: Bisect, strategy: str, target: int, scale: float, ends: str) -> None:
    bisect.write(
        f"target: {target * scale}, {ends}, tolerance: {1e-5 * scale}, strategy: {strategy}",
        "g: {level: 0, sense: '=='}",
        f"scale: {scale}",
    )
    search = bisect.document("--no-store")["search"]
    assert search["outcome"] == "solved"
    best = min(search["iterations"], key=lambda i: abs(i["value"] - search["target"]))
    assert best["coefficient"] * scale == pytest.approx(2 * (2 - target), rel=1e-4)
    assert (best["spread"], best["seeds"]) == (None, 1)


def test_the_printed_coefficient_names_the_same_run(bisect: Bisect) -> None:
    bisect.write("target: -1, low: 0.1, high: 10, tolerance: 1e-3")
    sentence = " ".join(" ".join(bisect.table()[-2:]).split())
    typed = sentence.split("coefficient ")[1].split()[0]
    assert sentence.startswith("solved: for g -1, ")
    more = bisect.cpd(
        "sweep", "line.yaml", "--set", "search=null", "--set", f"penalized.coefficient={typed}", "--engine", "eager",
        "--method", "penalized", "--levels", "g=-1",
    )  # fmt: skip
    assert more.stderr.startswith("1 of 1 runs found in the store"), more.stderr


# --- ends on one side


def test_a_hump_between_the_ends_is_not_bracketed(bisect: Bisect) -> None:
    bisect.write("target: 0.9, low: 0.1, high: 7", "g: '>= 0.9'", "hump: true")
    done = bisect.cpd("bisect", "line.yaml", "--engine", "eager")
    assert done.rc == 3
    last = " ".join(" ".join(done.stdout.splitlines()[-2:]).split())
    assert last.startswith("not_bracketed: g 0.9 was not reached after 2 trainings; coefficient 0.1 gives ")
    assert ", both below it." in last
    assert "lower --low below 0.1" in done.stderr
    assert "move an end there" in done.stderr
    assert bisect.document(rc=3)["search"]["outcome"] == "not_bracketed"


@pytest.mark.parametrize("lost", ["[0]", "[0, 1]"])
def test_a_low_end_that_diverged_brackets_nothing(bisect: Bisect, lost: str) -> None:
    bisect.write("target: -1, low: 0.1, high: 10", arguments=f"lost: {lost}")
    search = bisect.document(rc=3)["search"]
    assert search["outcome"] == "not_bracketed"
    assert [i["value"] for i in search["iterations"]] == [None, None]
    assert [i["seeds"] for i in search["iterations"]] == [0, 0]


def test_a_budget_of_the_two_ends(bisect: Bisect) -> None:
    bisect.write("target: -1, low: 0.1, high: 10, max_trainings: 2")
    search = bisect.document(rc=3)["search"]
    assert (search["outcome"], search["trainings"]) == ("out_of_budget", 2)


# --- every constraint


TWO = "g: '<= -1', both: {level: %s, sense: '<=', tolerance: 0.001}"


def test_a_target_met_at_the_cost_of_another_constraint_is_infeasible(bisect: Bisect) -> None:
    bisect.write("constraint: g, target: -1, low: 0.1, high: 10", TWO % 0.5, "other: both")
    done = bisect.cpd("bisect", "line.yaml", "--engine", "eager")
    assert done.rc == 3
    columns = cells(done.stdout.splitlines(), "iteration")
    assert columns["both"][0] == "violated 1.950"  # x = 1.95, the worse of -x and x
    assert columns["both"][-1].startswith("violated ")
    last = " ".join(done.stdout.split())
    assert "infeasible: for g -1, coefficient " in last
    assert ", but both does not hold there, after " in last
    assert "both <= 0.5 does not hold there" in done.stderr
    search = bisect.document(rc=3)["search"]
    assert search["outcome"] == "infeasible"
    assert search["iterations"][-1]["violated"] == ["both"]
    again = bisect.cpd("show", "last")
    assert cells(again.stdout.splitlines(), "iteration")["both"][0] == "violated 1.950"


def test_a_target_met_with_every_constraint_held_is_solved(bisect: Bisect) -> None:
    bisect.write("constraint: g, target: -1, low: 0.1, high: 10", TWO % 1.995, "other: both")
    search = bisect.document()["search"]
    assert search["outcome"] == "solved"
    broken = {i["coefficient"]: i.get("violated") for i in search["iterations"]}
    assert broken[10.0] == ["both"]  # x = -3
    assert "violated" not in search["iterations"][-1]


# --- coefficients below 0


def test_an_equality_is_searched_below_0(bisect: Bisect) -> None:
    # x = 2 - c / 2, so x == 3 needs c = -2.
    bisect.write("target: 3, low: -10, high: -0.1, tolerance: 1e-3", 'g: "== 3"')
    search = bisect.document()["search"]
    assert search["outcome"] == "solved"
    assert [i["coefficient"] for i in search["iterations"][:3]] == [-0.1, -10, -1]
    assert search["iterations"][-1]["coefficient"] == pytest.approx(-2, abs=2e-3)
    bisect.write("target: 4, low: -2, high: -0.1", 'g: "== 4"')
    assert bisect.document(rc=3)["search"]["outcome"] == "not_bracketed"


@pytest.mark.parametrize(
    ("search", "constraints", "message"),
    [
        (
            "target: 3, low: -10, high: -1",
            'g: "<= 3"',
            "search.low: -10 is out of range; write a number above 0: g is no",
        ),
        ("target: 3, low: -10, high: 1", 'g: "== 3"', "search: 0 lies between low -10 and high 1; search one side at"),
        ("target: 3, low: -1, high: -10", 'g: "== 3"', "search: low -1 is not below high -10; the search needs two"),
        ("target: 3, low: 0, high: 1", 'g: "== 3"', "search.low: 0 is out of range; write a number above 0"),
    ],
)
def test_ends_below_0_are_refused_where_they_make_no_sense(
    bisect: Bisect, search: str, constraints: str, message: str
) -> None:
    bisect.write(search, constraints)
    done = bisect.cpd("bisect", "line.yaml", "--engine", "eager")
    assert done.rc == 2
    assert message in done.stderr


def test_an_equality_that_needs_the_other_sign_is_told(bisect: Bisect) -> None:
    bisect.write("target: 3, low: 0.1, high: 10", 'g: "== 3"')
    done = bisect.cpd("bisect", "line.yaml", "--engine", "eager")
    assert done.rc == 3
    assert "An equality may need a coefficient below 0: --low -10 --high -0.1." in " ".join(done.stderr.split())


# --- several seeds


def test_the_mean_over_the_seeds_is_searched(bisect: Bisect) -> None:
    bisect.write("target: -1, low: 0.1, high: 10", arguments="shift: 0.3")
    document = bisect.document("--seeds", "0:5")
    search = document["search"]
    assert search["outcome"] == "solved"
    assert search["trainings"] == len(document["runs"]) == 5 * len(search["iterations"])
    for row in search["iterations"]:
        own = [r for r in document["runs"] if r["setting"]["coefficient"] == row["coefficient"]]
        values = [run["constraints"]["g"]["value"] for run in own]
        mean = sum(values) / 5
        assert row["value"] == pytest.approx(mean)
        assert row["spread"] == pytest.approx((sum((v - mean) ** 2 for v in values) / 4) ** 0.5)
        assert row["seeds"] == 5
    lines = bisect.table("--seeds", "0:5")
    columns = cells(lines, "iteration")
    assert columns["seeds"][-1] == "5/5"
    assert " ± " in columns["g"][-1]
    within = sum(abs(run["constraints"]["g"]["value"] + 1) < 0.01 for run in document["runs"][-5:])
    assert f"in the mean of 5 seeds ({within} of them within 0.01), after" in " ".join(" ".join(lines).split())


def test_a_seed_that_diverged_is_said_and_not_counted(bisect: Bisect) -> None:
    bisect.write("target: -1, low: 0.1, high: 10", arguments="shift: 0.3, lost: [2]")
    search = bisect.document("--seeds", "0:4", rc=3)["search"]
    assert search["outcome"] == "infeasible"
    assert {i["seeds"] for i in search["iterations"]} == {3}
    assert search["iterations"][-1]["value"] == pytest.approx(-1, abs=0.01)
    lines = bisect.table("--seeds", "0:4")
    assert cells(lines, "iteration")["seeds"][0] == "3/4"
    assert "but 1 of 4 seeds did not complete there" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize("parallel", ["1", "3"])
def test_a_search_that_was_cut_short_goes_on_with_the_same_coefficients(bisect: Bisect, parallel: str) -> None:
    bisect.write("target: -1, low: 0.1, high: 10, tolerance: 1e-4", arguments="shift: 0.3")
    words = ("--seeds", "0:2", "--parallel", parallel)
    few = bisect.document(*words, "--max-trainings", "5", rc=3)
    whole = bisect.document(*words)["search"]
    alone = bisect.document(*words, "--no-store")["search"]
    assert whole == alone
    assert whole["iterations"][: len(few["search"]["iterations"])] == few["search"]["iterations"]


# --- a vector


@pytest.mark.parametrize("words", [(), ("--jobs", "2"), ("--target-g", "1")])
def test_a_vector_is_refused_before_it_is_trained(bisect: Bisect, words: tuple[str, ...]) -> None:
    bisect.write("constraint: both, target: 1, low: 0.1, high: 10", "g: '<= 5', both: '<= 1'", "other: both")
    words = words if "--target-g" not in words else ("--target-both", "1")
    done = bisect.cpd("bisect", "line.yaml", "--engine", "eager", *words)
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr == (
        "cpd: line.yaml: search.constraint: 'both' is a vector of 2 values; search a constraint with a single value, "
        "e.g. their largest as a constraint of its own\n"
    )
    assert bisect.cpd("runs", "--format", "csv").stdout.strip() == ""


def test_a_component_is_no_constraint(bisect: Bisect) -> None:
    bisect.write("constraint: g, target: 1, low: 0.1, high: 10", "g: '<= 5', both: '<= 1'", "other: both")
    done = bisect.cpd("bisect", "line.yaml", "--target", "both[0]=1")
    assert (done.rc, done.stdout) == (2, "")
    assert "no constraint 'both[0]'" in done.stderr


COUNTED = """\
import os

import cpd.errors


def counted():
    os.calls = getattr(os, "calls", 0) + 1
    if os.calls > 60:
        raise cpd.errors.CpdError("enough")


"""


def test_a_sweep_that_is_refused_after_some_trainings_has_ended(bisect: Bisect) -> None:
    bisect.write("target: -1, low: 0.1, high: 10")
    bisect.cpd.edit("line.py", "class Line", f"{COUNTED}class Line")
    bisect.cpd.edit("line.py", "x = model.x\n", "x = model.x\n        counted()\n")
    done = bisect.cpd("bisect", "line.yaml", "--engine", "eager", "--fuse", "1", "--jobs", "1")
    assert done.rc == 2, done.stderr
    (sweep,) = json.loads(bisect.cpd("runs", "--format", "json").stdout)["sweeps"]
    assert sweep["completed"] > 0
    assert sweep["ended"] is not None


# --- names and units


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("iteration", ""),
        ("iteration", "iteration"),
        ("coefficient", "f"),
        ("f", "f"),
        ("g", "g"),
        ("seeds", "coefficient"),
    ],
)
def test_columns_of_one_name_keep_their_own_numbers(bisect: Bisect, name: str, metric: str) -> None:
    bisect.write("target: 1, low: 0.1, high: 10", f"{name}: '<= 1'", f"name: {name}, metric: '{metric}'")
    lines = bisect.table()
    shown = bisect.cpd("show", "last").stdout.splitlines()
    for text in (lines, shown):
        columns = cells(text, "iteration")
        assert len(columns) == 4 + bool(metric)
        numbers = list(columns.values())
        assert numbers[0] == ["1", "2", "3", "4", "5", "6", "7", "8", "9"][: len(numbers[0])]
        assert [float(x) for x in numbers[1][:2]] == [0.1, 10]
        assert [float(x) for x in numbers[2][:2]] == pytest.approx([1.95, -3], abs=1e-3)
        assert [float(x) for x in numbers[3][:2]] == pytest.approx([0.0025, 25], abs=1e-3)
        assert not metric or set(numbers[4]) == {"7.000"}


@pytest.mark.parametrize(
    ("name", "scale", "target", "unit"),
    [("growth_rate", 1.0, 0.5, ""), ("growth_rate", 1.0, 1.5, ""), ("growth_rate", 0.1, 0.05, " %"),
     ("growth", 0.1, 0.05, "")],
)  # fmt: skip
def test_one_rule_for_the_unit_while_it_goes_on_and_in_the_end(
    bisect: Bisect, name: str, scale: float, target: float, unit: str
) -> None:
    high = 10 if scale == 1 else 39  # at a tenth, x goes from 2 to 0.05: values from 0.2 to 0.005
    bisect.write(
        f"target: {target}, low: 0.1, high: {high}, tolerance: {0.01 * scale}",
        f"{name}: '<= {target}'",
        f"name: {name}, scale: {scale}",
    )
    lines = bisect.table()
    shown = bisect.cpd("show", "last").stdout.splitlines()
    assert name + unit in cells(lines, "iteration")
    assert name + unit in cells(shown, "iteration")
    assert (" %" in lines[0], " %" in lines[-1] + lines[-2]) == (bool(unit), bool(unit))
    assert cells(lines, "iteration")[name + unit] == cells(shown, "iteration")[name + unit]
