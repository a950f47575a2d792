"""Mixtures of iterates: the best one by enumeration, kept as iterates with their shares, in every engine."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_batches import DROPOUT, NORMED, assert_close, begun, constraint, key, mixed_keys, numbers, quadratic, recipe
from engine_batches import source as problem_source
from measured_batches import along, measured

from cpd.engine import replay
from cpd.engine.audit import Finding, audit
from cpd.engine.batch import Batch
from cpd.engine.candidates import MOST, mixed_models
from cpd.engine.measuring import mixture
from cpd.engine.mixtures import Iterates, best_mixture, worth_keeping
from cpd.engine.pruning import Prune
from cpd.engine.steppers.choice import choose
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.outcome import Run, Status
from cpd.spec.held_out import Split
from cpd.spec.models import Constraint, Train


def corners(iterates: Iterates, right: Any) -> Iterator[Any]:
    """Shares of every support whose mean values meet as many bounds (rows of ``right``) as it has iterates but one."""
    n, c = iterates.values.shape
    for size in range(1, c + 2):
        for support in itertools.combinations(range(n), size):
            for components in itertools.combinations(range(c), size - 1):
                for bounds in itertools.product(right, repeat=size - 1):
                    rows = [np.ones(size), *(iterates.values[list(support), j] for j in components)]
                    wanted = [1.0, *(b[j] for b, j in zip(bounds, components, strict=True))]
                    if not np.isfinite(wanted).all() or abs(np.linalg.det(np.stack(rows))) < 1e-9:
                        continue
                    shares = np.zeros(n)
                    shares[list(support)] = np.linalg.solve(np.stack(rows), wanted)
                    if shares.min() >= -1e-12:
                        yield shares


def drawn(rng: Any, n: int, senses: str) -> tuple[Iterates, Any]:
    """Iterates by chance, of constraints at level 0 with tolerance 0.1, and the levels and bounds of each."""
    values = rng.normal(size=(n, len(senses))) + rng.choice([0.0, 0.0, 1.5, -1.5])
    low = np.array([-np.inf if s == "<" else -0.1 for s in senses])
    high = np.array([np.inf if s == ">" else 0.1 for s in senses])
    violations = values * [-1.0 if s == ">" else 1.0 for s in senses]
    equality = np.array([s == "=" for s in senses])
    return Iterates(rng.normal(size=n), values, violations, equality, low, high), (low, high, np.zeros(len(senses)))


@pytest.mark.parametrize("senses", ["<", ">", "=", "<>", "<=", "=>="])
def test_it_is_the_best_of_all_corners(senses: str) -> None:
    rng, verdicts = np.random.default_rng(3), set()
    for n in [1, 2, 3, 4, 5, 6, 7] * 6:
        iterates, (low, high, level) = drawn(rng, n, senses)
        shares, feasible = best_mixture(iterates)
        verdicts.add(feasible)
        assert shares.sum() == pytest.approx(1, abs=1e-12)
        assert (shares >= 0).all()
        assert (shares > 0).sum() <= len(senses) + 1
        loose = iterates._replace(low=low - 1e-9, high=high + 1e-9)
        within = [p for p in corners(iterates, (low, high)) if loose.held(p.clip(0))]
        assert feasible == iterates.held(shares)
        assert feasible == bool(within)
        if feasible:
            assert shares @ iterates.objective <= min(p @ iterates.objective for p in within) + 1e-9
        else:
            least = min(iterates.total(p) for p in corners(iterates, (level,)))
            assert iterates.total(shares) == pytest.approx(least, abs=1e-9)
    assert verdicts == {True, False}


def test_numbers_of_any_size_are_mixed() -> None:
    for scale in (1e-300, 1e-9, 1e150, 1e307):
        values = np.array([[-1.0], [3.0], [0.5]]) * scale
        iterates = Iterates(
            np.array([1.0, 0.0, 0.9]) * scale, values, values, np.array([False]), np.array([-np.inf]), np.zeros(1)
        )
        shares, feasible = best_mixture(iterates)
        assert feasible
        assert shares == pytest.approx([0.75, 0.25, 0], rel=1e-5)
    two = Iterates(np.zeros(2), np.zeros((2, 1)), np.zeros((2, 1)), np.array([True]), np.zeros(1), np.zeros(1))
    assert sorted(best_mixture(two)[0]) == [0, 1]


@pytest.mark.parametrize("senses", ["<", "<>", "=>"])
def test_what_is_given_up_is_never_missed(senses: str) -> None:
    rng, fewer = np.random.default_rng(5), 0
    for _ in range(40):
        iterates, _ = drawn(rng, 14, senses)
        iterates.values[3] = iterates.values[2]
        iterates.violations[3] = iterates.violations[2]
        iterates.objective[3] = iterates.objective[2]
        earlier = np.arange(14) < 10
        kept = worth_keeping(iterates.taken(earlier))
        assert kept.any()
        assert not kept[3]
        fewer += int((~kept).sum())
        some = iterates.taken(np.concatenate([kept, np.ones(4, dtype=bool)]))
        (a, feasible), (b, still) = best_mixture(iterates), best_mixture(some)
        assert feasible == still
        right = a @ iterates.objective if feasible else iterates.total(a)
        assert (b @ some.objective if still else some.total(b)) == pytest.approx(right, abs=1e-6)
    assert fewer > 100


# Trained runs


def at_levels(batch: Batch, *levels: float) -> Batch:
    keys = (replace(one, levels={"rate": level}) for one, level in zip(batch.keys, levels, strict=True))
    return along(replace(batch, keys=tuple(keys)), measure_every=1)


RATES = {
    "norm": at_levels(NORMED, 0.7, 0.57, 0.75),  # the first one comes to 0.58
    "dropout": at_levels(DROPOUT, 0.57, 0.57),
}
"""60 measures, more than are kept."""


def best_pair(run: Run, level: float, tolerance: float) -> float:
    """The least mean objective of two points of a run's curve whose mean rate is as high as it must be."""
    f, g = np.array(measured(run).objective), np.array(measured(run).constraints["rate"])
    found = [f[k] for k in range(len(f)) if g[k] >= level - tolerance]
    for a, b in itertools.permutations(range(len(f)), 2):
        if g[a] >= level - tolerance > g[b]:
            share = (level - tolerance - g[b]) / (g[a] - g[b])
            found.append(share * f[a] + (1 - share) * f[b])
    return float(min(found, default=np.nan))


@pytest.mark.parametrize("stepper", ["eager", "captured", pytest.param("compiled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RATES)
def test_runs_are_judged_by_the_best_mixture_of_their_iterates(name: str, stepper: str) -> None:
    batch = replace(RATES[name], stepper=stepper)
    assert len(measured(train(batch).runs[0]).steps) == 60 > MOST
    verdicts = []
    for last, mixed in zip(train(batch).runs, train(along(batch, select="mixture")).runs, strict=True):
        assert mixed.curves == last.curves
        found, places = measured(mixed), [step - 1 for step, _ in mixed.mixture]
        shares = [share for _, share in mixed.mixture]
        assert (mixed.status, mixed.steps, mixed.selected_step) == (Status.COMPLETED, 60, None)
        assert 1 <= len(shares) <= 2
        assert sum(shares) == pytest.approx(1)

        def mean(curve: Any, shares: list[float] = shares, places: list[int] = places) -> float:
            return float(sum(share * curve[k] for share, k in zip(shares, places, strict=True)))

        rate = mixed.constraints["rate"]
        assert mixed.objective == pytest.approx(mean(found.objective), rel=1e-12)
        assert rate.value == pytest.approx(mean(found.constraints["rate"]), rel=1e-12)
        assert rate.surrogate == pytest.approx(mean(found.surrogates["rate"]), rel=1e-12)
        assert mixed.metrics == pytest.approx({n: mean(values) for n, values in found.metrics.items()})
        assert isinstance(rate.value, float)
        best = best_pair(last, mixed.key.levels["rate"], 1e-3)
        verdicts.append((not np.isnan(best), len(shares)))
        if np.isnan(best):
            assert rate.value == max(found.constraints["rate"])
        else:
            assert mixed.objective == pytest.approx(best, abs=1e-9)
            assert rate.value >= mixed.key.levels["rate"] - 1e-3 - 1e-12
    assert (True, 2) in verdicts
    assert name != "norm" or (False, 1) in verdicts


def test_models_of_a_mixture_are_those_of_its_iterates() -> None:
    batch = along(NORMED, measure_every=1, select="mixture")
    training = begun(batch)
    seen = []
    for _ in training.spans(choose(replace(batch, stepper="eager"), training)):
        seen.append(training.going.step.models(training.state))
    tree, step = training.going.tree, training.going.step
    mixed = mixture(tree.along, step)
    assert mixed is not None
    assert tree.along is not None
    assert tree.along.candidates is not None
    models = mixed_models(tree.along.candidates, mixed, step.models(tree.state))
    assert len(models) == mixed.most == 2
    assert torch.stack([share for share, _ in models]).sum(0).tolist() == pytest.approx([1.0] * 3)
    for row in range(3):
        by_share = {round(share, 9): done for done, share in mixed.of(row)}
        for share, one in models:
            if share[row] > 0:
                then = seen[by_share[round(float(share[row]), 9)] - 1]
                for own, right in ((one.parameters, then.parameters), (one.buffers, then.buffers)):
                    assert all(torch.equal(own[n][row], right[n][row]) for n in right)


def test_held_out_numbers_are_the_means_of_the_iterates() -> None:
    batch = along(replace(RATES["norm"], held_out=Split(share=0.3, seed=1)), select="mixture")
    batch = replace(batch, train=batch.train.model_copy(update={"batch_size": 12}))
    training = begun(batch)
    models = {}
    for _ in training.spans(choose(replace(batch, stepper="eager"), training)):
        models[training.done] = training.going.step.models(training.state)
    runs = train(replace(batch, stepper="eager")).runs
    assert max(len(run.mixture) for run in runs) == 2
    for row, run in enumerate(runs):
        found = [training.prepared.measured(models[step], held_out=True) for step, _ in run.mixture]
        shares = [share for _, share in run.mixture]

        def mean(values: Any, row: int = row, shares: list[float] = shares) -> float:
            return float(sum(share * float(one[row]) for share, one in zip(shares, values, strict=True)))

        assert run.held_out is not None
        assert run.held_out.objective == pytest.approx(mean([at.objective for at in found]), rel=1e-9)
        rate = run.held_out.constraints["rate"]
        assert rate.value == pytest.approx(mean([at.strict[:, 0] for at in found]), rel=1e-9)
        assert rate.surrogate == pytest.approx(mean([at.surrogate[:, 0] for at in found]), rel=1e-9)
        assert rate.value != run.constraints["rate"].value


SEVERAL = replace(
    along(quadratic(mixed_keys()[::3], steps=160), measure_every=2),  # 80 measures
    constraints={"each": constraint(0.5, ">="), "total": constraint(2.0, "==")},
)


@pytest.mark.parametrize("stepper", ["eager", pytest.param("captured", marks=pytest.mark.slow)])
def test_a_mixture_is_never_worse_than_the_best_iterate(stepper: str) -> None:
    batch = replace(SEVERAL, stepper=stepper)
    best, mixed = (train(along(batch, select=select)).runs for select in ("best_feasible", "mixture"))
    several = 0
    for one, other in zip(best, mixed, strict=True):
        several += len(other.mixture) > 1
        assert one.objective is not None
        assert other.objective is not None
        violation = [total_violation(run, batch.constraints) for run in (one, other)]
        within = [largest_violation(run, batch.constraints) <= 1e-3 + 1e-12 for run in (one, other)]
        assert within[1] >= within[0]
        if within[0]:
            assert other.objective <= one.objective + 1e-12
        elif not within[1]:
            assert violation[1] <= violation[0] + 1e-12
    assert several > 1


def violations(run: Run, bounds: dict[str, Constraint]) -> list[float]:
    found = []
    for name, bound in bounds.items():
        value: Any = run.constraints[name].value
        for one in value if isinstance(value, list) else [value]:
            oriented = run.key.levels[name] - one if bound.sense == ">=" else one - run.key.levels[name]
            found.append(abs(oriented) if bound.sense == "==" else max(0.0, oriented))
    return found


def total_violation(run: Run, bounds: Any) -> float:
    return sum(violations(run, bounds))


def largest_violation(run: Run, bounds: Any) -> float:
    return max(violations(run, bounds))


@pytest.mark.parametrize("stepper", ["captured", pytest.param("eager", marks=pytest.mark.slow)])
def test_it_goes_on_bit_by_bit_and_does_not_depend_on_neighbours(stepper: str, tmp_path: Path) -> None:
    batch = along(replace(RATES["norm"], stepper=stepper), select="mixture")
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path))
    for after in (8, 30, 9):
        calls = iter(range(1000))
        with pytest.raises(Interrupted):
            train(kept, Hooks(stop=lambda calls=calls, after=after: next(calls) == after))  # type: ignore[misc]
    resumed = train(kept).runs
    assert [numbers(run) for run in resumed] == [numbers(run) for run in whole]
    assert [run.mixture for run in resumed] == [run.mixture for run in whole]
    alone = train(replace(batch, keys=batch.keys[1:2])).runs[0]
    assert alone.mixture == whole[1].mixture
    assert numbers(alone) == numbers(whole[1])


def test_what_was_kept_since_an_earlier_look_is_forgotten_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = along(replace(RATES["norm"], stepper="captured"), select="mixture")
    expected = train(replace(batch, stepper="eager")).runs
    found: list[int] = []

    def made_up(*given: Any) -> Finding | None:
        found.append(int(given[0].state.step))
        return Finding("what was made up", fused=False) if len(found) == 14 else audit(*given)

    monkeypatch.setattr(replay, "audit", made_up)
    trained = train(batch)
    assert any("what was made up" in note for note in trained.notes)
    for one, other in zip(trained.runs, expected, strict=True):
        assert [step for step, _ in one.mixture] == [step for step, _ in other.mixture]
        assert_close(one, other)


CLIFF = along(
    Batch(
        problem_source("Cliff"),
        {"size": constraint(0.0, "<=")},
        recipe(60),
        tuple(
            key("penalized", {"size": level}, coefficient=c)
            for c, level in ((0.0, 0.0), (0.5, 0.0), (2.0, 0.0), (0.0, -2.0))
        ),
    ),
    measure_every=5,
    select="mixture",
)


def test_a_run_that_diverges_is_judged_by_what_was_before() -> None:
    # x, which is the size, rises by 0.05 a step from -1 (by 0.025 with coefficient 0.5) and is worth -x
    first, second, third, never = train(CLIFF).runs
    assert first.status is Status.COMPLETED
    assert first.error == ("the objective was not finite in step 41; judged by the mixture of its iterates before")
    for run in (first, second):
        assert run.objective == pytest.approx(-1e-3, rel=1e-9)
        assert run.constraints["size"].value == pytest.approx(1e-3, rel=1e-9)
    assert third.status is Status.COMPLETED
    assert never.status is Status.DIVERGED
    assert never.mixture == ()
    pruned = train(replace(CLIFF, prune=Prune())).runs
    assert [run.status.value for run in pruned] == ["completed", "completed", "completed", "pruned"]


def test_a_measure_that_raises_is_in_no_mixture() -> None:
    keys = tuple(key("penalized", {"size": 9.0}, coefficient=c) for c in (0.0, 3.0))
    batch = Batch(problem_source("Touchy", edge=1.5), {"size": constraint(9.0, "<=")}, recipe(60), keys)
    first, _ = train(along(batch, measure_every=10, select="mixture")).runs
    missing = [step for step, f in zip(measured(first).steps, measured(first).objective, strict=True) if f is None]
    assert missing
    assert first.mixture
    assert not {step for step, _ in first.mixture} & set(missing)


@pytest.mark.parametrize(
    ("other", "said"), [({"average": 0.1}, "both select"), ({"stop": {"feasible_for": 2}}, "mixture")]
)
def test_it_is_refused_beside_another_choice(other: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Train.model_validate({"steps": 10, "select": "mixture", **other})


def test_scipy_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    with pytest.raises(CpdError, match="needs scipy"):
        train(along(NORMED, select="mixture"))
