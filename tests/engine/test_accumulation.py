"""Steps of several minibatches against one backward pass through all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import begun, key, numbers, source
from engine_problems import Shaken
from recipe_runs import NEAR, recipe_of, trained
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.checking import check
from cpd.engine.minibatches import Minibatches
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.windows import Windows
from cpd.errors import SpecError
from cpd.outcome import RunKey
from cpd.spec.models import Train

KEYS = (
    key("penalized", {"near": 0.1}, coefficient=0.7),
    key("quadratic_penalty", {"near": 0.1}, coefficient=3.0),
    key("lagrangian", {"near": 0.1}, dual_lr=0.2),
    key("lagrangian", {"near": 0.1}, dual_lr=0.2, update="simultaneous"),
)
STEPS = 40
THREE = recipe_of(steps=STEPS, accumulate=3, optimizer={"name": "SGD", "lr": 0.05, "momentum": 0.9})


def shaken(train: Train = THREE, dropout: float = 0.0, **options: Any) -> Batch:
    return Batch(source("Shaken", dropout=dropout), NEAR, train, KEYS, **{"stepper": "eager", **options})


def windows(batch: Batch) -> list[list[tuple[Tensor, ...]]]:
    """An epoch has minibatches of 16, 16, 16 and 2: a step of three and one of one."""
    prepared = begun(batch).prepared
    order = Minibatches(prepared.data, 16, batch.keys[0].seed)
    return [[order.next() for _ in range(3 if step % 2 == 0 else 1)] for step in range(STEPS)]


def plainly(batch: Batch, run: RunKey, dropout: float) -> dict[str, Tensor]:
    """All minibatches of a step in one graph: parameters and statistics at the end."""
    prepared = begun(batch).prepared
    problem = Shaken(dropout)
    torch.manual_seed(run.seed)
    model = problem.model().double()
    model.load_state_dict({n: t[0] for k in range(3) for n, t in prepared.models[k].items()})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    multiplier = torch.zeros((), dtype=torch.float64)
    prepared.surroundings.restore()
    for window in windows(batch):
        at = [problem.evaluate(model, minibatch) for minibatch in window]
        objective = torch.stack([each.objective for each in at]).mean()
        violation = torch.stack([each.constraints["near"] for each in at]).mean() - 0.1
        if run.method == "penalized":
            total = objective + 0.7 * violation
        elif run.method == "quadratic_penalty":
            total = objective + 1.5 * violation.relu() ** 2
        else:
            after = (multiplier + 0.2 * violation.detach()).relu()
            total = objective + (multiplier if "update" in run.setting else after) * violation
            multiplier = after
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return {n: t.detach() for n, t in model.state_dict().items()}


@pytest.mark.parametrize(
    ("engine", "dropout"),
    [
        ("eager", 0.0),
        ("captured", 0.0),
        ("captured", 0.3),
        pytest.param("compiled", 0.0, marks=pytest.mark.slow),
        pytest.param("auto", 0.3, marks=pytest.mark.slow),
        pytest.param("alone", 0.3, marks=pytest.mark.slow),
    ],
)
def test_a_step_of_several_minibatches_is_that_of_their_means(engine: str, dropout: float) -> None:
    batch = shaken(dropout=dropout)
    keys = KEYS[1:2] if engine == "alone" else KEYS
    own: dict[str, Any] = {"keys": keys, "fuse": False} if engine == "alone" else {"stepper": engine}
    training = trained(replace(batch, **own))
    state = training.state
    assert training.stepper.name == (
        "eager" if engine in ("alone", "auto") or dropout else engine.replace("compiled", "captured")
    )
    for row, run in enumerate(training.keys[: len(keys)]):
        expected = plainly(batch, run, dropout)
        for name, tensor in {**state.parameters, **state.buffers}.items():
            torch.testing.assert_close(tensor[row], expected[name], rtol=1e-9, atol=1e-11)
    assert state.buffers["1.num_batches_tracked"][0] == STEPS * 2


def test_a_training_of_windows_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    batch = shaken(dropout=0.3, checkpoint=str(tmp_path))
    calls = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(calls) > 8))
    whole = train(replace(batch, checkpoint=None))
    assert [numbers(run) for run in train(batch).runs] == [numbers(run) for run in whole.runs]


def test_an_epoch_is_as_many_steps_as_windows() -> None:
    training = begun(shaken(THREE.model_copy(update={"steps": None, "epochs": 5.0})))
    assert training.steps == 10
    assert training.prepared.batches.in_epoch == 2


def test_a_window_is_peeked_at_and_put_back() -> None:
    data = (torch.arange(10),)
    order = Windows(Minibatches(data, 2, 0), 2)
    expected = [[m.tolist() for (m,) in Windows(Minibatches(data, 2, 0), 2).next()]]
    assert [m.tolist() for (m,) in order.peek()] == expected[0]
    at = order.state()
    first = order.next()
    first[0][0].zero_()
    order.put_back()
    assert [m.tolist() for (m,) in order.peek()] == [m.tolist() for (m,) in order.next()] == expected[0]
    sizes = [len(order.next()) for _ in range(5)]
    assert sizes == [2, 1, 2, 2, 1]
    order.restore(*at)
    assert [m.tolist() for (m,) in order.next()] == expected[0]


def test_all_data_has_nothing_to_accumulate() -> None:
    with pytest.raises(SpecError, match=r"^train.accumulate: each step sees all data"):
        begun(shaken(THREE.model_copy(update={"batch_size": None})))


def test_a_check_looks_at_the_minibatches_one_by_one() -> None:
    found = {each.check: each for each in check(shaken())}
    assert all(each.ok for each in found.values())
    assert found["steps"].found.startswith(f"{STEPS} steps")
