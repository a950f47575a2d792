"""Equal budgets: who is asked for what, what samplers are told, what is found again, and what is shown of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess
from line_problem import LINE

from cpd.run import tuning
from cpd.run.spaces import MethodSpace
from cpd.run.watching import announced
from cpd.samplers.space import Choice, Interval, Point, Space, Told
from cpd.spec.reader import load_task

SPEC = """\
problem: line.py:Line
objective: f
constraints: {x: "<= 1"}
train: {steps: 5, optimizer: {name: SGD, lr: 0.5}, dtype: float64}
seeds: 0:3
methods:
  penalized: [{coefficient: 0}, {coefficient: {min: 0.1, max: 1000, num: 5, scale: log}}]
  lagrangian: {dual_lr: 2}
"""


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    made = InProcess(tmp_path, monkeypatch, capsys)
    made.write("line.py", LINE)
    made.write("line.yaml", SPEC)
    return made


def document(cpd: InProcess, *words: str, rc: int = 0) -> Any:
    done = cpd("compare", "line.yaml", "--format", "json", "--engine", "eager", *words)
    assert done.rc == rc, done.stderr
    return json.loads(done.stdout)


class Scripted:
    """Proposes 10 values of c, in order, and remembers what it is told."""

    learns = True
    made: list["Scripted"] = []  # noqa: RUF012

    def __init__(self, word: str, space: Space, seed: str) -> None:
        assert word == "tpe"
        self.space, self.seed = space, seed
        self.asked: list[int] = []
        self.told: list[Told] = []
        self.made.append(self)

    def propose(self, count: int) -> list[Point]:
        self.asked.append(count)
        k = next((k for k, block in enumerate(self.space) if block.parts), None)
        if k is None:
            return [Point(0, ())]
        return [Point(k, (("coefficient", float(c)),)) for c in range(len(self.told), len(self.told) + count)]

    def observe(self, told: Sequence[Told]) -> None:
        self.told += told


def test_a_sampler_is_asked_in_rounds_and_told_what_came_of_each_point(
    cpd: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setattr(Scripted, "made", [])
    monkeypatch.setattr(tuning, "sampler", Scripted)
    found = document(cpd, "--budget", "5", "--sampler", "tpe", "--parallel", "2")
    penalized = [one for one in Scripted.made if "penalized" in one.seed]
    assert len({one.seed for one in Scripted.made}) == 6
    assert [one.asked for one in penalized] == [[2, 2, 1]] * 3
    for one in penalized:
        assert [told.point.values[0][1] for told in one.told] == [0, 1, 2, 3, 4]
        assert [told.objective for told in one.told] == pytest.approx([0, 0.25, 1, 2.25, 4])
        beyond = [told.violations[0] for told in one.told]
        assert beyond == pytest.approx([1, 0.5, 0, -0.5, -1], abs=0.0011)  # less the tolerance of 0.001
        assert beyond[2] <= 0 < beyond[1]
    row = found["budget"]["methods"][0]
    # Feasible are c = 2, 3 and 4, with f = 1, 2.25 and 4; the multiplier's is 1 too.
    assert row["trainings_to_first_useful"]["each"] == [3, 3, 3]
    assert row["steps_to_first_useful"]["each"] == [15, 15, 15]
    assert row["distance"]["each"] == pytest.approx([0, 0, 0], abs=1e-3)
    assert found["budget"]["methods"][1]["trainings"] == 1  # a method without a grid has one setting


def test_of_what_blew_up_a_sampler_is_told_that_it_failed(cpd: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is x <- 2 - c x: after 60 of them x^2 is c^120, beyond any sensible size from c = 2 on, though finite."""
    pytest.importorskip("optuna")
    monkeypatch.setattr(Scripted, "made", [])
    monkeypatch.setattr(tuning, "sampler", Scripted)
    cpd.write("line.py", LINE.replace('{"x": model.x}', '{"x": model.x**2}'))
    cpd.edit("line.yaml", "steps: 5", "steps: 60")
    words = ("--budget", "4", "--sampler", "tpe", "--seeds", "0", "--method", "penalized")
    for _ in range(2):  # of what is found in the store as of what was trained
        found = document(cpd, *words)
        assert [run["status"] for run in found["runs"]] == ["completed"] * 4
        told = Scripted.made[-1].told
        assert [one.objective for one in told] == [pytest.approx(0), pytest.approx(4), None, None]
        assert [len(one.violations) for one in told] == [1, 1, 0, 0]


@pytest.mark.parametrize("sampler", ["random", "grid", "tpe"])
def test_the_same_again_trains_nothing_and_shows_the_same(cpd: InProcess, sampler: str) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna")
    words = ("--budget", "6", "--sampler", sampler)
    first = document(cpd, *words)
    rows = [run for run in first["runs"] if run["method"] == "penalized"]
    assert [run["seed"] for run in rows] == [0] * 6 + [1] * 6 + [2] * 6
    assert len({(run["seed"], run["setting"]["coefficient"]) for run in rows}) == 18
    assert {run["seed"]: run["setting"] for run in first["runs"]}.keys() == {0, 1, 2}
    orders = {tuple(run["setting"]["coefficient"] for run in rows if run["seed"] == seed) for seed in range(3)}
    assert len(orders) == 3  # each seed has settings of its own
    assert {tuple(sorted(order)) for order in orders if sampler == "grid"} <= {(0, 0.1, 1, 10, 100, 1000)}
    again = cpd("compare", "line.yaml", "--format", "json", "--engine", "eager", *words)
    assert "21 of these trainings found in the store" in again.stderr
    assert json.loads(again.stdout) == first
    assert json.loads(cpd("show", "--format", "json").stdout) == first
    more = document(cpd, "--budget", "7", "--sampler", sampler)  # a larger budget begins as the smaller one
    assert [run for run in more["runs"] if run["id"] in {own["id"] for own in first["runs"]}] == first["runs"]


def test_what_is_to_come_is_counted_and_nothing_trained(cpd: InProcess) -> None:
    words = ("compare", "line.yaml", "--engine", "eager", "--dry-run", "--format", "json")
    found = json.loads(cpd(*words, "--budget", "20", "--sampler", "grid").stdout)
    assert [(row["settings"], row["runs"], row["stored"]) for row in found["methods"]] == [(6, 18, 0), (1, 3, 0)]
    document(cpd, "--budget", "4")
    found = json.loads(cpd(*words, "--budget", "6").stdout)
    assert [(row["settings"], row["runs"], row["stored"]) for row in found["methods"]] == [(6, 18, 12), (1, 3, 3)]
    assert found["to_train"] == 6


def test_a_file_has_a_budget_and_a_sweep_spends_it(cpd: InProcess) -> None:
    cpd.edit("line.yaml", "seeds: 0:3", "seeds: 0\nbudget: 3")
    done = cpd("sweep", "line.yaml", "--set", "budget.sampler=grid", "--engine", "eager")
    said = "line: penalized, lagrangian; 3 trainings of 5 steps for each method and seed, chosen by random"
    assert announced(load_task("line.yaml")) == said
    assert "; 3 trainings a method, chosen by grid; useful: f up to the best of all methods + 5 %" in " ".join(
        done.stdout.split()
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sampler", "tpe"), "cpd: --sampler: how many trainings?; add --budget 20"),
        (("--parallel", "2"), "cpd: --parallel: how many trainings?; add --budget 20"),
        (("--set", "budget.sampler=tpe"), "cpd: --set budget.sampler: how many trainings?; add --budget 20"),
        (("--set", "budget.trainings=1.5"), "cpd: --set budget.trainings: expected an integer >= 1, got 1.5"),
        (
            ("--budget", "100000"),
            "cpd: --budget: makes 600,000 runs; at most 100,000; give a smaller budget, or raise --max-runs",
        ),
    ],
)
def test_what_is_no_budget_is_refused_in_a_line(cpd: InProcess, words: tuple[str, ...], message: str) -> None:
    done = cpd("compare", "line.yaml", *words)
    assert (done.rc, done.stderr.strip(), done.stdout) == (2, message, "")


GRIDS = """\
problem: line.py:Line
arguments: {depth: {min: 1, max: 9, num: 3}}
constraints: {x: "<= 1", y: "== 0"}
train: {steps: 5, optimizer: {name: SGD, lr: {min: 0.1, max: 0.5, num: 2, scale: log}}, batch_size: {values: [8, all]}}
methods:
  penalized: [{coefficient: {values: [0, [1, 2]]}}, {coefficient: {min: 1, max: 2, num: 1}}]
  augmented_lagrangian:
    dual_lr: 0.1
    penalty: {min: 1, max: 10, num: 3}
    growth: {factor: {min: 2, max: 8, num: 3, scale: log}, every: {min: 1, max: 9, num: 3}}
"""


def test_ranges_are_intervals_and_lists_choices_wherever_they_stand(cpd: InProcess) -> None:
    cpd.write("line.py", LINE.replace("def model", "def __init__(self, depth):\n        pass\n\n    def model"))
    cpd.write("line.yaml", GRIDS)
    task = load_task("line.yaml")
    lr, batch, depth = "train.optimizer.lr", "train.batch_size", "arguments.depth"
    common = {lr: Interval(0.1, 0.5, log=True), batch: Choice(2), depth: Interval(1, 9, whole=True)}
    first, second = MethodSpace(task, "penalized").space
    assert first.parts == {"coefficient": Choice(2), **common}
    assert (second.parts, first.weight, second.weight) == (common, 2, 1)
    space = MethodSpace(task, "augmented_lagrangian")
    assert space.space[0].parts == {
        "penalty": Interval(1, 10),
        "growth.factor": Interval(2, 8, log=True),
        "growth.every": Interval(1, 9, whole=True),
        **common,
    }
    numbers = {"penalty": 3.5, "growth.factor": 4.25, "growth.every": 7, lr: 0.25, batch: 1, depth: 4}
    assert space.setting(Point(0, tuple(numbers.items()))) == {
        "dual_lr": 0.1,
        "penalty": 3.5,
        "growth": {"factor": 4.25, "every": 7},
        lr: 0.25,
        batch: "all",
        depth: 4,
    }


BY_CONSTRAINT = """\
problem: line.py:Line
constraints: {x: "<= 1", y: "== 0", rate.low: "<= 1", rate.high: "<= 1"}
train: {steps: 5, optimizer: {name: SGD, lr: 0.5}}
methods:
  penalized: {coefficient: {rate.*: {min: 0.1, max: 10, num: 3, scale: log}, y: {values: [0, 2]}, "*": 7}}
  lagrangian:
    dual_lr: [{min: 1, max: 9, num: 3}, 0.5, {values: [3, 4]}, 0.5]
    multiplier_init: {y: {min: -1, max: 1, num: 3}}
    multiplier_max: {x: {values: [none, 5]}}
"""


def test_each_constraint_with_a_grid_of_its_own_is_a_dimension(cpd: InProcess) -> None:
    cpd.write("line.yaml", BY_CONSTRAINT)
    task = load_task("line.yaml")
    space = MethodSpace(task, "penalized")
    assert space.space[0].parts == {
        "coefficient.rate.*": Interval(0.1, 10, log=True),  # those of a pattern share one
        "coefficient.y": Choice(2),
    }
    point = Point(0, (("coefficient.rate.*", 0.25), ("coefficient.y", 1)))
    assert space.setting(point) == {"coefficient": [7, 2, 0.25, 0.25]}
    space = MethodSpace(task, "lagrangian")
    assert space.space[0].parts == {
        "dual_lr.0": Interval(1, 9),
        "dual_lr.2": Choice(2),
        "multiplier_init.y": Interval(-1, 1),
        "multiplier_max.x": Choice(2),
    }
    numbers = {"dual_lr.0": 2.5, "dual_lr.2": 1, "multiplier_init.y": -0.5, "multiplier_max.x": 1}
    setting = space.setting(Point(0, tuple(numbers.items())))
    assert setting["dual_lr"] == [2.5, 0.5, 4, 0.5]
    assert setting["multiplier_init"] == [0, -0.5, 0, 0]
    assert setting["multiplier_max"] == [5, "none", "none", "none"]


@pytest.mark.parametrize("sampler", ["random", "grid", "tpe"])
def test_coefficients_by_constraint_are_tuned_and_found_again(cpd: InProcess, sampler: str) -> None:
    """Two constraints on one x: the coefficients add up, and c = 2 is the first feasible sum."""
    if sampler == "tpe":
        pytest.importorskip("optuna")
    cpd.write("line.py", LINE.replace('{"x": model.x}', '{"x": model.x, "y": model.x}'))
    cpd.edit("line.yaml", '{x: "<= 1"}', '{x: "<= 1", y: "<= 1"}')
    grids = "{x: {min: 1, max: 2, num: 3}, y: {values: [0, 1]}}"
    cpd.edit(
        "line.yaml",
        "[{coefficient: 0}, {coefficient: {min: 0.1, max: 1000, num: 5, scale: log}}]",
        "{coefficient: " + grids + "}",
    )
    found = document(cpd, "--budget", "6", "--sampler", sampler, "--parallel", "2", "--seeds", "0")
    settings = [run["setting"]["coefficient"] for run in found["runs"] if run["method"] == "penalized"]
    assert len({tuple(one) for one in settings}) == 6
    assert all(1 <= x <= 2 and y in (0, 1) for x, y in settings)
    for run in found["runs"][:6]:
        assert run["objective"] == pytest.approx((sum(run["setting"]["coefficient"]) / 2) ** 2)
    assert document(cpd, "--budget", "6", "--sampler", sampler, "--parallel", "2", "--seeds", "0") == found
