"""Programs that are ended before their end: far from their level, or behind others."""

import json
from pathlib import Path
from typing import Any

import pytest
from program_tasks import refused, sweep, write_task

from cpd.external.giving_up import BEHIND, FAR, Halving, Watcher, standing
from cpd.outcome import RunKey, Status
from cpd.spec.models import Constraint
from cpd.spec.pruning import Prune

BOUND = {"density": Constraint(level=0.5, sense="<=", tolerance=0.01)}


def points(folder: Path, *values: Any, every: int = 1, **more: Any) -> Path:
    lines = [{"step": every * (k + 1), "loss": 1.0, "density": value, **more} for k, value in enumerate(values)]
    folder.mkdir(exist_ok=True)
    (folder / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def key(method: str = "penalized", **setting: Any) -> RunKey:
    return RunKey(method, setting or {"coefficient": 1}, {"density": 0.5}, 0, "c1:1")


def looked(
    folder: Path, one: RunKey | None = None, bounds: Any = BOUND, prune: Prune | None = None, steps: Any = 20
) -> Any:
    return Watcher(one or key(), "loss", bounds, prune or Prune(), steps=steps).look(folder)


def test_what_stands_far_from_its_level_is_given_up(tmp_path: Path) -> None:
    assert looked(points(tmp_path, *[0.9] * 10)) == FAR
    assert looked(points(tmp_path, *[0.9] * 9)) is None, "before half of the steps"
    assert looked(points(tmp_path, *[0.59] * 10)) is None, "within ten tolerances"
    assert looked(points(tmp_path, *[0.1] * 10)) is None, "on the right side"
    assert looked(points(tmp_path, *[0.1] * 10), prune=Prune("density", both_sides=True)) == FAR
    assert looked(points(tmp_path, *[0.9] * 10), steps=None) is None, "nobody says how many steps there will be"
    assert looked(points(tmp_path, *[0.9] * 10, steps=20), steps=None) == FAR


def test_what_is_on_its_way_is_not(tmp_path: Path) -> None:
    falling = [0.9 - 0.02 * k for k in range(10)]  # 0.72 at the last of them, 10 points are left
    assert looked(points(tmp_path, *falling)) is None
    slowly = [0.9 - 0.005 * k for k in range(10)]  # 0.855; twice its pace is 0.1 in what is left
    assert looked(points(tmp_path, *slowly)) == FAR


def test_senses_and_components(tmp_path: Path) -> None:
    atleast = {"density": Constraint(level=0.5, sense=">=", tolerance=0.01)}
    equal = {"density": Constraint(level=0.5, sense="==", tolerance=0.01)}
    assert looked(points(tmp_path, *[0.1] * 10), bounds=atleast) == FAR
    assert looked(points(tmp_path, *[0.9] * 10), bounds=atleast) is None
    assert looked(points(tmp_path, *[0.1] * 10), bounds=equal) == FAR
    assert looked(points(tmp_path, *[[0.1, 0.9]] * 10)) == FAR
    assert looked(points(tmp_path, *[[0.1, 0.2]] * 10)) is None
    assert looked(points(tmp_path, *[{"hits": 9, "of": 10}] * 10)) == FAR
    assert looked(points(tmp_path, *[None, "x"] * 5)) is None


@pytest.mark.parametrize(
    ("one", "gives_up"),
    [
        (key(), True),
        (key("mine", weight=1), True),
        (key("lagrangian", dual_lr=0.1), False),
        (key("mine", dual_lr=0.1), False),
        (key("quadratic_penalty", coefficient=1), True),
        (key("quadratic_penalty", coefficient=1, growth=2), False),
    ],
)
def test_only_fixed_penalties_are_given_up(tmp_path: Path, one: RunKey, gives_up: bool) -> None:
    assert (looked(points(tmp_path, *[0.9] * 10), one) == FAR) is gives_up
    assert looked(points(tmp_path, *[0.9] * 10, multipliers={"density": 1}), one) is None


def halved(folder: Path, name: int, *values: float, loss: float = 1.0, factor: int = 3) -> Any:
    own = RunKey("m", {"c": name}, {"density": 0.5}, 0, f"c1:{name}")
    more: dict[str, Any] = {"loss": loss}
    place = points(folder / str(name), *values, **more)
    return Watcher(own, "loss", BOUND, halving=Halving(factor, str(folder / "record"))).look(place)


def test_of_n_runs_at_a_rung_a_third_goes_on(tmp_path: Path) -> None:
    losses = [5.0, 4.0, 6.0, 3.0, 7.0, 4.5, 3.5, 2.0, 9.0]
    told = [halved(tmp_path, k, *[0.1] * 3, loss=loss) for k, loss in enumerate(losses)]
    #          best of 1, best of 2, no, best of 4, no, 4th of 6, 2nd of 7 (two go on), 1st, no
    assert told == [None, None, BEHIND, None, BEHIND, BEHIND, None, None, BEHIND]


def test_feasible_runs_come_first(tmp_path: Path) -> None:
    assert halved(tmp_path, 1, *[0.9] * 3, loss=0.0) is None
    assert halved(tmp_path, 2, *[0.5] * 3, loss=9.0) is None
    assert halved(tmp_path, 3, *[0.6] * 3, loss=1.0) == BEHIND
    found = standing(str(tmp_path / "record"), 1, [0.5])
    assert found["c1:2"] == [0.0, 9.0]


def test_rungs_and_what_was_written_down_before(tmp_path: Path) -> None:
    assert halved(tmp_path, 1, 0.1, 0.1) is None
    assert not (tmp_path / "record").exists()
    assert halved(tmp_path, 1, *[0.1] * 9, loss=1.0) is None
    assert [len(standing(str(tmp_path / "record"), rung, [0.5])) for rung in (1, 2, 3)] == [1, 1, 0]
    assert halved(tmp_path, 2, *[0.1] * 9, loss=2.0) == BEHIND
    assert halved(tmp_path, 2, *[0.1] * 9, loss=0.0) == BEHIND, "it stands as it stood when it came to the rung"
    with (tmp_path / "record").open("a") as file:
        file.write('{"run": "c1:9", "ru')
    assert len(standing(str(tmp_path / "record"), 1, [0.5])) == 2


PROGRAM = """\
import sys, time, cpd
c = float(sys.argv[1])
for step in range(1, 41):
    cpd.log(step, loss=c, density=0.9 if c < 1 else 0.1, steps=40)
    time.sleep(0.05)
cpd.result(loss=c, density=0.9 if c < 1 else 0.1)
"""


def test_a_program_is_ended_with_prune(tmp_path: Path) -> None:
    bad, good = sweep(write_task(tmp_path, PROGRAM, values="0.1, 1"), prune=True)
    assert (bad.status, good.status) == (Status.PRUNED, Status.COMPLETED)
    assert bad.error == FAR
    assert bad.curves is not None
    assert bad.steps < 40


def test_programs_are_ended_with_halving(tmp_path: Path) -> None:
    runs = sweep(write_task(tmp_path, PROGRAM, values="1, 2, 3"), halving=3)
    assert [run.status for run in runs] == [Status.COMPLETED, Status.PRUNED, Status.PRUNED]
    assert runs[1].error == BEHIND
    again = sweep(tmp_path / "task.yaml", halving=3)
    assert [run.status for run in again] == [run.status for run in runs]


def test_a_function_is_ended_where_it_records(tmp_path: Path) -> None:
    body = PROGRAM.replace("c = float(sys.argv[1])", "").replace("cpd.result(", "return dict(")
    lines = body.splitlines()
    inner = "\n".join(f"    {line}" for line in lines[1:])
    (tmp_path / "mine.py").write_text(f"{lines[0]}\ndef train(setting):\n    c = setting['coefficient']\n{inner}\n")
    (tmp_path / "task.yaml").write_text(
        "problem: mine.py:train\nobjective: loss\nconstraints: {density: '<= 0.5'}\n"
        "methods: {penalized: {coefficient: {values: [0.1, 1]}}}\n"
    )
    bad, good = sweep(tmp_path / "task.yaml", prune=True)
    assert (bad.status, bad.error, good.status) == (Status.PRUNED, FAR, Status.COMPLETED)


def test_halving_is_of_programs_in_sweeps(tmp_path: Path) -> None:
    from cpd.errors import CpdError
    from cpd.run import commands
    from cpd.run.options import Options

    path = write_task(tmp_path, PROGRAM, more="search: {target: 0.5}\n")
    assert "a search needs the value of every training" in refused(path, halving=3)
    with pytest.raises(CpdError, match="is for programs, and the task has a problem"):
        commands.sweep("rate", options=Options(keep=False, halving=2))
