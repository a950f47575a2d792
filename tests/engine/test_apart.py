"""Entries that drive the model and entries that move the multipliers, each for itself: against a plain loop."""

from pathlib import Path

import apart_problems
import pytest
import torch
from engine_batches import constraint, flat, key
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.minibatches import Minibatches
from cpd.engine.seen import Valued, together
from cpd.engine.train import train
from cpd.outcome import Status
from cpd.spec.models import Optimizer, ProblemSource, Train

STEPS, SEED, DUAL_LR, SIZE = 15, 2, 0.3, 3


def plain(window: int) -> tuple[list[float], list[list[float]]]:
    """Means over the minibatches of a step that show an entry, of the surrogates and of the strict values apart."""
    torch.manual_seed(SEED)
    model = torch.nn.Linear(1, 1).double()
    descent = torch.optim.SGD(model.parameters(), lr=0.05)
    batches = Minibatches((torch.linspace(-1, 1, 12).double(), torch.arange(12)), SIZE, SEED)
    multipliers, objectives, moved = [0.0] * 12, [], []
    for _ in range(STEPS):
        objective = torch.zeros(()).double()
        own: dict[int, list[Tensor]] = {}
        true: dict[int, list[Tensor]] = {}
        for _ in range(window):
            x, place = batches.next()
            out = model(x.unsqueeze(1)).squeeze(1)
            objective = objective + (out - 1).square().mean() / window
            for k, j in enumerate(place.tolist()):
                if k < 2:
                    own.setdefault(j, []).append(out[k] - 0.2)
                if k > 0:
                    true.setdefault(j, []).append((out[k].detach() * 4).round() / 4)
        for j, values in true.items():
            multipliers[j] = max(0.0, multipliers[j] + DUAL_LR * (mean(values).item() - 0.1))
        total = objective + sum(multipliers[j] * (mean(values) - 0.1) for j, values in own.items())
        descent.zero_grad()
        total.backward()
        descent.step()
        objectives.append(objective.item())
        moved.append(list(multipliers))
    return objectives, moved


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("fuse", [True, False])
def test_training_equals_a_plain_loop(window: int, fuse: bool) -> None:
    file = Path(apart_problems.__file__)
    source = ProblemSource(target=f"{file.name}:Apart", path=str(file), source=file.read_text())
    sgd = Optimizer(name="SGD", options={"lr": 0.05})
    recipe = Train(steps=STEPS, batch_size=SIZE, optimizer=sgd, dtype="float64", accumulate=window)
    keys = tuple(key("lagrangian", {"each": 0.1}, SEED, dual_lr=d) for d in (DUAL_LR, 0.1))
    run = train(Batch(source, {"each": constraint(0.1, "<=")}, recipe, keys, fuse=fuse)).runs[0]
    objectives, moved = plain(window)
    assert run.status is Status.COMPLETED
    assert run.curves is not None
    assert list(run.curves.objective) == pytest.approx(objectives, rel=1e-12)
    assert flat(run.curves.multipliers["each"]) == pytest.approx(flat(moved), rel=1e-12, abs=1e-15)
    assert max(flat(moved)) > 0


def test_where_only_some_constraints_are_apart_the_others_need_both() -> None:
    yes, no, value = torch.tensor(True), torch.tensor(False), torch.zeros(())
    ours = [Valued(value, yes, True), Valued(value, yes), Valued(value, None)]
    found = together(ours, [Valued(value, no, True), Valued(value, no), Valued(value, None)])
    assert found["observed"].tolist() == [False, False, True]
    assert found["driving"].tolist() == [True, False, True]
