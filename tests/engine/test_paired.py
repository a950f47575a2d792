"""A second stream of data, for the constraints alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_batches import constraint, key, recipe
from share_problems import Twice
from share_problems import __file__ as PROBLEMS  # noqa: N812

from cpd.engine.batch import Batch
from cpd.engine.checking import check
from cpd.engine.minibatches import Minibatches
from cpd.engine.paired import APART, Both, Paired
from cpd.engine.steppers.packaging import missing_compiler
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.outcome import Run
from cpd.spec.models import ProblemSource

STEPS, LEVEL, RATES = 40, 0.3, (0.1, 1.0)


def batch(size: int | None = 8, second: int | None = 7, seed: int = 1, examples: int = 30, **options: object) -> Batch:
    text = Path(PROBLEMS).read_text()
    problem = ProblemSource(
        target="share_problems.py:Twice", path=PROBLEMS, source=text, arguments={"second": examples}
    )
    train = recipe(STEPS, size).model_copy(update={"constraint_batch_size": second})
    keys = tuple(key("lagrangian", {"rate": LEVEL}, seed=seed, dual_lr=rate) for rate in RATES)
    return Batch(problem, {"rate": constraint(LEVEL, "<=")}, train, keys, **options)  # type: ignore[arg-type]


def plain(dual_lr: float, size: int | None, second: int | None) -> tuple[list[float], list[float]]:
    """The objective and the rate at each step of a loop with two loaders."""
    torch.manual_seed(1)
    problem = Twice()
    model = problem.model().double()
    data = tuple(t.double() if t.is_floating_point() else t for t in problem.data())
    first = Minibatches(data, size, 1)
    others = Minibatches((problem.constraint_data()[0].double(),), second, 1 + APART)
    descent, multiplier = torch.optim.SGD(model.parameters(), lr=0.05), 0.0
    objectives, rates = [], []
    for _ in range(STEPS):
        at = problem.evaluate(model, first.next(), others.next(), torch.tensor(0.0))
        rate = at.constraints["rate"]
        multiplier = max(0.0, multiplier + dual_lr * (rate.item() - LEVEL))
        descent.zero_grad()
        (at.objective + multiplier * (rate - LEVEL)).backward()
        descent.step()
        objectives.append(at.objective.item())
        rates.append(rate.item())
    return objectives, rates


def compare(runs: list[Run], size: int | None, second: int | None) -> None:
    for run, dual_lr in zip(runs, RATES, strict=True):
        objectives, rates = plain(dual_lr, size, second)
        assert run.curves is not None
        assert list(run.curves.objective) == pytest.approx(objectives, rel=1e-9)
        assert list(run.curves.constraints["rate"]) == pytest.approx(rates, rel=1e-9)
        assert run.metrics["others"] == 30  # judged on all of it


@pytest.mark.parametrize(("size", "second"), [(8, 7), (None, 7), (8, None), (None, None)])
@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_each_stream_has_its_own_minibatches(stepper: str, size: int | None, second: int | None) -> None:
    trained = train(batch(size, second, stepper=stepper))
    assert trained.notes == []
    compare(trained.runs, size, second)


def test_one_run_alone_and_a_killed_one_see_the_same(tmp_path: Path) -> None:
    compare(train(batch(fuse=False)).runs, 8, 7)
    calls = 0

    def late() -> bool:
        nonlocal calls
        calls += 1
        return calls == 33

    kept = batch(checkpoint=str(tmp_path), checkpoint_every=1e9)
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=late))
    compare(train(kept).runs, 8, 7)


def test_compiled_steps_are_captured_where_minibatches_are_of_two_data_sets() -> None:
    if missing_compiler() is not None:
        pytest.skip("there is no C++ compiler")
    trained = train(batch(stepper="compiled"))
    assert trained.notes == ["captured instead of compiled: minibatches are of two data sets"]
    compare(trained.runs, 8, 7)


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason="there is no C++ compiler")
def test_compiled_steps_see_two_whole_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    trained = train(batch(None, None, stepper="compiled"))
    assert trained.notes == []
    compare(trained.runs, None, None)


def test_data_sets_of_one_size_are_shuffled_apart_and_go_on_where_they_were() -> None:
    def new() -> Paired:
        return Paired.of(Minibatches((torch.arange(10),), 3, 5), (torch.arange(10),), 3, 5)

    pair = new()
    assert pair.peek().batch[0].tolist() != pair.peek().constraint_batch[0].tolist()
    for _ in range(6):
        pair.next()
    state, following = pair.state(), [pair.next() for _ in range(6)]
    again = new()
    again.restore(*state)
    for one, other in zip(following, (again.next() for _ in range(6)), strict=True):
        assert isinstance(one, Both)
        assert one.batch[0].tolist() == other.batch[0].tolist()
        assert one.constraint_batch[0].tolist() == other.constraint_batch[0].tolist()


def test_seeds_have_orders_of_their_own() -> None:
    two = batch(None, 7)
    both = replace(two, keys=(*two.keys, *batch(None, 7, seed=2).keys))
    first, _, third, _ = train(both).runs
    assert first.curves is not None
    assert third.curves is not None
    compare(train(both).runs[:2], None, 7)
    assert first.curves.constraints["rate"] != third.curves.constraints["rate"]


def test_a_stream_that_is_not_there_is_refused_and_a_check_passes() -> None:
    with pytest.raises(CpdError, match="takes a constraint_batch, and there is none; write constraint_data"):
        train(batch(examples=0))
    assert all(one.ok for one in check(batch()))
