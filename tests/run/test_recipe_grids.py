"""Sweeps over the recipe and the arguments: batches, ids in the store, what is shown again, and searches."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpd.errors import CpdError
from cpd.outcome import Run
from cpd.results import history
from cpd.results.result import Result
from cpd.run import commands
from cpd.run.events import Event, WorkersReady
from cpd.run.options import Options
from cpd.spec.models import Search
from cpd.spec.overrides import Overrides
from cpd.store.store import open_store

LR, HIDDEN = "train.optimizer.lr", "arguments.hidden"

TASK = """
problem: line.py:Line
arguments: {hidden: 2}
constraints: {size: "<= 1"}
train: {steps: 60, optimizer: {name: SGD, lr: 0.05}}
methods: {penalized: {coefficient: {values: [0.5, 1, 2, 3, 4]}}}
"""

PROBLEM = """
import torch
import cpd


class Line(cpd.Problem):
    def __init__(self, hidden, batches=False):
        self.hidden, self.batches = hidden, batches

    def data(self):
        return (torch.arange(6.0),) if self.batches else None

    def model(self):
        return torch.nn.Linear(1, self.hidden, bias=False)

    def evaluate(self, model, batch):
        x = model.weight.sum()
        noise = batch[0].mean() / 100 if batch else 0
        return cpd.Evaluation(objective=(x - 2 - noise) ** 2, constraints={"size": x})
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("line.py").write_text(PROBLEM)
    Path("t.yaml").write_text(TASK)


def swept(*assignments: str, seeds: str | None = None, **options: Any) -> tuple[Result, int]:
    """A sweep's result, and in how many batches it was trained."""
    batches: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, WorkersReady):
            batches.append(event.batches)

    result = commands.sweep("t.yaml", Overrides(set=assignments, seeds=seeds), Options(**options), listen)
    return result, sum(batches)


def numbers(run: Run) -> Any:
    assert run.curves is not None
    return (run.key.id, run.status, run.objective, run.constraints, run.curves)


def lone(dotted: dict[str, Any], key: Any) -> Run:
    """The run of a task that has all values in their places, trained by itself."""
    words = [f"{name}={json.dumps(value)}" for name, value in dotted.items()]
    words.append(f"penalized.coefficient={key.setting['coefficient']}")
    result, _ = swept(*words, seeds=str(key.seed), keep=False, fuse=1)
    assert [run.key.setting for run in result.finished] == [{"coefficient": key.setting["coefficient"]}]
    return result.finished[0]


def test_step_sizes_by_coefficients_are_one_batch_and_each_run_is_the_one_trained_alone() -> None:
    result, batches = swept(f"{LR}=0.1,0.05,0.02,0.01", keep=False)
    assert (batches, len(result.finished)) == (1, 20)
    for run in result.finished[::3]:
        one = lone({LR: run.key.setting[LR]}, run.key)
        assert run.key.id == one.key.id
        assert run.objective == pytest.approx(one.objective, rel=1e-5)
        assert run.constraints["size"].value == pytest.approx(one.constraints["size"].value, rel=1e-5)


def test_sizes_are_a_batch_each_on_any_number_of_workers() -> None:
    result, batches = swept(f"{HIDDEN}=2,3,5", f"{LR}=0.1,0.05", keep=False)
    assert (batches, len(result.finished)) == (3, 30)
    for run in result.finished[::7]:
        one = lone(run.key.dotted, run.key)
        assert run.key.id == one.key.id
        assert run.objective == pytest.approx(one.objective, rel=1e-5)
    cut, more = swept(f"{HIDDEN}=2,3,5", f"{LR}=0.1,0.05", keep=False, fuse=4)
    assert more == 9
    assert list(map(numbers, cut.finished)) == list(map(numbers, result.finished))


@pytest.mark.parametrize(
    ("assignments", "batches"),
    [
        (("train.batch_size=all,3",), 1 + 2),  # with minibatches each seed has a batch of its own
        (("train.batch_size=3,all", f"{LR}=0.1,0.2"), 1 + 2),
        (("train.batch_size=3", f"{LR}=0.1,0.2"), 2),
        (("train.dtype=float32,float64", "train.steps=20,40"), 4),
        (("train.optimizer.name=SGD,Adam",), 2),
        (("train.optimizer={values: [Adam, {name: SGD, lr: 0.1}, {name: SGD, lr: 0.5}]}",), 2),
    ],
)
def test_runs_of_one_structure_share_a_batch(assignments: tuple[str, ...], batches: int) -> None:
    result, found = swept("arguments.batches=true", *assignments, seeds="0:2", keep=False)
    assert found == batches
    assert {run.status.value for run in result.finished} == {"completed"}
    last = result.finished[-1]
    one = lone(
        {
            "arguments.batches": True,
            "train.batch_size": 3 if "train.batch_size=3" in assignments else "all",
            **last.key.dotted,
        },
        last.key,
    )
    assert last.key.id == one.key.id
    assert last.objective == pytest.approx(one.objective, rel=1e-5)


def test_a_sweep_that_is_widened_or_narrowed_finds_its_runs_and_shows_them_as_its_own() -> None:
    first, _ = swept()
    wide, _ = swept(f"{LR}=0.05,0.1", f"{HIDDEN}=2,3")
    assert (wide.found, len(wide.finished)) == (5, 20)
    assert {run.key.id for run in first.finished} < {run.key.id for run in wide.finished}
    narrow, batches = swept(f"{LR}=0.1,0.05", f"{HIDDEN}=3")
    assert (narrow.found, batches) == (10, 0)
    for result in (first, wide, narrow):
        assert result.id is not None
        shown = history.load(result.id)[1]
        assert shown.document == result.document
        assert [set(run.key.setting) for run in shown.finished] == [set(run.key.setting) for run in result.finished]
    assert {*narrow.finished[0].key.setting} == {"coefficient", LR}
    assert {*first.finished[0].key.setting} == {"coefficient"}


def test_a_stopped_sweep_is_shown_with_the_settings_of_what_it_has() -> None:
    wide, _ = swept(f"{LR}=0.05,0.1")
    assert wide.id is not None
    with open_store(None, "read") as store:
        stored = store.load(wide.id, curves=True)
    some = replace(stored, runs=stored.runs[3:7], positions=stored.positions[3:7])
    assert [run.key.setting for run in history.result(some).finished] == [run.key.setting for run in wide.finished[3:7]]


def test_a_search_has_one_recipe() -> None:
    with pytest.raises(CpdError) as caught:
        commands.bisect("t.yaml", Search(target=0.5), overrides=Overrides(set=(f"{LR}=0.1,0.05",)))
    assert str(caught.value) == (
        "--set train.optimizer.lr: has 2 values, and a search trains with one; keep one of them: "
        "--set train.optimizer.lr=0.1"
    )


def test_a_check_looks_at_each_program() -> None:
    found = commands.check("t.yaml", Overrides(set=(f"{HIDDEN}=2,3", f"{LR}=0.1,0.2")))
    assert found[0].found == "t: penalized; 20 runs in 2 programs, by arguments.hidden"
    models = {one.check: one.found for one in found if one.check.startswith("model")}
    assert models == {"model": "Linear, 2 trained parameters", "model (hidden 3)": "Linear, 3 trained parameters"}
    assert all(one.ok for one in found)


def test_a_value_that_the_optimizer_refuses_is_said_at_its_place() -> None:
    with pytest.raises(CpdError, match=r"^t.yaml: train.optimizer: SGD refuses \{.*weight_decay: -1"):
        swept("train.optimizer.weight_decay=0,-1", keep=False)
