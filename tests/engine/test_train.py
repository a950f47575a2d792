"""The engine: fused equals one by one, bad runs stay alone, resumed equals uninterrupted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_batches import (
    ADAM,
    BUNDLED,
    DROPOUT,
    NORMED,
    assert_close,
    begun,
    constraint,
    key,
    mixed_keys,
    numbers,
    one_by_one,
    quadratic,
    recipe,
    source,
)

from cpd.engine import prepared
from cpd.engine.batch import Batch
from cpd.engine.checkpoint_file import CheckpointStore
from cpd.engine.loading import ProblemRaised
from cpd.engine.minibatches import Minibatches
from cpd.engine.recorder import irregular
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.outcome import Status
from cpd.spec.models import OPTIMIZERS, Optimizer


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BUNDLED))
@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_fused_equals_one_by_one_for_every_bundled_problem(name: str, stepper: str) -> None:
    batch = replace(BUNDLED[name], stepper=stepper)
    for fused, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert fused.status is Status.COMPLETED
        assert_close(fused, alone)


def test_every_method_in_one_batch_equals_one_by_one() -> None:
    batch = quadratic(mixed_keys((1, 2)))
    for fused, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert_close(fused, alone)


def test_dropout_and_minibatches_draw_the_same_numbers_fused_and_alone() -> None:
    levels = {"rate": 0.7}
    keys = [key("lagrangian", levels, s, dual_lr=e) for s in (1, 2) for e in (0.1, 0.5)]
    batch = Batch(source("Classifier"), {"rate": constraint(0.7, ">=")}, recipe(40, 16, ADAM), tuple(keys))
    for fused, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert_close(fused, alone)


def test_a_runs_bits_do_not_depend_on_who_shares_its_batch() -> None:
    keys = mixed_keys((1, 2))
    together = train(quadratic(keys)).runs
    for k in (0, 5, 9, 17):
        assert numbers(train(quadratic([keys[k]])).runs[0]) == numbers(together[k])
    assert [numbers(r) for r in train(quadratic(keys[::-1])).runs] == [numbers(r) for r in together[::-1]]


@pytest.mark.slow
@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_a_lone_run_whose_step_is_large_is_trained_once(stepper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stacked(batch: Batch) -> tuple[int, bool]:
        group = begun(batch).prepared
        assert group.run_size == 2 * 100 * (64 * 12 + 12 * 8 + 8 * 10)  # its matrix products on 100 examples
        return group.models.runs, group.is_large

    batch = replace(BUNDLED["sparsity"], stepper=stepper)
    lone = replace(batch, keys=batch.keys[1:2])
    assert stacked(lone) == (2, False)
    whole = begun(batch)
    before = whole.prepared.run_size
    whole.split([0])
    assert whole.prepared.run_size == before  # whoever has left
    monkeypatch.setattr(prepared, "LARGE_STEP", 100_000)
    assert stacked(lone) == (1, True)
    assert stacked(batch) == (3, True)
    assert_close(train(lone).runs[0], train(batch).runs[1])


@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_a_diverging_run_is_frozen_and_its_neighbours_do_not_notice(stepper: str) -> None:
    keys = mixed_keys()
    wild = key("quadratic_penalty", {"each": 0.5, "total": 2.0}, coefficient=1e6)
    tame = train(quadratic(keys, stepper=stepper)).runs
    runs = train(quadratic([*keys[:4], wild, *keys[4:]], stepper=stepper)).runs
    assert runs[4].status is Status.DIVERGED
    assert runs[4].objective is None
    assert 0 < runs[4].steps < 60
    assert [numbers(r) for r in [*runs[:4], *runs[5:]]] == [numbers(r) for r in tame]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_captured_gives_the_eager_numbers(optimizer: str) -> None:
    recipe_ = Optimizer(name=optimizer, options={"lr": 0.02} | ({"momentum": 0.9} if optimizer == "SGD" else {}))
    batch = quadratic(mixed_keys(), optimizer=recipe_)
    pairs = zip(
        train(replace(batch, stepper="eager")).runs, train(replace(batch, stepper="captured")).runs, strict=True
    )
    for eager, captured in pairs:
        assert_close(eager, captured)


def test_a_step_that_cannot_be_captured_runs_eagerly_and_says_so() -> None:
    batch = replace(DROPOUT, problem=source("Peeking"))
    captured = train(replace(batch, stepper="captured"))
    assert [note.split(":")[0] for note in captured.notes] == ["the step cannot be captured, it runs eagerly"]
    assert [numbers(r) for r in captured.runs] == [numbers(r) for r in train(replace(batch, stepper="eager")).runs]


def test_the_known_optimum_and_multipliers_are_reached() -> None:
    # min sum (x_i - 1)^2 with sum x = 2 and x >= 0.5: x_i = 2/3, mu = 2 (1 - 2/3), no inequality active.
    run = train(quadratic([key("lagrangian", {"each": 0.5, "total": 2.0}, dual_lr=0.1)], steps=600)).runs[0]
    assert run.constraints["each"].value == pytest.approx([2 / 3] * 3, abs=5e-3)
    assert run.constraints["each"].multiplier == [0.0, 0.0, 0.0]
    assert run.constraints["total"].multiplier == pytest.approx(2 / 3, abs=2e-2)
    assert run.constraints["total"].value == pytest.approx(2.0, abs=1e-2)
    # With sum x = 1.2 the floor of 0.5 binds: infeasible together, the equality and the floor pull apart for ever.
    pulled = train(quadratic([key("lagrangian", {"each": 0.5, "total": 1.2}, dual_lr=0.1)], steps=600)).runs[0]
    apart = pulled.constraints["each"].multiplier
    assert isinstance(apart, list)
    assert min(x for x in apart if x is not None) > 1.0
    assert None not in apart


def test_strict_values_drive_the_multiplier_and_the_verdict() -> None:
    run = train(quadratic([key("lagrangian", {"each": -9.0, "total": 2.0}, dual_lr=0.1)], steps=1)).runs[0]
    assert run.curves is not None
    strict = run.curves.constraints["total"][0]
    assert strict == round(strict, 2)
    assert run.curves.multipliers["total"][0] == pytest.approx(0.1 * (strict - 2.0), rel=1e-12)


@pytest.mark.parametrize("fuse", [True, False])
def test_projection_keeps_every_step_inside(fuse: bool) -> None:
    levels = {"each": 0.5, "total": 2.0}
    keys = [key("lagrangian", levels, dual_lr=e) for e in (0.1, 0.3)]
    for run in train(quadratic(keys, kind="Boxed", fuse=fuse)).runs:
        assert run.constraints["each"].value == [0.25, 0.25, 0.25]


@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_a_problem_that_cannot_be_fused_trains_one_run_at_a_time(stepper: str) -> None:
    keys = tuple(key("lagrangian", {"size": 1.0}, s, dual_lr=e) for s in (1, 2) for e in (0.1, 0.2))
    batch = Batch(source("Branching"), {"size": constraint(1.0, "<=")}, recipe(300), keys, stepper=stepper)
    done = train(batch)
    assert [note.split(":")[0] for note in dict.fromkeys(done.notes)] == ["cannot be fused, runs train one at a time"]
    for run in done.runs:
        assert run.constraints["size"].value == pytest.approx(1.0, abs=1e-2)
        assert run.constraints["size"].multiplier == pytest.approx(2.0, abs=5e-2)


def test_a_run_that_raises_fails_alone_with_its_own_traceback() -> None:
    keys = tuple(key("penalized", {"size": 1.0}, coefficient=c) for c in (0.5, -40.0, 1.0))
    batch = Batch(source("Branching", limit=5.0), {"size": constraint(1.0, "<=")}, recipe(50), keys)
    runs = train(batch).runs
    assert [r.status for r in runs] == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
    assert runs[1].error is not None
    assert runs[1].error.splitlines()[-1].startswith("ValueError: x is")
    assert "in evaluate" in runs[1].error
    assert "engine/" not in runs[1].error
    calm = Batch(source("Branching", limit=5.0), {"size": constraint(1.0, "<=")}, recipe(50), (keys[0], keys[2]))
    assert [numbers(r) for r in train(calm).runs] == [numbers(runs[0]), numbers(runs[2])]


def test_a_seed_whose_model_raises_fails_and_the_others_complete() -> None:
    keys = tuple(key("penalized", {"g": 0.0}, s, coefficient=0.1) for s in (1, 2, 3, 4))
    runs = train(Batch(source("Fails", how="odd seeds"), {"g": constraint(0, "<=")}, recipe(5), keys)).runs
    assert [r.status for r in runs] == [Status.FAILED, Status.COMPLETED, Status.FAILED, Status.COMPLETED]
    assert "RuntimeError: no model for odd seeds" in (runs[0].error or "")


BAD = {
    "tensor": "engine_problems.py:Fails.evaluate(): returned Tensor; return cpd.Evaluation(objective, ...)",
    "other name": "constraints.g: engine_problems.py:Fails.evaluate() does not return 'g'; "
    "return it there or remove it here; it returns: h",
    "more": "constraints: engine_problems.py:Fails.evaluate() returns 'h', which is not among them; "
    'add h: {level: VALUE, sense: "<="}; they are: g',
    "shape": "engine_problems.py:Fails.evaluate(): constraints['g'] must be a scalar or [k] tensor, got shape [1, 2]; "
    "reduce or flatten it",
    "strict shape": "engine_problems.py:Fails.evaluate(): strict['g'] has shape [2], constraints['g'] has []; "
    "give both the same shape",
    "strict name": "engine_problems.py:Fails.evaluate(): strict names 'h', which is no constraint; valid: g",
    "objective": "engine_problems.py:Fails.evaluate(): objective must be a scalar tensor, got shape [2]; "
    "reduce it, e.g. with .mean()",
    "metric": "engine_problems.py:Fails.evaluate(): metrics['m'] must be a scalar tensor, got shape [2]; "
    "reduce it, e.g. with .mean()",
    "no module": "engine_problems.py:Fails.model(): returned int; return a torch.nn.Module",
    "list": "engine_problems.py:Fails.data(): entry 2 is a str; return tensors in a tuple, a list or a dict, "
    "a torch Dataset, or None",
    "lengths": "engine_problems.py:Fails.data(): tensors of shapes (3,), (4,) do not hold the same number of examples; "
    "the first dimension of each is the examples",
}


@pytest.mark.parametrize("how", list(BAD))
def test_a_problem_that_breaks_its_contract_is_told_so(how: str) -> None:
    batch = Batch(
        source("Fails", how=how),
        {"g": constraint(0, "<=")},
        recipe(5),
        (key("penalized", {"g": 0.0}, coefficient=1.0),),
    )
    with pytest.raises(CpdError) as caught:
        train(batch)
    assert str(caught.value) == BAD[how]


@pytest.mark.parametrize(
    ("how", "last"),
    [
        ("raise", "KeyError: 'weights'"),
        ("data", "OSError: disk is gone"),
        ("no model", "RuntimeError: no model"),
        ("measure", "ZeroDivisionError: no examples"),
    ],
)
def test_a_problem_that_raises_keeps_its_traceback(how: str, last: str) -> None:
    batch = Batch(
        source("Fails", how=how),
        {"g": constraint(0, "<=")},
        recipe(5),
        (key("penalized", {"g": 0.0}, coefficient=1.0),),
    )
    with pytest.raises(ProblemRaised) as caught:
        train(batch)
    assert caught.value.traceback.splitlines()[-1] == last
    assert "engine_problems.py" in caught.value.traceback


def test_a_measure_that_cannot_be_fused_shows_before_the_training() -> None:
    keys = tuple(key("penalized", {"g": 0.0}, coefficient=c) for c in (0.1, 1.0))
    trained = train(Batch(source("Fails", how="measure item"), {"g": constraint(0, "<=")}, recipe(5), keys))
    assert [r.status for r in trained.runs] == [Status.COMPLETED] * 2
    assert len({r.metrics["m"] for r in trained.runs}) == 2
    (note,) = set(trained.notes)
    assert note.startswith("measure() is called for one run at a time: ")  # and then torch's own words


def test_out_of_memory_reaches_the_caller_who_halves_the_batch() -> None:
    keys = (key("penalized", {"g": 0.0}, coefficient=1.0),)
    with pytest.raises(MemoryError):
        train(Batch(source("Fails", how="memory"), {"g": constraint(0, "<=")}, recipe(5), keys))


@pytest.mark.slow
@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize("kind", ["Quadratic", "Classifier", "Branching", "Normed"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_by_bit(kind: str, stepper: str, tmp_path: Path) -> None:
    batch = {
        "Quadratic": quadratic(mixed_keys((1, 2)), arguments={"noise": 0.1}, optimizer=ADAM, stepper=stepper),
        "Classifier": Batch(
            source("Classifier"),
            {"rate": constraint(0.7, ">=")},
            recipe(60, 16, Optimizer(name="SGD", options={"lr": 0.1, "momentum": 0.9})),
            tuple(key("nupi", {"rate": 0.7}, dual_lr=e, kp=1.0) for e in (0.1, 0.5)),
            stepper=stepper,
        ),
        "Branching": Batch(
            source("Branching"),
            {"size": constraint(1.0, "<=")},
            recipe(60),
            tuple(key("lagrangian", {"size": 1.0}, dual_lr=e) for e in (0.1, 0.5)),
        ),
        "Normed": replace(NORMED, stepper=stepper),
    }[kind]
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    asked = 0
    for _ in range(400):
        calls = iter(range(10_000))

        def stop(calls: Iterator[int] = calls) -> bool:
            return next(calls) >= 6

        try:
            resumed = train(kept, Hooks(stop=stop)).runs
            break
        except Interrupted:
            asked += 1
    assert asked >= 8
    assert [numbers(r) for r in resumed] == [numbers(r) for r in whole]


def test_a_checkpoint_is_of_its_own_batch_only(tmp_path: Path) -> None:
    first = quadratic(mixed_keys(), checkpoint=str(tmp_path), checkpoint_every=0.0)
    train(first)
    other = quadratic(mixed_keys()[:5])
    assert [numbers(r) for r in train(replace(other, checkpoint=str(tmp_path))).runs] == [
        numbers(r) for r in train(other).runs
    ]
    assert CheckpointStore(tmp_path) is not None


def test_minibatches_see_every_example_once_an_epoch_in_the_seeds_order() -> None:
    data = (torch.arange(10), torch.arange(10) * 2)
    batches = Minibatches(data, 4, seed=3)
    epochs = [[batches.next()[0] for _ in range(3)] for _ in range(2)]
    assert [len(b) for b in epochs[0]] == [4, 4, 2]
    assert [sorted(torch.cat(epoch).tolist()) for epoch in epochs] == [list(range(10))] * 2
    assert torch.cat(epochs[0]).tolist() != torch.cat(epochs[1]).tolist()
    again = Minibatches(data, 4, seed=3)
    assert torch.equal(again.next()[0], epochs[0][0])
    assert not torch.equal(torch.cat([Minibatches(data, 10, seed=4).next()[0]]), torch.cat(epochs[0]))


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(quadratic(mixed_keys((1, 2)), arguments={"noise": 0.1}))
    assert torch.equal(torch.rand(3), expected)


def test_recorded_curves_are_thinned_and_the_tail_is_the_last_tenth() -> None:
    run = train(quadratic([key("lagrangian", {"each": 0.5, "total": 2.0}, dual_lr=0.1)], steps=1234)).runs[0]
    assert run.curves is not None
    assert run.curves.steps == irregular(1234, 3)
    assert len(run.curves.objective) == len(run.curves.steps)
    assert len(run.constraints["total"].tail) == 123
    assert run.constraints["total"].tail[-1] == run.curves.constraints["total"][-1]


@pytest.mark.parametrize(
    ("device", "message"), [("cuda:7", "no device 'cuda:7' here"), ("gpu", "unknown device 'gpu'")]
)
def test_a_device_that_is_not_there_is_named(device: str, message: str) -> None:
    with pytest.raises(CpdError) as caught:
        train(quadratic(mixed_keys(), device=device))
    assert str(caught.value).startswith(f"--device: {message}")
    assert "cpu" in str(caught.value)
