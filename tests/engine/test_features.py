"""Features of constraints in the engine, methods that move what a step does not show, and plain loops of both."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import many_problems
import pytest
import torch
from engine_batches import constraint, flat, key, numbers, one_by_one, recipe
from many_problems import prices
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.features import Features
from cpd.engine.minibatches import Minibatches
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.outcome import Run, RunKey, Status
from cpd.spec.models import ProblemSource

N, SIZE, LR = 40, 8, 0.05
LEVEL = {"each": 1.0}


def bounds(keys: list[RunKey], steps: int = 60, **arguments: Any) -> Batch:
    file = Path(many_problems.__file__)
    problem = ProblemSource(target=f"{file.name}:Bounds", path=str(file), source=file.read_text(), arguments=arguments)
    train_ = recipe(steps, SIZE if arguments.get("partial") else None)
    return Batch(problem, {"each": constraint(1.0, "<=")}, train_, tuple(keys), stepper="eager")


def model(features: int = 3, seed: int = 1, **given: Any) -> RunKey:
    return key("multiplier_model", LEVEL, seed, features=features, **{"dual_lr": 0.5, **given})


KEYS = [
    model(3),
    model(8, dual_lr=0.2),
    model(3, dual_lr=0.1, every=3, smooth=0.5, start=0.2),
    model(update="simultaneous"),
    key("saga", LEVEL, dual_lr=0.3),
    key("saga", LEVEL, dual_lr=0.3, every=2, start=0.1, multiplier_max=0.4),
    key("saga", LEVEL, dual_lr=0.3, multiplier="exp", smooth=0.3),
    key("lagrangian", LEVEL, dual_lr=0.3),
    key("penalized", LEVEL, coefficient=0.3),
]


def measured(run: Run) -> list[float]:
    """All numbers of a run and of its curves."""
    assert run.curves is not None
    one = run.constraints["each"]
    return flat([run.objective, one.value, one.surrogate, one.multiplier, *run.curves.multipliers.values()])


@pytest.mark.slow
@pytest.mark.parametrize("partial", [False, True])
def test_fused_is_alone_is_captured_in_any_order(partial: bool) -> None:
    steps = 15
    eager = train(bounds(KEYS, steps, partial=partial)).runs
    assert all(run.status is Status.COMPLETED for run in eager)
    batch = bounds(KEYS, steps, partial=partial)
    captured = train(replace(batch, stepper="captured")).runs
    backwards = train(bounds(KEYS[::-1], steps, partial=partial)).runs[::-1]
    alone = one_by_one(replace(batch, keys=batch.keys[::2]))
    for some, others, near in ((eager[::2], alone, 1e-9), (eager, captured, 1e-12), (eager, backwards, 0.0)):
        for one, other in zip(some, others, strict=True):
            assert measured(one) == pytest.approx(measured(other), rel=near, abs=near and 1e-12, nan_ok=True)


@pytest.mark.parametrize("partial", [False, True])
def test_a_killed_training_goes_on_bit_by_bit(partial: bool, tmp_path: Path) -> None:
    keys = [model(3), model(5, every=2), key("saga", LEVEL, dual_lr=0.3), key("optimistic", LEVEL, dual_lr=0.3)]
    asked, calls = bounds([*keys, key("lagrangian", LEVEL, dual_lr=0.3)], 20, partial=partial), 0
    kept = replace(asked, checkpoint=str(tmp_path), checkpoint_every=1e9)

    def late() -> bool:
        nonlocal calls
        calls += 1
        return calls == 17

    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=late))
    assert [str(measured(run)) for run in train(kept).runs] == [str(measured(run)) for run in train(asked).runs]


def by_hand(method: str, eta: float, steps: int, every: int = 1) -> tuple[Tensor, Tensor]:
    """A loop over minibatches that show 8 of 40 constraints, with no method's code."""
    problem = many_problems.Bounds(N, partial=True)
    torch.manual_seed(1)
    x = problem.model().weight.detach().double()[0]  # type: ignore[operator]
    batches, a = Minibatches(problem.data(), SIZE, 1), 1 + prices(N)
    place = (torch.arange(N, dtype=torch.float64) + 0.5) / N
    phi = torch.stack([(math.pi * m * place).cos() * math.sqrt((2 if m else 1) / N) for m in range(3)])
    w, multiplier = torch.zeros(3, dtype=torch.float64), torch.zeros(N, dtype=torch.float64)
    last, seen, total, count = torch.zeros(4, N, dtype=torch.float64)
    moves = 0
    for step in range(steps):
        (index,) = batches.next()
        shown = torch.zeros(N, dtype=torch.bool)
        shown[index] = True
        total, count = total + torch.where(shown, x - 1, 0.0), count + shown
        if (step + 1) % every == 0:
            there, moves = count > 0, moves + 1
            g = total / count.clamp_min(1)
            if method == "multiplier_model":
                theta = math.log(math.expm1(0.1)) + w @ phi
                w = w + eta * phi @ (torch.sigmoid(theta) * g)
                multiplier = torch.nn.functional.softplus(math.log(math.expm1(0.1)) + w @ phi)
            else:
                seen = seen + there
                move = torch.where(there, g - last, 0.0) + seen / moves * last
                multiplier, last = (multiplier + eta * move).clamp_min(0), torch.where(there, g, last)
            total, count = torch.zeros(2, N, dtype=torch.float64)
        x = x - LR * (x - a + torch.where(shown, multiplier, 0.0))
    return x, multiplier


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("method", ["multiplier_model", "saga"])
def test_a_run_takes_the_steps_of_a_loop_by_hand(method: str, every: int) -> None:
    given = {"features": 3} if method == "multiplier_model" else {}
    (run,) = train(bounds([key(method, LEVEL, dual_lr=0.4, every=every, **given)], 63, partial=True)).runs
    x, multipliers = by_hand(method, 0.4, 63, every)
    assert run.constraints["each"].multiplier == pytest.approx(multipliers.tolist(), rel=1e-9)
    assert run.objective == pytest.approx(float((x - 1 - prices(N)).square().sum() / 2), rel=1e-9)


@pytest.mark.parametrize("features", ["redundant", "list", "drawn"])
def test_features_of_the_problem_find_the_multipliers(features: str) -> None:
    keys = [model(dual_lr=2.0), key("penalized", LEVEL, coefficient=0.0)]
    run = train(replace(bounds(keys, 800, features=features), stepper="captured")).runs[0]
    wrong = max(abs(a - b) for a, b in zip(run.constraints["each"].multiplier, prices(N).tolist(), strict=True))  # type: ignore[arg-type]
    assert (wrong > 0.1) if features == "drawn" else (wrong < 1e-4)


def test_what_the_problem_draws_for_its_features_changes_no_other_number() -> None:
    plain = key("lagrangian", LEVEL, dual_lr=0.3)
    both = train(bounds([plain, model()], features="drawn")).runs
    alone = train(bounds([plain, plain], features="none")).runs
    assert numbers(both[0]) == numbers(alone[0])


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("unknown", r"there is no constraint 'other'; it has each"),
        ("short", r"each has 40 components, and features of 39; give a row for each component"),
        ("infinite", r"each has a number that is not finite; give finite numbers"),
        ("words", r"each has list; give a tensor [k, d]: d numbers for each component"),
        ("tensor", r"returned Tensor; return {constraint: numbers [k, d]}"),
        ("raises", r"Bounds.constraint_features() raised KeyError: 'raises'"),
    ],
)
def test_features_that_do_not_fit_are_refused_in_a_line(features: str, said: str) -> None:
    with pytest.raises(CpdError, match=re.escape(said)):
        train(bounds([model()], features=features))
    (run,) = train(bounds([key("saga", LEVEL, dual_lr=0.1)], features=features)).runs
    assert run.status is Status.COMPLETED, "nobody asks for them"


def test_each_name_has_a_model_of_its_own() -> None:
    like = torch.zeros(1, dtype=torch.float32)
    phi = Features({"b": torch.tensor([[1.0], [2.0], [4.0]])}, "").of(2, {"a": 4, "b": 3, "c": 1}, like)
    assert phi.dtype is torch.float32
    assert phi.shape == (2 + 2 + 1, 8)
    torch.testing.assert_close(phi @ phi.T, torch.eye(5))
    assert (phi != 0).any(1).tolist() == [True] * 5
    assert [(phi[rows, :4] != 0).any().item() for rows in ([0, 1], [2, 3], [4])] == [True, False, False]
    line = torch.tensor([1.0, 2.0, 4.0])
    torch.testing.assert_close(phi[2:4, 4:7].T @ (phi[2:4, 4:7] @ line), line)
