"""How surely constraints hold where training is by minibatches: measured on all data in the last tenth."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from engine_batches import begun
from zoo import Specimen
from zoo_problems import Creature

from cpd.engine.checks import Checks
from cpd.engine.train import Hooks, Interrupted, train
from cpd.outcome import Run
from cpd.verdict.feasibility import holds


def noisy(**more: Any) -> Specimen:
    """x stays at its solution 0.3 but for noise; a minibatch's value strays from the level by 0.15."""
    arguments = {
        "start": [0.3], "curvature": [1.0], "centre": [0.8], "examples": 64, "noise": [0.05, 0.6],
    }  # fmt: skip
    methods = [("lagrangian", {"dual_lr": 0.02, "multiplier_init": 1.0}), ("penalized", {"coefficient": 1.0})]
    own: dict[str, Any] = {"steps": 1200, "batch_size": 16, "tolerance": 0.05, "dtype": "float64"}
    return Specimen("x", frozenset(), arguments, {"g": (0.3, "<=")}, methods, 0.01, **{**own, **more})


def by_hand(specimen: Specimen, marks: list[int]) -> list[float]:
    """The penalised run as a plain loop: x after so many steps; minibatches in the engine's order."""
    noise = torch.randn(2, 64, generator=torch.Generator().manual_seed(5))
    noise = (noise - noise.mean(1, keepdim=True)) / noise.std(1, keepdim=True)
    order = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    start = torch.tensor([0.3])
    x, found = (start + 1e-6 * start * torch.randn(1)).double(), list[float]()
    parts: list[torch.Tensor] = []
    for step in range(specimen.steps):
        parts = parts or list(torch.randperm(64, generator=order).split(16))
        centre = 0.8 + 0.05 * noise[0].double()[parts.pop(0)].mean()
        x = x - specimen.lr * (2 * (x - centre) + 1.0)
        found += [float(x)] if step + 1 in marks else []
    return found


def test_values_on_all_data_stand_for_those_of_minibatches() -> None:
    lagrangian, penalized = train(noisy().batch()).runs
    marks = [1080 + 12 * (k + 1) for k in range(10)]
    found = penalized.constraints["g"]
    np.testing.assert_allclose(found.checked, by_hand(noisy(), marks), rtol=1e-6)
    assert found.checked[-1] == pytest.approx(found.value, rel=1e-12)
    for run in (lagrangian, penalized):
        outcome = run.constraints["g"]
        steps_alone = np.mean([value <= 0.35 for value in outcome.tail])
        assert steps_alone < 0.75, "minibatches say that it is a matter of luck"
        bound = noisy().batch().constraints["g"]
        assert outcome.held == np.mean([holds(v, 0.3, bound, "float64") for v in outcome.checked]) == 1.0


def test_steps_that_see_all_data_are_counted_as_they_were() -> None:
    for batch_size in (None, 64):
        (run, _) = train(noisy(batch_size=batch_size, steps=200).batch()).runs
        assert list(run.constraints["g"].checked) == []
        assert run.constraints["g"].held is not None
    assert begun(noisy(batch_size=None).batch()).going.tree.checked is None


@pytest.mark.parametrize(
    ("steps", "epochs", "streamed", "marks"),
    [
        (1000, 30.0, False, [910, 920, 930, 940, 950, 960, 970, 980, 990, 1000]),
        (1000, 1.0, False, [934, 967, 1000]),
        (1000, 2.0, True, [950, 1000]),
        (1000, 0.1, True, [1000]),
        (40, 30.0, False, [37, 38, 39, 40]),
        (5, 3.0, False, [5]),
    ],
)
def test_ten_points_or_fewer_where_they_would_cost_more_than_the_training(
    steps: int, epochs: float, streamed: bool, marks: list[int]
) -> None:
    assert Checks(steps, steps - max(1, steps // 10), epochs, streamed, None).marks == marks


def test_points_at_which_models_are_measured_anyway_are_used() -> None:
    every: Any = SimpleNamespace(marks=list(range(5, 1001, 5)))
    assert Checks(1000, 900, 30.0, False, every).marks == list(range(905, 1001, 5))
    few: Any = SimpleNamespace(marks=[400, 800, 925, 1000])
    assert Checks(1000, 900, 30.0, False, few).marks == sorted({925, *range(910, 1001, 10)})
    many: Any = SimpleNamespace(marks=list(range(1, 100_001)))
    assert len(Checks(100_000, 90_000, 30.0, False, many).marks) == 200


def test_a_measure_along_the_way_is_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    kept = Checks._values

    def counted(self: Checks, training: Any) -> Any:
        taken.append(training.done)
        return kept(self, training)

    monkeypatch.setattr(Checks, "_values", counted)
    batch = noisy(steps=400).batch()
    batch = replace(batch, train=batch.train.model_copy(update={"measure_every": 4}))
    (run, _) = train(batch).runs
    assert taken == []
    assert run.curves is not None
    assert run.curves.measured is not None
    assert list(run.constraints["g"].checked) == list(run.curves.measured.constraints["g"])[-10:]


def everything(run: Run) -> Any:
    return run.objective, run.steps, {n: (c.checked, c.held, c.tail, c.value) for n, c in run.constraints.items()}


@pytest.mark.parametrize("stepper", ["eager", pytest.param("captured", marks=pytest.mark.slow)])
def test_they_leave_no_trace_and_survive_an_interruption(
    stepper: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = replace(noisy(steps=120).batch(), stepper=stepper)
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    spans = iter([False] * 22 + [True])
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(spans, False)))
    assert list(map(everything, train(kept).runs)) == list(map(everything, whole))
    (alone,) = train(replace(batch, keys=batch.keys[:1])).runs
    assert everything(alone) == everything(whole[0])
    monkeypatch.setattr(Checks, "asked", classmethod(lambda *_: None))
    plain = train(batch).runs
    assert [(r.objective, r.curves) for r in plain] == [(r.objective, r.curves) for r in whole]


class HeldOutNoise(Creature):
    """Its held-out examples lie 0.1 to one side: so does each value there."""

    def held_out(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(8), torch.full((8,), 0.1)


def test_held_out_examples_decide_where_there_are_any() -> None:
    batch = noisy(steps=400).batch()
    path = Path(__file__)
    changed = {"target": "test_checks.py:HeldOutNoise", "path": str(path), "source": path.read_text()}
    own = batch.problem.model_copy(update=changed)
    plain, (run, _) = train(batch).runs[0], train(replace(batch, problem=own)).runs
    found, expected = run.constraints["g"], plain.constraints["g"]
    np.testing.assert_allclose(found.checked, np.array(expected.checked) + 0.1, rtol=1e-6)
    assert (found.held, expected.held) == (0.0, 1.0)
    every = replace(batch, problem=own, train=batch.train.model_copy(update={"measure_every": 4}))
    (measured, _) = train(every).runs
    np.testing.assert_allclose(measured.constraints["g"].checked, found.checked, rtol=1e-12)
