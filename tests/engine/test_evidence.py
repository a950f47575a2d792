"""What is kept of judged examples, against counts and resamples that are made by hand."""

from pathlib import Path
from typing import Any

import evidence_problems
import numpy as np
import pytest
import torch
from engine_batches import constraint, key, recipe
from evidence_problems import EXAMPLES, HELD, drawn
from held_out_problems import Unending
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.items import Stream, stack
from cpd.engine.minibatches import Minibatches
from cpd.engine.remeasuring import resamples_within
from cpd.engine.streams import minibatches
from cpd.engine.train import train
from cpd.engine.windows import Windows
from cpd.outcome import Evidence, Run
from cpd.spec.models import Optimizer, ProblemSource, Train

NAMES = ("hits", "gap", "spread", "soft", "plain", "mixed", "norm")
LEVELS = dict.fromkeys(NAMES, 0.5)
STILL = Optimizer(name="SGD", options={"lr": 1e-30})
"""Nothing moves: the finished model is the one that a seed starts with."""
STEPS = 20  # 0.1 * 20 * 1200 / 24 = 100 resamples


def batch(steps: int = STEPS, seeds: tuple[int, ...] = (1, 2), how: Train | None = None, **options: Any) -> Batch:
    file = Path(evidence_problems.__file__)
    arguments = options.pop("arguments", {})
    problem = ProblemSource(target=f"{file.name}:Sure", path=str(file), source=file.read_text(), arguments=arguments)
    keys = tuple(key("lagrangian", LEVELS, seed=seed, dual_lr=0.1) for seed in seeds)
    how = how or recipe(steps, optimizer=STILL)
    options.setdefault("stepper", "eager")
    return Batch(problem, {n: constraint(0.5, "<=") for n in NAMES}, how, keys, **options)


def decided(seed: int, data: tuple[Tensor, Tensor]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Logits of a seed's model, and the groups."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 1)
    with torch.no_grad():
        return model.double()(data[0].double()).squeeze(-1).numpy(), data[1].numpy()


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def evidence(run: Run, name: str, held_out: bool = True) -> Evidence | None:
    part = run.held_out if held_out else run
    assert part is not None
    return part.constraints[name].evidence


def values(run: Run, name: str, held_out: bool = True) -> Any:
    found = evidence(run, name, held_out)
    assert found is not None
    return np.array(list(found.resampled), float)


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return train(batch()).runs


def test_shares_of_whole_examples_are_counted(runs: list[Run]) -> None:
    for run in runs:
        for held, data in ((False, drawn(1, EXAMPLES)), (True, drawn(2, HELD))):
            logits, group = decided(run.key.seed, data)
            right = [(float((logits[group == g] > 0).sum()), float((group == g).sum())) for g in range(3)]
            assert evidence(run, "hits", held) == Evidence(counted=right)


def test_what_is_calculated_from_decisions_is_resampled_by_their_patterns(runs: list[Run]) -> None:
    for run in runs:
        logits, group = decided(run.key.seed, drawn(2, HELD))
        hit = (logits > 0).astype(float)
        rng, brute = np.random.default_rng(5), []
        for _ in range(20_000):
            # Half an example more that counts, and one that does not, in each share: as weights of what is drawn.
            places = rng.choice(HELD + 4, HELD + 2, p=[*[1 / (HELD + 2)] * HELD, *[0.5 / (HELD + 2)] * 4])
            own = np.concatenate([hit, [1, 0, 1, 0]])[places]
            of = np.concatenate([group, [0, 0, 1, 1]])[places]
            brute.append(abs(own[of == 0].mean() - own[of == 1].mean()) if (of == 0).any() and (of == 1).any() else 9)
        found = values(run, "gap")
        assert len(found) == 2000
        for q in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert np.quantile(found, q) == pytest.approx(np.quantile(brute, q), abs=0.04)
        assert getattr(evidence(run, "gap"), "size", None) == HELD // 3
        assert ((values(run, "spread") >= 0) & (values(run, "spread") <= 1)).all()


def test_weights_are_resampled_example_by_example_alike_for_all_runs(runs: list[Run]) -> None:
    places = np.random.default_rng([0, HELD]).integers(0, HELD, (1000, HELD))
    for run in runs:
        p = sigmoid(decided(run.key.seed, drawn(2, HELD))[0])
        assert values(run, "soft") == pytest.approx(p[places].mean(1), rel=1e-6)
        assert getattr(evidence(run, "soft"), "size", None) == HELD


def test_what_is_no_share_is_measured_again(runs: list[Run]) -> None:
    for run in runs:
        logits, group = decided(run.key.seed, drawn(2, HELD))
        right, mixed = [], []
        for k in range(100):
            places = np.random.default_rng([0, HELD, k]).integers(0, HELD, HELD)
            p = sigmoid(logits[places])
            right.append(p[group[places] > 0].mean())
            mixed.append(p.mean())
        assert values(run, "plain") == pytest.approx(right, rel=1e-6)
        norm = run.constraints["norm"].value
        assert values(run, "mixed") == pytest.approx(np.stack([mixed, [norm] * 100], 1), rel=1e-6)
        # It does not depend on the examples: there is nothing to be unsure of.
        assert values(run, "norm") == pytest.approx([norm] * 100, rel=1e-6)
        assert getattr(evidence(run, "norm"), "size", 0) is None
        for name in ("plain", "mixed", "norm"):
            assert evidence(run, name, held_out=False) is None


WAYS: list[dict[str, Any]] = [{"fuse": False}, {"stepper": "captured"}]


@pytest.mark.parametrize("way", WAYS)
def test_every_engine_keeps_the_same(way: dict[str, Any], runs: list[Run]) -> None:
    for run, other in zip(runs, train(batch(**way)).runs, strict=True):
        for name in NAMES:
            one, own = evidence(run, name), evidence(other, name)
            assert one is not None
            assert own is not None
            assert (one.counted, one.size, len(one.resampled)) == (own.counted, own.size, len(own.resampled))
            if len(one.resampled):
                assert values(other, name) == pytest.approx(values(run, name), rel=1e-6)


def test_a_short_training_measures_nothing_again() -> None:
    assert [resamples_within(*at) for at in ((24_000, 24), (23_999, 24), (10**9, 24), (10**9, 0))] == [100, 0, 1000, 0]
    for run in train(batch(STEPS - 1)).runs:
        assert evidence(run, "plain") is None
        assert evidence(run, "norm") is not None
        assert evidence(run, "hits") is not None
        found = values(run, "mixed")
        assert np.isnan(found[:, 0]).all()
        assert np.isfinite(found[:, 1]).all()


def test_examples_that_are_read_are_counted_and_resampled_as_those_in_memory() -> None:
    small = recipe(3, 7, STILL)
    for run, own in zip(
        train(batch(how=small)).runs, train(batch(how=small, arguments={"read": True})).runs, strict=True
    ):
        assert evidence(own, "hits") == evidence(run, "hits")
        for name in ("gap", "spread", "soft"):
            assert values(own, name) == pytest.approx(values(run, name), rel=1e-5)
        assert evidence(own, "plain") is None
        assert own.held_out is not None
        assert run.held_out is not None
        for name in ("hits", "gap", "spread", "soft"):  # of all examples, whichever minibatches they are read in
            for part, other in ((own, run), (own.held_out, run.held_out)):
                assert part.constraints[name].value == pytest.approx(other.constraints[name].value, rel=1e-6)


def test_a_measure_that_draws_leaves_no_trace_and_is_the_same_again() -> None:
    asked = batch(arguments={"loud": True}, seeds=(1,))
    state = torch.get_rng_state()
    first, again = train(asked).runs[0], train(asked).runs[0]
    assert torch.equal(state, torch.get_rng_state())
    assert len(values(first, "plain")) == 100
    for name in ("gap", "soft", "plain"):
        assert (values(first, name) == values(again, name)).all()


@pytest.mark.parametrize("select", ["last", "best_feasible"])
def test_the_judged_iterate_is_the_one_that_is_looked_at(select: str) -> None:
    moving = recipe(60, optimizer=Optimizer(name="SGD", options={"lr": 2.0}))
    asked = moving.model_copy(update={"select": select, "measure_every": 10})
    for run in train(batch(how=asked)).runs:
        for held in (False, True):
            part = run.held_out if held else run
            assert part is not None
            found = evidence(run, "hits", held)
            assert found is not None
            assert found.counted is not None
            assert part.constraints["hits"].value == pytest.approx([h / n for h, n in found.counted])


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_examples_of_a_training_are_counted_however_they_come(accumulate: int) -> None:
    """Of windows all of their minibatches; of an IterableDataset, whose items nobody counts, those of each step."""
    in_memory: Minibatches = Minibatches((torch.zeros(60, 2),), 7, 0)
    stream = Stream(Unending(), "data()", stack)
    for batches in (in_memory, minibatches(stream, 7, 0)):
        own = Windows(batches, accumulate) if accumulate > 1 else batches
        assert own.usual_size == 7 * accumulate
