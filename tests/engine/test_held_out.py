"""Examples that no run trains on: which they are, and what models give on them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import begun, constraint, key, numbers, recipe
from held_out_problems import EXAMPLES, KINDS, POSITIVES, Positives, drawn
from held_out_problems import __file__ as PROBLEMS  # noqa: N812
from torch import nn

from cpd.engine.batch import Batch
from cpd.engine.checking import check
from cpd.engine.groups import half_width
from cpd.engine.held_out import shared_examples, split
from cpd.engine.items import JUDGED, Stream, item_seed
from cpd.engine.minibatches import Minibatches
from cpd.engine.stacked import default_dtype
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.training import Training
from cpd.engine.tree import take
from cpd.errors import CpdError
from cpd.outcome import Run, Status
from cpd.spec.held_out import Split
from cpd.spec.models import Optimizer, ProblemSource

STEPS, LEVEL, RATES = 30, 0.8, (0.1, 1.0)
FIFTH = Split(share=0.2)


def batch(how: Split | None = FIFTH, size: int | None = 7, cls: str = "Positives", **options: Any) -> Batch:
    arguments = options.pop("arguments", {})
    problem = ProblemSource(
        target=f"held_out_problems.py:{cls}", path=PROBLEMS, source=Path(PROBLEMS).read_text(), arguments=arguments
    )
    keys = tuple(key("lagrangian", {"recall": LEVEL}, seed=options.get("seed", 1), dual_lr=rate) for rate in RATES)
    options.pop("seed", None)
    train_by = options.pop("train", recipe(STEPS, size))
    return Batch(problem, {"recall": constraint(LEVEL, ">=")}, train_by, keys, held_out=how, **options)


def places(how: Split, count: int = EXAMPLES) -> tuple[list[int], list[int]]:
    """Training and held-out places of a split without strata, as the page has them."""
    held = torch.randperm(count, generator=torch.Generator().manual_seed(how.seed))[: round(how.share * count)]
    chosen = set(held.tolist())
    return [k for k in range(count) if k not in chosen], sorted(chosen)


def plain(dual_lr: float, size: int | None, training: Any, held: Any) -> dict[str, Any]:
    """A loop over the training part alone, and what its model gives on both."""
    torch.manual_seed(1)
    problem = Positives()
    model = problem.model().double()
    training, held = ((x.double(), y) for x, y in (training, held))
    order = Minibatches(training, size, 1)
    with default_dtype(torch.float64):
        _trained(problem, model, order, dual_lr)
        return {name: measured(problem, model, data) for name, data in (("training", training), ("held_out", held))}


def _trained(problem: Positives, model: nn.Module, order: Minibatches, dual_lr: float) -> None:
    descent, multiplier = torch.optim.SGD(model.parameters(), lr=0.05), 0.0
    for _ in range(STEPS):
        at = problem.evaluate(model, order.next())
        assert at.strict is not None
        if (found := at.strict["recall"]).denominator > 0:
            multiplier = max(0.0, multiplier + dual_lr * (LEVEL - found.value.item()))
        descent.zero_grad()
        loss = at.objective
        if at.constraints["recall"].denominator > 0:
            loss = loss + multiplier * (LEVEL - at.constraints["recall"].value)
        loss.backward()
        descent.step()
    model.eval()


def measured(problem: Positives, model: nn.Module, data: Any) -> list[float]:
    with torch.no_grad():
        at = problem.evaluate(model, data)
    assert at.strict is not None
    return [at.objective.item(), at.strict["recall"].value.item(), at.constraints["recall"].value.item()]


def found(run: Run, held_out: bool) -> list[Any]:
    at = run.held_out if held_out else run
    assert at is not None
    outcome = at.constraints["recall"]
    return [at.objective, outcome.value, outcome.surrogate]


def assert_plain(runs: list[Run], size: int | None, training: Any, held: Any) -> None:
    for run, dual_lr in zip(runs, RATES, strict=True):
        expected = plain(dual_lr, size, training, held)
        assert found(run, held_out=False) == pytest.approx(expected["training"], rel=1e-9)
        assert found(run, held_out=True) == pytest.approx(expected["held_out"], rel=1e-9)
        assert run.held_out is not None
        assert (run.examples, run.held_out.examples) == (len(training[0]), len(held[0]))


def parts(how: Split) -> tuple[Any, Any]:
    data = drawn(0)
    training, held = ((tuple(t[part] for t in data)) for part in places(how))
    return training, held


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "noisy"])
def test_a_share_of_the_data_is_not_trained_on_and_measured(kind: str) -> None:
    trained = train(batch(arguments={"kind": kind}))
    assert trained.notes == []
    assert_plain(trained.runs, 7, *parts(FIFTH))


@pytest.mark.parametrize("size", [7, None])
@pytest.mark.parametrize("way", [{"stepper": "captured"}, {"stepper": "eager"}, {"fuse": False}])
def test_examples_of_the_problem_s_own_are_measured(size: int | None, way: dict[str, Any]) -> None:
    trained = train(batch(None, size, arguments={"own": 20}, **way))
    assert trained.notes == []
    assert_plain(trained.runs, size, drawn(0), drawn(1, 20))


def test_to_measure_twice_changes_nothing_of_a_training() -> None:
    without, with_some = train(batch(None)).runs, train(batch(None, arguments={"own": 20})).runs
    assert [numbers(run) for run in without] == [numbers(run) for run in with_some]
    assert all(run.held_out is None for run in without)


# Which examples are held out


@pytest.mark.parametrize(("kind", "entry"), [("tuple", 1), ("list", 1), ("dict", "y"), ("dict", 1), ("items", 1)])
def test_strata_are_found_in_data_of_any_form(kind: str, entry: int | str) -> None:
    one = batch(Split(share=0.25, seed=3, stratify=entry), None, arguments={"kind": kind})
    group = begun(one).prepared
    assert (group.examples(), group.examples(held_out=True)) == (45, 15)
    made, _ = split(drawn(0), Split(share=0.25, seed=3, stratify=1), "data()")
    assert_measured(one, made.held_out)


@pytest.mark.parametrize(("share", "held", "positives"), [(0.25, 15, 3), (0.1, 6, 1), (0.3, 18, 4), (0.02, 1, 0)])
def test_strata_keep_their_shares(share: float, held: int, positives: int) -> None:
    made, _ = split(drawn(0), Split(share=share, seed=3, stratify=1), "data()")
    assert [len(part[1]) for part in made] == [EXAMPLES - held, held]
    assert [int(part[1].sum()) for part in made] == [POSITIVES - positives, positives]


def assert_measured(one: Batch, held: Any) -> None:
    """What the first model gives at its start on held-out examples."""
    training = begun(one)
    at = training.prepared.measured(take(training.prepared.models, [0]), held_out=True)
    model = Positives().model().double()
    model.load_state_dict({n: t[0] for n, t in {**training.prepared.models.parameters, **_buffers(training)}.items()})
    model.eval()
    with default_dtype(torch.float64):
        expected = measured(Positives(), model, (held[0].double(), held[1]))
    assert [at.objective[0].item(), at.strict[0, 0].item(), at.surrogate[0, 0].item()] == pytest.approx(expected)


def _buffers(training: Training) -> dict[str, torch.Tensor]:
    return {**training.prepared.models.buffers, **training.prepared.models.fixed}


def test_the_seed_of_the_split_alone_decides_which() -> None:
    data = (torch.arange(50),)
    parts_of = {seed: split(data, Split(share=0.3, seed=seed), "data()")[0] for seed in (0, 0, 1)}
    for made in parts_of.values():
        assert sorted([*made.training[0].tolist(), *made.held_out[0].tolist()]) == list(range(50))
        assert made.held_out[0].tolist() == sorted(made.held_out[0].tolist())
    assert parts_of[0].held_out[0].tolist() == places(Split(share=0.3), 50)[1]
    assert parts_of[0].held_out[0].tolist() != parts_of[1].held_out[0].tolist()
    one, other = train(batch(seed=1)).runs[0], train(batch(seed=2)).runs[0]  # runs have no say in it
    assert one.held_out is not None
    assert other.held_out is not None
    assert one.held_out.examples == other.held_out.examples


def test_many_labels_of_any_kind_are_kept_apart() -> None:
    labels = torch.tensor([[1, 0], [0, 1], [1, 1]])[torch.arange(90) % 3]
    made, _ = split({"x": torch.arange(90), "meta": {"label": labels}}, Split(share=1 / 3, stratify="meta.label"), "")
    assert made.held_out["meta"]["label"].sum(0).tolist() == [20, 20]
    words = [(torch.zeros(2), "ab"[k % 2]) for k in range(20)]
    made, _ = split(Stream(words, "data()", list, examples=20), Split(share=0.5, stratify=1), "")
    assert sorted(word for _, word in made.held_out.items) == ["a"] * 5 + ["b"] * 5


def test_items_that_are_read_anew_are_held_out_by_their_places() -> None:
    one = batch(Split(share=0.2, stratify=1), 7, arguments={"kind": "noisy"})
    group = begun(one).prepared
    assert isinstance(group.data, Stream)
    kept, held = group.data.items.places, group.held_out.data.items.places  # type: ignore[union-attr]
    assert sorted([*kept, *held]) == list(range(EXAMPLES))
    assert (len(kept), len(held)) == (48, 12)
    x, y = drawn(0)
    noise = []
    for k in range(12):
        torch.manual_seed(item_seed(0, JUDGED, k))
        noise.append(0.1 * torch.randn(3))
    assert_measured(one, (x[held] + torch.stack(noise), y[held]))
    trained = train(one)
    assert [run.held_out.examples for run in trained.runs if run.held_out] == [12, 12]
    assert trained.runs[0].examples == 48


def test_the_constraints_own_examples_are_split_too() -> None:
    run = train(batch(FIFTH, None, "Second")).runs[0]
    assert run.metrics["seen"] == 48
    assert run.held_out is not None
    assert run.held_out.metrics["seen"] == 12
    (own, _), (second, held) = begun(batch(FIFTH, None, "Second")).prepared.data, places(FIFTH)
    assert torch.equal(own[:, 0], drawn(0)[0][second][:, 0].double())  # the same ones as of the data
    group = begun(batch(FIFTH, None, "Second")).prepared.held_out
    assert group is not None
    assert torch.equal(group.data.constraint_batch[0], drawn(0)[0][held].double())
    fewer = train(batch(Split(share=0.5, stratify=1), None, "Second", arguments={"second": 20})).runs[0]
    assert fewer.held_out is not None
    assert (fewer.metrics["seen"], fewer.held_out.metrics["seen"]) == (10, 10)


def test_examples_that_are_drawn_alike_are_not_those_that_are_trained_on() -> None:
    assert train(batch(None, None, "Drawn")).notes == []
    twice = tuple(t.repeat(2, *[1] * (t.dim() - 1)) for t in drawn(0))
    made, _ = split(twice, Split(share=0.5), "")
    assert shared_examples(*made) > 20
    assert shared_examples(drawn(0), drawn(1)) == 0


@pytest.mark.parametrize(
    ("how", "options", "said"),
    [
        (FIFTH, {"arguments": {"kind": "iterable"}}, "an IterableDataset, whose items have no places"),
        (FIFTH, {"arguments": {"kind": "none"}}, "gives no data, of which nothing can be held out"),
        (FIFTH, {"arguments": {"own": 20}}, "a share of data() is to be held out too; keep one of the two"),
        (Split(share=0.005), {}, "a share of 0.005 of 60 examples is none"),
        (Split(share=0.999), {}, "none is left to train on"),
        (Split(share=0.5, stratify=0), {}, "entry 0 of the data has 60 values in 60 examples: no groups"),
        (Split(share=0.5, stratify=2), {}, "the data has no entry 2; it has: 0, 1"),
        (Split(share=0.5, stratify="z"), {"arguments": {"kind": "dict"}}, "the data has no entry z; it has: x, y"),
        (None, {"judge": "held_out"}, "there are no held-out examples; add held_out: 0.2"),
        (None, {"cls": "Careless", "arguments": {"kind": "other"}}, "gives 0, and data() gives 0, 1"),
        (None, {"cls": "Careless", "arguments": {"kind": "unending"}}, "an IterableDataset, of which nobody knows"),
        (None, {"cls": "Attribute"}, "is tuple, and no method; give the attribute another name"),
        (None, {"cls": "Second", "arguments": {"own": 20}}, "no examples of constraint_data()"),
        (FIFTH, {"cls": "Each", "size": None}, "gives 48 values of constraints on the training data and 12"),
        (FIFTH, {"cls": "Apart"}, "recall has entries of examples that are in the other part, 12 of them"),
        (FIFTH, {"cls": "Spoiling", "size": None}, "changes the data in place"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_out_is_refused(how: Split | None, options: dict[str, Any], said: str) -> None:
    with pytest.raises(CpdError, match=re.escape(said)):
        train(batch(how, **{"size": 7, **options}))


def test_groups_that_are_in_both_parts_are_judged() -> None:
    run = train(batch(Split(share=0.5, stratify=2), None, "Apart", arguments={"groups": 4})).runs[0]
    assert run.held_out is not None
    assert run.held_out.error is None
    assert len(run.held_out.constraints["recall"].value) == 4  # type: ignore[arg-type]


# Measures


@pytest.mark.parametrize("way", [{}, {"fuse": False}])
def test_each_measure_finds_generators_and_attributes_as_they_were(way: dict[str, Any]) -> None:
    one = batch(None, 7, "Counting", arguments={"own": 20}, **way)
    without = batch(None, 7, "Counting", **way)
    for run, other in zip(train(one).runs, train(without).runs, strict=True):
        assert numbers(run) == numbers(other)
        assert run.held_out is not None
        assert run.held_out.metrics == run.metrics
        assert run.metrics["calls"] == 1


def measuring(**recipe_of: Any) -> Batch:
    one = recipe(STEPS, 7).model_copy(update={"measure_every": 4, **recipe_of})
    return batch(None, 7, arguments={"own": 20}, train=one)


def test_curves_are_of_held_out_examples_too() -> None:
    for run, dual_lr in zip(train(measuring()).runs, RATES, strict=True):
        assert run.curves is not None
        assert run.curves.measured is not None
        held = run.curves.measured.held_out
        assert held is not None
        assert list(held.steps) == list(run.curves.measured.steps) == [4, 8, 12, 16, 20, 24, 28, 30]
        final = plain(dual_lr, 7, drawn(0), drawn(1, 20))["held_out"]
        last = [held.objective[-1], held.constraints["recall"][-1], held.surrogates["recall"][-1]]
        assert last == pytest.approx(final, rel=1e-9)
        assert run.held_out is not None
        assert held.metrics["rate"][-1] == run.held_out.metrics["rate"]
        assert held.objective != run.curves.measured.objective
        assert run.curves.plain()["measured"]["held_out"]["steps"] == list(held.steps)  # type: ignore[index]


def test_the_iterate_that_is_kept_is_the_one_that_is_measured() -> None:
    for run in train(measuring(select="best_feasible")).runs:
        assert run.curves is not None
        assert run.curves.measured is not None
        assert run.held_out is not None
        held = run.curves.measured.held_out
        assert held is not None
        place = [step == run.selected_step for step in held.steps].index(True)
        assert held.objective[place] == pytest.approx(run.held_out.objective, rel=1e-9)
        assert held.constraints["recall"][place] == run.held_out.constraints["recall"].value


def test_a_killed_training_goes_on_to_the_same(tmp_path: Path) -> None:
    whole, calls = train(measuring()).runs, 0

    def late() -> bool:
        nonlocal calls
        calls += 1
        return calls == 9

    kept = replace(measuring(), checkpoint=str(tmp_path), checkpoint_every=1e9)
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=late))
    for run, other in zip(train(kept).runs, whole, strict=True):
        assert run.held_out == other.held_out
        assert run.curves == other.curves


def test_a_mixture_of_one_has_its_evidence_whoever_its_neighbours_are() -> None:
    own = recipe(STEPS, 7).model_copy(update={"select": "mixture", "measure_every": 3})
    one = batch(Split(share=0.5, stratify=1), 7, train=own, stepper="eager")
    rates = (0.01, 0.1, 1.0, 5.0, 0.5)
    runs = train(replace(one, keys=tuple(key("lagrangian", {"recall": LEVEL}, dual_lr=r) for r in rates))).runs
    assert {len(run.mixture) for run in runs} == {1, 2}
    for run in runs:
        assert run.held_out is not None
        outcome = run.held_out.constraints["recall"]
        if len(run.mixture) == 2:
            assert outcome.evidence is None
            continue
        assert outcome.evidence is not None
        ((hits, of),) = outcome.evidence.counted or []
        assert of == POSITIVES // 2
        assert hits / of == pytest.approx(outcome.value)


def test_a_run_that_diverged_has_no_numbers_and_its_neighbours_keep_theirs() -> None:
    decaying = Optimizer(name="SGD", options={"lr": 0.05, "weight_decay": 0.0})
    one = batch(None, 7, arguments={"own": 20}, train=recipe(STEPS, 7, decaying))
    large: Any = {"train.optimizer.lr": 1e200, "train.optimizer.weight_decay": 1.0}
    wild = replace(one, keys=(*one.keys, key("lagrangian", {"recall": LEVEL}, dual_lr=1.0, **large)))
    *tame, last = train(wild).runs
    assert last.status is Status.DIVERGED
    assert last.held_out is None
    assert_plain(tame, 7, drawn(0), drawn(1, 20))


# Before a training


def test_a_check_says_how_many_examples_decide() -> None:
    said = {one.check: one for one in check(batch(Split(share=0.5, stratify=1), None))}["judged"]
    assert said.ok
    assert said.found == "by held-out examples: recall 80 % +- 28 points on 6 examples"
    by_training = {one.check: one for one in check(batch(Split(share=0.5, stratify=1), None, judge="training"))}[
        "judged"
    ]
    assert by_training.found == "by training data: recall 80 % +- 28 points on 6 examples"
    empty = {one.check: one for one in check(batch(Split(share=0.05, seed=2), None))}["judged"]
    assert not empty.ok
    assert empty.found == "no held-out example counts for recall"
    read_anew = batch(Split(share=0.5, stratify=1), 7, arguments={"kind": "noisy"}, loader_workers=0)
    found = {one.check: one.found for one in check(read_anew)}["judged"]
    assert found == "by held-out examples: recall 80 % +- 28 points on 6 examples"
    endless = batch(None, 7, arguments={"kind": "iterable"}, judge="training", loader_workers=0)
    assert "recall 80 % +- 21 points on 12 examples" in {one.check: one.found for one in check(endless)}["judged"]


def test_a_check_counts_the_smallest_group_of_what_is_calculated_from_shares() -> None:
    one = batch(Split(share=0.5, stratify=1), None, cls="Unlike")
    said = {found.check: found for found in check(replace(one, constraints={"recall": constraint(0.5, "<=")}))}
    assert said["judged"].ok
    assert (
        said["judged"].found == f"by held-out examples: recall on {POSITIVES // 2} examples, the smallest of 2 groups"
    )


@pytest.mark.parametrize(("share", "count", "points"), [(0.7, 359, 4.72), (0.5, 100, 9.62), (1.0, 20, 8.06)])
def test_the_width_of_an_interval(share: float, count: int, points: float) -> None:
    assert 100 * half_width(share, count) == pytest.approx(points, abs=0.005)
