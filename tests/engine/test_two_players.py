"""Multipliers that move on examples which the model does not learn on: the numbers of a loop by hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import constraint, key, numbers, recipe
from held_out_problems import EXAMPLES, Positives, drawn
from held_out_problems import __file__ as PROBLEMS  # noqa: N812

from cpd.engine.batch import Batch
from cpd.engine.held_out import Parts, divided, split
from cpd.engine.minibatches import Minibatches
from cpd.engine.paired import APART
from cpd.engine.stacked import default_dtype
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import SpecError
from cpd.outcome import Run, Status
from cpd.spec.held_out import Split
from cpd.spec.models import ProblemSource, Train

LEVEL, STEPS = 0.8, 40
FOUR = Split(share=0.4, seed=3)

Data = tuple[torch.Tensor, torch.Tensor]


def batch(keys: Any, size: int | None = 8, how: Split | None = FOUR, **options: Any) -> Batch:
    text = Path(PROBLEMS).read_text()
    arguments = options.pop("arguments", {})
    cls = options.pop("cls", "Positives")
    problem = ProblemSource(target=f"held_out_problems.py:{cls}", path=PROBLEMS, source=text, arguments=arguments)
    bound = {"recall": constraint(LEVEL, ">=")}
    return Batch(problem, bound, options.pop("train", recipe(STEPS, size)), tuple(keys), held_out=how, **options)


def moved(method: str = "lagrangian", seed: int = 1, **setting: Any) -> Any:
    return key(method, {"recall": LEVEL}, seed=seed, multipliers_on="held_out", **setting)


def parts(how: Split = FOUR, share: float = 0.5) -> tuple[Data, Data, Data]:
    """The examples of the model, of the multipliers, and those that models are judged on."""
    own, _ = split(drawn(0), how, "data()")
    judged, multipliers = divided(Parts(own.held_out), share, how)
    return tuple((x.double(), y) for x, y in (own.training, multipliers.training, judged.training))  # type: ignore[return-value]


def lagrangian(dual_lr: float) -> Any:
    def update(multiplier: float, g: float | None, step: int) -> float:
        return multiplier if g is None else max(0.0, multiplier + dual_lr * g)

    return update


def by_hand(update: Any, size: int | None, seed: int = 1, data: Any = None) -> tuple[float, list[list[float]]]:
    """A loop with one multiplier, and what its model gives on the model's examples and on those that are judged."""
    mine, theirs, judged = data or parts()
    torch.manual_seed(seed)
    problem, multiplier = Positives(), 0.0
    model = problem.model().double()
    batches, others = Minibatches(mine, size, seed), Minibatches(theirs, size, seed + 2 * APART)
    descent = torch.optim.SGD(model.parameters(), lr=0.05)
    with default_dtype(torch.float64):
        for step in range(STEPS):
            with torch.no_grad():
                there = problem.evaluate(model.eval(), others.next()).strict["recall"]  # type: ignore[index]
            g = LEVEL - there.value.item() if there.denominator > 0 else None
            multiplier = update(multiplier, g, step)
            model.train()
            at = problem.evaluate(model, batches.next())
            loss = at.objective
            if at.constraints["recall"].denominator > 0:
                loss = loss + multiplier * (LEVEL - at.constraints["recall"].value)
            descent.zero_grad()
            loss.backward()
            descent.step()
        model.eval()
        with torch.no_grad():
            found = [problem.evaluate(model, each) for each in (mine, judged)]
    return multiplier, [
        [a.objective.item(), a.strict["recall"].value.item(), a.constraints["recall"].value.item()]  # type: ignore[index]
        for a in found
    ]


def found(run: Run) -> tuple[Any, list[list[Any]]]:
    assert run.held_out is not None
    sides = (run, run.held_out)
    values = [[s.objective, s.constraints["recall"].value, s.constraints["recall"].surrogate] for s in sides]
    return run.constraints["recall"].multiplier, values


def assert_by_hand(runs: list[Run], expected: Iterator[Any]) -> None:
    for run, (multiplier, values) in zip(runs, expected, strict=True):
        own, measured = found(run)
        assert own == pytest.approx(multiplier, rel=1e-9)
        assert measured[0] == pytest.approx(values[0], rel=1e-9)
        assert measured[1] == pytest.approx(values[1], rel=1e-9)


RATES = (0.5, 0.02)
WAYS: list[Any] = [
    {"stepper": "eager"},
    {"stepper": "captured"},
    {"stepper": "auto"},
    {"fuse": False},
    pytest.param({"stepper": "compiled"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("size", [8, None])
@pytest.mark.parametrize("way", WAYS)
def test_multipliers_move_on_examples_of_their_own(size: int | None, way: dict[str, Any]) -> None:
    trained = train(batch([moved(dual_lr=rate) for rate in RATES], size, **way))
    assert_by_hand(trained.runs, (by_hand(lagrangian(rate), size) for rate in RATES))
    mine, theirs, judged = (len(part[0]) for part in parts())
    assert (mine, theirs, judged) == (36, 12, 12)
    for run in trained.runs:
        assert run.held_out is not None
        assert (run.examples, run.held_out.examples) == (mine, judged)
    others = ["captured instead of compiled: minibatches are of two data sets"]
    assert trained.notes == (others if size is not None and way == {"stepper": "compiled"} else [])


def paced(multiplier: float, g: float | None, step: int, seen: Any) -> float:
    """Every 3 steps with the mean violation since, smoothed by 0.9, after the first tenth of the steps."""
    if step >= STEPS // 10 and g is not None:
        seen["sum"], seen["count"] = seen["sum"] + g, seen["count"] + 1
    if (step + 1) % 3 or not seen["count"] or step < STEPS // 10:
        return multiplier
    mean = seen["sum"] / seen["count"]
    seen["sum"] = seen["count"] = 0
    seen["smooth"] = mean if seen["smooth"] is None else 0.9 * seen["smooth"] + 0.1 * mean
    return max(0.0, multiplier + 0.5 * float(seen["smooth"]))


@pytest.mark.parametrize("way", [{"stepper": "captured"}, {"fuse": False}])
def test_they_are_driven_as_others_are(way: dict[str, Any]) -> None:
    one = moved(dual_lr=0.5, every=3, smooth=0.9, start=0.1)
    memory: dict[str, Any] = {"sum": 0.0, "count": 0, "smooth": None}
    expected = by_hand(lambda m, g, step: paced(m, g, step, memory), 6)
    assert_by_hand(train(batch([one], 6, **way)).runs, iter([expected]))


@pytest.mark.parametrize("method", ["nupi", "augmented_lagrangian"])
@pytest.mark.parametrize("stepper", ["eager", pytest.param("captured", marks=pytest.mark.slow)])
def test_every_method_with_multipliers_has_it(method: str, stepper: str) -> None:
    setting: Any = {"nupi": {"dual_lr": 0.2}, "augmented_lagrangian": {"dual_lr": 0.2, "penalty": 0.0}}[method]
    # nupi with kp 0, and no penalty, is gradient ascent
    runs = train(batch([moved(method, **setting)], 6, stepper=stepper)).runs
    assert_by_hand(runs, iter([by_hand(lagrangian(0.2), 6)]))


@pytest.mark.parametrize("size", [8, None])
def test_neighbours_change_nothing(size: int | None) -> None:
    level = {"recall": LEVEL}
    others = [key("penalized", level, coefficient=1.0), key("lagrangian", level, dual_lr=0.5)]
    mine = [moved(dual_lr=rate, seed=seed) for rate in RATES for seed in (1, 2)]
    asked = batch([*others, *mine], size)
    asked = replace(asked, train=asked.train.model_copy(update={"multipliers_share": 0.5}))
    together = train(asked).runs
    apart = [train(replace(asked, keys=part)).runs for part in (tuple(others), tuple(mine))]
    assert [numbers(run) for run in together] == [numbers(run) for part in apart for run in part]
    examples = [run.held_out and run.held_out.examples for run in together]
    assert examples == [12] * 6  # all are judged on the same ones


@pytest.mark.parametrize("size", [6, None])
@pytest.mark.parametrize("stepper", ["captured", pytest.param("eager", marks=pytest.mark.slow)])
def test_a_training_goes_on_bit_by_bit(size: int | None, stepper: str, tmp_path: Path) -> None:
    own = batch([moved(dual_lr=rate) for rate in RATES], size, stepper=stepper)
    whole = train(own).runs
    kept = replace(own, checkpoint=str(tmp_path))
    for after in (3, 9):
        calls = iter(range(1000))
        with pytest.raises(Interrupted):
            train(kept, Hooks(stop=lambda calls=calls, after=after: next(calls) == after))  # type: ignore[misc]
    resumed = train(kept).runs
    assert [numbers(run) for run in resumed] == [numbers(run) for run in whole]
    assert [run.held_out for run in resumed] == [run.held_out for run in whole]


@pytest.mark.parametrize("kind", ["dict", "items", "dataset"])
def test_examples_may_be_in_any_form(kind: str) -> None:
    trained = train(batch([moved(dual_lr=0.5)], arguments={"kind": kind}))
    assert_by_hand(trained.runs, iter([by_hand(lagrangian(0.5), 8)]))


@pytest.mark.parametrize("kind", ["tuple", "noisy"])
def test_they_may_be_given_by_the_problem_and_read_anew(kind: str, tmp_path: Path) -> None:
    size = 8 if kind == "tuple" else None  # a share of what is read in parts may have no example in some of them
    own = batch([moved(dual_lr=0.5)], size, None, arguments={"kind": kind, "own": 30})
    own = replace(own, train=own.train.model_copy(update={"multipliers_share": 0.4}))
    trained = train(own)
    (run,) = trained.runs
    assert run.held_out is not None
    assert run.held_out.examples == 18
    if kind == "tuple":
        judged, theirs = divided(Parts(drawn(1, 30)), 0.4, None)
        data = [(x.double(), y) for x, y in (drawn(0), theirs.training, judged.training)]
        assert_by_hand([run], iter([by_hand(lagrangian(0.5), 8, data=data)]))
    kept = replace(own, checkpoint=str(tmp_path))
    calls = iter(range(1000))
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(calls) == 7))
    (resumed,) = train(kept).runs
    assert numbers(resumed) == numbers(run)


def test_groups_keep_their_shares_in_both_halves() -> None:
    how = Split(share=0.5, stratify=1)
    mine, theirs, judged = parts(how)
    assert [int(y.sum()) for _, y in (mine, theirs, judged)] == [6, 3, 3]


def test_windows_of_minibatches_move_the_multipliers_once() -> None:
    """Two minibatches of a half are one of all, for a model without statistics of its own."""
    train_by = Train(steps=20, batch_size=100, optimizer=recipe(1).optimizer, dtype="float64")
    single = train(batch([moved(dual_lr=0.5)], train=train_by)).runs
    windows = train(batch([moved(dual_lr=0.5)], train=train_by.model_copy(update={"accumulate": 2}))).runs
    assert numbers(single[0])[1] == pytest.approx(numbers(windows[0])[1], rel=1e-9)
    assert single[0].constraints["recall"].multiplier == pytest.approx(windows[0].constraints["recall"].multiplier)


def test_a_run_whose_other_examples_are_not_finite_has_diverged() -> None:
    class_ = batch([moved(dual_lr=0.5)], None, cls="Infinite", how=None)
    (run,) = train(class_).runs
    assert run.status is Status.DIVERGED
    assert run.error == "recall (strict) was not finite in step 1"


@pytest.mark.parametrize(
    ("asked", "place", "said"),
    [
        ({"how": None}, "methods.lagrangian.multipliers_on", "there are no held-out examples"),
        ({"how": Split(share=1 / EXAMPLES)}, "train.multipliers_share", "a share of 0.5 of 1 held-out examples leaves"),
    ],
)
def test_it_is_refused_where_there_are_none(asked: dict[str, Any], place: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        train(batch([moved(dual_lr=0.5)], **asked))
    assert raised.value.place == place


def test_a_share_without_held_out_examples_is_refused() -> None:
    plain = batch([key("penalized", {"recall": LEVEL}, coefficient=1.0)], how=None)
    with pytest.raises(SpecError, match="there are no held-out examples"):
        train(replace(plain, train=plain.train.model_copy(update={"multipliers_share": 0.5})))
