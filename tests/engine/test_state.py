"""What a step changes: buffers as plain PyTorch changes them, step number and step-sizes as leaves, one tree in all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import ADAM, NORMED, assert_close, begun, key, mixed_keys, numbers, one_by_one, quadratic, recipe
from engine_problems import Normed

from cpd.engine.batch import Batch
from cpd.engine.checkpoint_file import CheckpointStore
from cpd.engine.minibatches import Minibatches
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.tree import named

STEPPERS = ["eager", "captured", "compiled"]


def plain(dual_lr: float, steps: int = 60, seed: int = 1) -> dict[str, Any]:
    """One run as a person would write it."""
    problem = Normed()
    x, y = problem.data()
    data = (x.double(), y)
    torch.manual_seed(seed)
    model = problem.model().double()
    batches = Minibatches(data, 25, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    multiplier = torch.zeros((), dtype=torch.float64)
    for _ in range(steps):
        at = problem.evaluate(model, batches.next())
        assert at.strict is not None
        multiplier = (multiplier + dual_lr * (0.7 - at.strict["rate"])).clamp_min(0)
        optimizer.zero_grad()
        (at.objective + multiplier * (0.7 - at.constraints["rate"])).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        at = problem.evaluate(model, data)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return {"objective": at.objective.item(), "multiplier": multiplier.item(), "buffers": buffers}


@pytest.mark.parametrize("stepper", STEPPERS)
def test_batchnorm_is_that_of_a_plain_loop_run_by_run(stepper: str) -> None:
    for run in train(replace(NORMED, stepper=stepper)).runs:
        expected = plain(run.key.setting["dual_lr"])
        assert run.objective == pytest.approx(expected["objective"], rel=1e-9)
        assert run.constraints["rate"].multiplier == pytest.approx(expected["multiplier"], rel=1e-9)
        assert run.metrics["smoothed"] == pytest.approx(expected["buffers"]["smoothed"].item(), rel=1e-9)


@pytest.mark.parametrize("stepper", STEPPERS[:2])
def test_buffers_do_not_depend_on_who_shares_the_batch(stepper: str) -> None:
    batch = replace(NORMED, stepper=stepper)
    for together, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert_close(together, alone)


def test_statistics_are_exact_and_nothing_but_the_steps_moves_them() -> None:
    training = begun(replace(NORMED, keys=NORMED.keys[:2], stepper="eager"))
    state = training.state
    assert set(state.buffers) == {"1.running_mean", "1.running_var", "1.num_batches_tracked", "smoothed", "table"}
    assert state.buffers["1.num_batches_tracked"].tolist() == [0, 0]  # the first evaluation has left no trace
    step, batches = training.going.step, training.prepared.batches
    for _ in range(60):
        step.gradient_norms(state, batches.sample())
        state, _ = step.advance(state, batches.next())
    for row, run in enumerate(training.keys):
        for name, expected in plain(run.setting["dual_lr"])["buffers"].items():
            torch.testing.assert_close(state.buffers[name][row], expected, rtol=1e-11, atol=1e-12)


def test_buffers_that_nothing_changes_are_no_state() -> None:
    class_ = quadratic(mixed_keys())
    assert begun(class_).state.buffers == {}


def test_a_diverged_run_keeps_its_buffers() -> None:
    wild = key("penalized", {"rate": 0.7}, coefficient=float("inf"))
    training = begun(replace(NORMED, keys=(*NORMED.keys[:2], wild), stepper="eager"))
    state, step = training.state, training.going.step
    counts = []
    for _ in range(6):
        state, _ = step.advance(state, training.prepared.batches.next())
        counts.append(state.buffers["1.num_batches_tracked"].tolist())
    assert not state.active[2]
    assert counts[-1][:2] == [6, 6]
    assert counts[-1][2] == state.steps[2] < 6
    assert state.buffers["1.running_mean"][2].isfinite().all()


def test_the_step_number_and_the_step_size_are_leaves() -> None:
    training = begun(quadratic(mixed_keys(), optimizer=ADAM))
    names = [name for name, _ in named(training.going.tree)]
    assert {"state/step", "state/recipe/lr", "state/parameters/weight", "state/optimizer/weight/exp_avg"} <= set(names)
    state, step = training.state, training.going.step
    faster = state._replace(recipe={**state.recipe, "lr": state.recipe["lr"] * 2})
    slow, fast = (step.advance(s, None)[0] for s in (state, faster))
    assert slow.step == fast.step == 1
    moved = [s.parameters["weight"] - state.parameters["weight"] for s in (slow, fast)]
    torch.testing.assert_close(moved[1], 2 * moved[0])


@pytest.mark.slow
@pytest.mark.parametrize("stepper", ["captured", "compiled"])
def test_a_step_size_is_an_argument_of_the_program(stepper: str) -> None:
    from cpd.engine.steppers.choice import choose

    batch = quadratic(mixed_keys(), optimizer=ADAM, stepper=stepper)
    training = begun(batch)
    run, eager = choose(batch, training), choose(replace(batch, stepper="eager"), training)
    batches = training.prepared.batches
    state, _ = run(training.state, batches, 3)
    assert state.step == 3
    rates = state.recipe["lr"] * torch.linspace(0.1, 2, len(training.keys)).double()
    changed = state._replace(recipe={**state.recipe, "lr": rates})
    one, other = (each(changed, batches, 5)[0] for each in (run, eager))
    assert one.step == 8
    torch.testing.assert_close(one.parameters["weight"], other.parameters["weight"], rtol=1e-11, atol=1e-13)
    assert not torch.allclose(one.parameters["weight"], run(state, batches, 5)[0].parameters["weight"])


def interrupted(batch: Batch) -> Path:
    """The checkpoint of a training that was stopped after some steps."""
    calls = iter(range(1000))
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(calls) > 10))
    assert batch.checkpoint is not None
    (path,) = Path(batch.checkpoint).iterdir()
    return path


def test_a_checkpoint_has_every_leaf_by_name(tmp_path: Path) -> None:
    path = interrupted(replace(NORMED, checkpoint=str(tmp_path)))
    saved = CheckpointStore(tmp_path).load(path.stem)
    assert saved is not None
    assert {
        "0/state/parameters/0.weight",
        "0/state/buffers/1.running_mean",
        "0/state/optimizer/0.weight/exp_avg_sq",
        "0/state/methods/0/multiplier",
        "0/state/recipe/lr",
        "0/state/step",
        "0/state/held",
        "0/recorded/objective",
        "0/norms",
        "0/pruned",
    } <= saved[0].keys()


def test_a_checkpoint_of_another_format_is_left_aside_with_a_line(tmp_path: Path) -> None:
    batch = replace(NORMED, checkpoint=str(tmp_path))
    path = interrupted(batch)
    old = path.read_bytes().replace(b"cpd-checkpoint-3", b"cpd-checkpoint-1", 1)
    path.write_bytes(old)
    told: list[str] = []
    resumed = train(batch, Hooks(say=told.append))
    assert told == [
        f"{path}: the checkpoint has format 1, and this cpd reads format 3; left aside as {path.name}.other: "
        "this batch starts again"
    ]
    assert path.with_name(f"{path.name}.other").read_bytes() == old
    assert [numbers(run) for run in resumed.runs] == [numbers(run) for run in train(NORMED).runs]


def test_a_checkpoint_of_another_training_is_left_aside_with_a_line(tmp_path: Path) -> None:
    batch = replace(NORMED, checkpoint=str(tmp_path))
    path = interrupted(batch)
    other = replace(batch, train=recipe(40, 25, ADAM))
    told: list[str] = []
    resumed = train(other, Hooks(say=told.append))
    (line,) = told
    assert line.startswith(f"{path}: the checkpoint is of another training: 0/")
    assert line.endswith("this batch starts again")
    assert [numbers(run) for run in resumed.runs] == [
        numbers(run) for run in train(replace(other, checkpoint=None)).runs
    ]
