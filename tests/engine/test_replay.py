"""Audited replay: no engine gives other numbers than the user's own code."""

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import own_code
import pytest
import torch
from engine_batches import SGD, assert_close, constraint, key, numbers, recipe
from own_code import __file__ as OWN  # noqa: N812
from own_code import plainly, seeded

from cpd.engine import replay
from cpd.engine.batch import Batch
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder
from cpd.engine.replay import Replay
from cpd.engine.stacked import Stack
from cpd.engine.steppers import choice
from cpd.engine.steppers.captured import Captured
from cpd.engine.steppers.stepper import Eager
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.training import LOOKS, Training
from cpd.errors import CpdError
from cpd.outcome import Run, Status
from cpd.spec.models import ProblemSource

RATE = {"rate": constraint(0.4, "<=")}
KEYS = (
    key("penalized", {"rate": 0.4}, coefficient=0.0),
    key("penalized", {"rate": 0.4}, coefficient=3.0),
    key("lagrangian", {"rate": 0.4}, dual_lr=0.1),
)


def own(name: str, steps: int = 240, batch_size: int | None = None, **options: Any) -> Batch:
    arguments = options.pop("arguments", {})
    source = ProblemSource(
        target=f"own_code.py:{name}", path=str(OWN), source=Path(OWN).read_text(), arguments=arguments
    )
    return Batch(source, RATE, recipe(steps, batch_size, SGD), options.pop("keys", KEYS), **options)


def eager(batch: Batch) -> list[Run]:
    return train(replace(batch, stepper="eager")).runs


def plain(batch: Batch) -> float:
    """The finished loss of the first run, coefficient 0, in a plain loop."""
    problem = getattr(own_code, batch.problem.target.partition(":")[2])(**batch.problem.arguments)
    assert batch.train.steps is not None
    model, data = plainly(problem, 1, batch.train.steps, SGD.options["lr"])
    seeded(1)
    type(problem)().model()  # generators stand where they did before the first step
    model.eval()
    return float(problem.measure(model, data).objective.item())


@pytest.mark.parametrize("stepper", ["captured", "auto"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Mask", "what a mask picks (index at own_code.py"),
        ("Length", "what a mask picks (index at own_code.py"),
        ("Counter", "changes self.calls"),
        ("Draws", "draws from random, draws from numpy.random"),
        ("Numpy", "from 0 on were made again as they are written"),
    ],
)
def test_what_cannot_be_replayed_has_the_eager_steps_numbers_and_a_line(name: str, said: str, stepper: str) -> None:
    batch = own(name, batch_size=16, stepper=stepper)
    trained = train(batch)
    assert [numbers(run) for run in trained.runs] == [numbers(run) for run in eager(batch)]
    assert said in "; ".join(trained.notes)


@pytest.mark.parametrize(
    "name", ["Base", "Counter", "Draws", "Started", "Cached", "Norm", "Unused", "Random", "Clipped"]
)
@pytest.mark.parametrize("fuse", [True, False])
def test_runs_have_a_plain_loops_numbers(name: str, fuse: bool) -> None:
    batch = own(name, 60, fuse=fuse)
    batch = replace(batch, train=recipe(60, None, SGD, "float32"))
    first = train(batch).runs[0]
    assert first.objective == pytest.approx(plain(batch), rel=1e-5)


@pytest.mark.parametrize("name", ["Started", "Wide", "Averaged", "Norm", "Lazy"])
def test_runs_of_several_seeds_are_what_they_are_alone(name: str) -> None:
    keys = tuple(replace(k, seed=seed) for seed in (1, 2, 3) for k in KEYS)
    together = train(own(name, 40, keys=keys)).runs
    alone = [train(own(name, 40, keys=(k,), fuse=False)).runs[0] for k in keys]
    for one, other in zip(together, alone, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("name", ["Norm", "Lazy", "Base"])
def test_every_engine_moves_buffers_alike(name: str) -> None:
    batch = own(name, 60, batch_size=25)  # 60 examples: an epoch's last minibatch has 10
    expected = train(replace(batch, fuse=False)).runs
    for stepper in ("eager", "captured"):
        trained = train(replace(batch, stepper=stepper))
        assert trained.notes == []
        for one, other in zip(trained.runs, expected, strict=True):
            assert_close(one, other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Cached", "cannot be fused, runs train one at a time: "),
        ("Averaged", "keeps tensors of its run in self.average"),
        ("Clipped", "changes the parameter 0.weight in place"),
        ("Checkpointed", "cannot be fused, runs train one at a time: "),
    ],
)
def test_what_is_another_when_fused_trains_one_at_a_time_and_says_so(name: str, said: str) -> None:
    trained = train(own(name, 40))
    assert said in "; ".join(trained.notes)
    alone = [train(own(name, 40, keys=(k,), fuse=False)).runs[0] for k in KEYS]
    assert [numbers(run) for run in trained.runs] == [numbers(run) for run in alone]


@pytest.mark.parametrize(("size", "method"), [(None, "evaluate"), (16, "measure")])  # a minibatch is a copy
def test_data_that_all_share_is_not_changed(size: int | None, method: str) -> None:
    with pytest.raises(CpdError, match="changes the data in place") as raised:
        train(own("InPlace", 10, batch_size=size))
    assert raised.value.place == f"own_code.py:InPlace.{method}()"


@pytest.mark.parametrize("name", ["Hidden", "Partial", "Helped"])
def test_a_counter_is_seen_wherever_python_keeps_it(name: str) -> None:
    batch = own(name, 160, stepper="captured", keys=KEYS[:1])
    trained = train(batch)
    (note,) = trained.notes
    assert "steps run as they are written" in note


def test_what_changes_where_nothing_can_see_it_is_found_at_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    began, clock = time.monotonic(), time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() - began)
    trained = train(own("Clock", 400, stepper="captured"))
    assert trained.notes
    assert all("again" in note for note in trained.notes)


class Slipping(Eager):
    """Steps whose parameters are off in one of them, or that raise there."""

    name = "captured"

    def __init__(self, step: Any, at: int, how: str) -> None:
        super().__init__(step)
        self.at, self.how, self.done = at, how, 0

    def __call__(self, state: Any, batches: Any, n: int) -> Any:
        new, record = super().__call__(state, batches, n)
        if int(new.step) == self.at:
            if self.how == "raises":
                raise RuntimeError("a program that fails")
            if self.how == "wrong":
                new = new._replace(parameters={k: p + 1e-3 for k, p in new.parameters.items()})
            if self.how == "stops":
                new = new._replace(parameters={k: p * float("nan") for k, p in new.parameters.items()})
        if self.how == "drifts" and int(new.step) > self.at:
            new = new._replace(parameters={k: p * (1 + 1e-9) for k, p in new.parameters.items()})
        return new, record


@pytest.mark.parametrize(
    ("how", "at", "said"),
    [
        ("raises", 37, "a program that fails"),
        ("wrong", 49, "differs"),  # a look is every 12 steps
        ("stops", 40, "differs"),
        ("drifts", 40, "differs"),
    ],
)
def test_a_training_goes_back_to_the_last_look_that_agreed(
    how: str, at: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = own("Base", 240, batch_size=16, stepper="captured")
    monkeypatch.setattr(choice, "Captured", lambda step, *shapes: Slipping(step, at, how))
    trained = train(batch)
    assert [numbers(run) for run in trained.runs] == [numbers(run) for run in eager(batch)]
    (note,) = trained.notes
    done = int(note.split()[3].replace(",", ""))
    assert note.startswith("captured steps from ")
    assert said in note
    assert at - 13 <= done <= at


def test_a_fused_step_that_differs_later_goes_on_run_by_run(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = own("Base", 240, batch_size=16, stepper="eager")
    expected = [train(replace(batch, keys=(k,), fuse=False)).runs[0] for k in KEYS]
    mapped, calls = Stack._mapped, 0

    def worse(self: Stack, *words: Any) -> Any:
        nonlocal calls
        calls += 1
        at = mapped(self, *words)
        return at if calls < 100 or words[0] == "measure" else at._replace(objective=at.objective * 1.01)

    monkeypatch.setattr(Stack, "_mapped", worse)
    trained = train(batch)
    (note,) = trained.notes
    assert "were made again run by run" in note
    for one, other in zip(trained.runs, expected, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("way", ["_plain", "_mapped"])
def test_two_minibatches_are_compared_before_a_training(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    evaluate = getattr(Stack, way)

    def counted(self: Stack, method: str, models: Any, batch: Any, *more: Any) -> Any:
        if method == "evaluate":
            seen.add(len(batch[0]))
        return evaluate(self, method, models, batch, *more)

    monkeypatch.setattr(Stack, way, counted)
    list(Builder(own("Base", 10, batch_size=25)).groups())
    assert seen == {25, 10}  # the usual minibatch, and the epoch's last one


@pytest.mark.parametrize("name", ["Counter", "Draws", "Norm", "Averaged", "Lazy"])
@pytest.mark.parametrize("looks", [1, 7, 40])
def test_what_changes_from_step_to_step_is_resumed_bit_by_bit(name: str, looks: int, tmp_path: Path) -> None:
    batch = own(name, 60, batch_size=25, keys=KEYS[:2])
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    calls = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(calls) >= looks))
    assert [numbers(run) for run in train(kept).runs] == [numbers(run) for run in whole]


def test_audits_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = own("Draws", 60, batch_size=25)
    audited = [numbers(run) for run in train(batch).runs]
    monkeypatch.setattr(Replay, "compares", False)
    assert [numbers(run) for run in train(batch).runs] == audited


def test_there_is_an_audit_at_every_look_and_one_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made, rows = 0, set()
    from cpd.engine.audit import audit

    def counted(asked: Any, row: int, *rest: Any) -> Any:
        nonlocal made
        made += 1
        rows.add(row)
        return audit(asked, row, *rest)

    monkeypatch.setattr(replay, "audit", counted)
    train(own("Base", 400, stepper="captured"))
    assert made == LOOKS + 1
    assert rows == {0, 1, 2}  # each run has its turn


def test_measures_that_take_gradients_and_those_that_vmap_refuses() -> None:
    trained = train(own("Slope", 30))
    assert {run.status for run in trained.runs} == {Status.COMPLETED}
    alone = [train(own("Slope", 30, keys=(k,), fuse=False)).runs[0] for k in KEYS]
    for one, other in zip(trained.runs, alone, strict=True):
        assert_close(one, other)


def test_a_measure_that_fails_keeps_what_was_trained() -> None:
    trained = train(own("Picky", 200))
    by_status = {run.status for run in trained.runs}
    assert by_status == {Status.COMPLETED, Status.FAILED}
    for run in trained.runs:
        assert run.curves is not None
        assert run.steps == 200
        if run.status is Status.FAILED:
            assert run.error is not None
            assert run.error.strip().endswith("ArithmeticError: the rate is too low to be measured")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("objective", "the objective was not finite in step 5"),
        ("constraint", "g[1] was not finite in step 5"),
        ("gradient", "a gradient of g was not finite in step 1"),
        ("measure", "the objective is not finite where the finished model is measured"),
    ],
)
def test_a_diverged_run_says_what_was_not_finite_first_and_when(what: str, reason: str) -> None:
    batch = own("Broken", 30, arguments={"what": what}, keys=(key("penalized", {"g": 0.0}, coefficient=1.0),) * 1)
    batch = replace(batch, constraints={"g": constraint(0.0, "<=")}, train=recipe(30, optimizer=SLOW))
    (run,) = train(batch).runs
    assert (run.status, run.error) == (Status.DIVERGED, reason)


SLOW = SGD.model_copy(update={"options": {"lr": 0.05}})


def test_generators_and_problems_are_left_as_they_were() -> None:
    seeded(5)
    expected = [torch.rand(3).tolist(), random.random(), np.random.rand()]
    seeded(5)
    train(own("Draws", 20))
    assert [torch.rand(3).tolist(), random.random(), np.random.rand()] == expected


def test_captured_steps_are_those_that_are_audited() -> None:
    builder = Builder(own("Base", 400))
    group = next(iter(builder.groups()))
    assert isinstance(group, Prepared)
    training = Training.begin(group, RATE, recipe(400, optimizer=SGD))
    training.stepper = Captured(training.going.step)
    group.surroundings.restore()
    assert Replay(training).tried(training.stepper, 3) is None
    assert int(training.state.step) == 3
