"""Values along the way: those of a loop by hand, without a trace; which iterate is judged; which runs end early."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import (
    DROPOUT,
    NORMED,
    QUADRATIC,
    SGD,
    STEPS,
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
from engine_problems import Classifier, Normed
from measured_batches import along, measured

from cpd.engine import prepared, replay
from cpd.engine.audit import Finding, audit
from cpd.engine.batch import Batch
from cpd.engine.measuring import Measuring, judged_models
from cpd.engine.minibatches import Minibatches
from cpd.engine.pruning import Prune
from cpd.engine.stacked import Models, Stack, Stacked
from cpd.engine.steppers.choice import choose
from cpd.engine.train import Hooks, Interrupted, train
from cpd.outcome import Diagnosis, Run, Series, Status
from cpd.problem import Problem
from cpd.spec.measuring import Stop
from cpd.spec.models import Constraint, Train
from cpd.verdict.diagnosis import diagnose
from cpd.verdict.feasibility import holds, violation

FAST = ["eager", "captured"]
ALL = [*FAST, pytest.param("compiled", marks=pytest.mark.slow)]
MOST = [
    "eager",
    pytest.param("captured", marks=pytest.mark.slow),
    pytest.param("compiled", marks=[pytest.mark.slow, pytest.mark.whole]),
]


def without_measures(run: Run) -> Run:
    assert run.curves is not None
    return replace(run, curves=replace(run.curves, measured=None))


def by_hand(problem: Problem, optimizer: Callable[..., Any], dual_lr: float, batch_size: int) -> dict[int, Any]:
    """What a person's loop of 60 steps with a multiplier measures after every step, and the model as it stands."""
    x, y = problem.data()
    data = (x.double(), y)
    torch.manual_seed(1)
    model = problem.model().double()
    start = torch.get_rng_state()
    batches, steps = Minibatches(data, batch_size, 1), optimizer(model.parameters())
    multiplier = torch.zeros((), dtype=torch.float64)
    found = {}
    for done in range(1, 61):
        model.train()
        at = problem.evaluate(model, batches.next())
        assert at.strict is not None
        multiplier = (multiplier + dual_lr * (0.7 - at.strict["rate"])).clamp_min(0)
        steps.zero_grad()
        (at.objective + multiplier * (0.7 - at.constraints["rate"])).backward()
        steps.step()
        with torch.random.fork_rng(), torch.no_grad():
            torch.set_rng_state(start)
            found[done] = (problem.measure(model.eval(), data), {n: t.clone() for n, t in model.state_dict().items()})
    return found


HANDS: dict[str, tuple[Batch, Callable[[float], dict[int, Any]]]] = {
    "norm": (NORMED, lambda e: by_hand(Normed(), lambda p: torch.optim.Adam(p, lr=0.01), e, 25)),
    "dropout": (
        replace(DROPOUT, keys=tuple(key("lagrangian", {"rate": 0.7}, dual_lr=e) for e in (0.1, 0.5))),
        lambda e: by_hand(Classifier(), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), e, 16),
    ),
}


@pytest.mark.parametrize("stepper", [*ALL, "alone"])
@pytest.mark.parametrize("name", HANDS)
def test_curves_are_those_of_a_loop_that_calls_measure(name: str, stepper: str) -> None:
    batch, loop = HANDS[name]
    batch = along(replace(batch, stepper=stepper.replace("alone", "eager"), fuse=stepper != "alone"), measure_every=7)
    for run in train(batch).runs:
        expected, found = loop(run.key.setting["dual_lr"]), measured(run)
        assert found.steps == [7, 14, 21, 28, 35, 42, 49, 56, 60]
        right = [expected[step][0] for step in found.steps]
        assert list(found.objective) == pytest.approx([at.objective.item() for at in right], rel=1e-9)
        assert list(found.surrogates["rate"]) == pytest.approx(
            [at.constraints["rate"].item() for at in right], rel=1e-9
        )
        assert list(found.constraints["rate"]) == [at.strict["rate"].item() for at in right]
        for metric, values in found.metrics.items():
            assert list(values) == pytest.approx([at.metrics[metric].item() for at in right], rel=1e-9)
        assert run.objective == found.objective[-1]


@pytest.mark.parametrize("name", HANDS)
def test_runs_that_are_judged_in_parts_have_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = along(HANDS[name][0], measure_every=7)
    batch = replace(batch, keys=tuple(replace(batch.keys[0], setting={"dual_lr": 0.01 * k}) for k in range(1, 8)))
    whole = [numbers(run) for run in train(batch).runs]
    parts = []

    def noted(self: Stack, models: Models, batch: Any, keep: bool = False) -> Stacked:
        parts.append(models.runs)
        return measure(self, models, batch, keep=keep)

    measure = Stack.measure
    monkeypatch.setattr(Stack, "measure", noted)
    monkeypatch.setattr(prepared, "NEAR", 1)
    assert [numbers(run) for run in train(batch).runs] == whole
    assert {2, 3} < set(parts) <= {1, 2, 3}, "one alone is what all are compared with"


@pytest.mark.parametrize("stepper", MOST)
@pytest.mark.parametrize("name", STEPS)
def test_measures_leave_no_trace(name: str, stepper: str) -> None:
    batch = replace(STEPS[name], stepper=stepper)
    plain, with_measures = train(batch), train(along(batch, measure_every=7))
    assert plain.notes == with_measures.notes
    assert [numbers(run) for run in plain.runs] == [numbers(without_measures(run)) for run in with_measures.runs]
    assert all(run.selected_step is None and not run.ended_early for run in with_measures.runs)


def test_measures_leave_no_trace_of_runs_that_keep_things_in_python() -> None:
    keys = tuple(key("lagrangian", {"size": 1.0}, dual_lr=e) for e in (0.1, 0.5))
    batch = Batch(source("Counting"), {"size": constraint(1.0, "<=")}, recipe(30), keys)
    plain, with_measures = train(batch).runs, train(along(batch, measure_every=4)).runs
    assert [numbers(run) for run in plain] == [numbers(without_measures(run)) for run in with_measures]
    assert list(measured(with_measures[0]).metrics["calls"]) == [5, 9, 13, 17, 21, 25, 29, 31]


# What follows from measures, by the rules as they are written down


def feasible(run: Run, constraints: Mapping[str, Constraint], point: int) -> bool:
    found = measured(run)
    values = {n: found.constraints[n][point] for n in constraints}
    return found.objective[point] is not None and all(
        holds(values[n], run.key.levels[n], bound, "float64") for n, bound in constraints.items()
    )


def total_violation(run: Run, constraints: Mapping[str, Constraint], point: int) -> float:
    total = 0.0
    for name, bound in constraints.items():
        found: Any = violation(measured(run).constraints[name][point], run.key.levels[name], bound.sense)
        each = found if isinstance(found, list) else [found]
        total += sum(abs(v) if bound.sense == "==" else max(v, 0.0) for v in each)
    return total


def best_point(run: Run, constraints: Mapping[str, Constraint]) -> int:
    """Feasible before infeasible, then the lowest objective or the least violation, then the earlier."""
    points = [k for k, f in enumerate(measured(run).objective) if f is not None]

    def rank(k: int) -> tuple[bool, float]:
        within = feasible(run, constraints, k)
        return not within, measured(run).objective[k] if within else total_violation(run, constraints, k)  # type: ignore[return-value]

    return min(points, key=rank)


def end_point(run: Run, constraints: Mapping[str, Constraint], stop: Stop) -> int:
    """The measure at which a run ends, the last one where it does not."""
    row, since, seen = 0, math.inf, []
    for k, f in enumerate(measured(run).objective):
        assert f is not None
        seen.append(f)
        anew = row == 0 or f < since - stop.gap * (max(seen) - min(seen))
        since = f if anew else since
        row = 0 if not feasible(run, constraints, k) else 1 if anew else row + 1
        if row == stop.feasible_for:
            return k
    return len(measured(run).objective) - 1


LOOSE = {name: bound.model_copy(update={"tolerance": 0.05}) for name, bound in QUADRATIC.items()}
WITHIN = [replace(one, levels={"each": 0.0, "total": 0.5}) for one in mixed_keys()[::2]]  # the box is [-0.25, 0.25]
FOLLOWED = {
    "norm": along(NORMED, measure_every=2),
    "dropout": along(DROPOUT, measure_every=3),
    "vector and equality": replace(along(quadratic(mixed_keys(), steps=160), measure_every=4), constraints=LOOSE),
    "projected": replace(along(quadratic(WITHIN, kind="Boxed", steps=100), measure_every=3), constraints=LOOSE),
}


@pytest.mark.parametrize("stepper", MOST)
@pytest.mark.parametrize("name", FOLLOWED)
def test_the_best_that_was_measured_is_judged(name: str, stepper: str) -> None:
    batch = replace(FOLLOWED[name], stepper=stepper)
    lasts, bests = train(batch).runs, train(along(batch, select="best_feasible")).runs
    for last, best in zip(lasts, bests, strict=True):
        point, found = best_point(last, batch.constraints), measured(best)
        assert best.selected_step == found.steps[point]
        assert best.status is Status.COMPLETED
        assert (best.objective, best.steps) == (found.objective[point], last.steps)
        assert best.metrics == {n: values[point] for n, values in found.metrics.items()}
        for n, outcome in best.constraints.items():
            assert (outcome.value, outcome.surrogate) == (found.constraints[n][point], found.surrogates[n][point])
            assert outcome.tail == last.constraints[n].tail
        assert best.curves == last.curves
    assert len({run.selected_step for run in bests}) > 1
    assert any(run.selected_step != run.steps for run in bests)


@pytest.mark.parametrize("stepper", FAST)
def test_parameters_and_buffers_of_the_judged_iterate_are_kept(stepper: str) -> None:
    batch, loop = HANDS["norm"]
    training = begun(along(replace(batch, stepper=stepper), measure_every=2, select="best_feasible"))
    for _ in training.spans(choose(replace(batch, stepper=stepper), training)):
        pass
    (going,) = training.cohorts
    assert going.tree.along is not None
    assert going.tree.along.kept is not None
    models = judged_models(going.step, going.tree.state, going.tree.along)
    for row, step in enumerate(going.tree.along.kept.step.tolist()):
        assert step < 60
        _, expected = loop(going.keys[row].setting["dual_lr"])[step]
        found = {**models.parameters, **models.buffers, **models.fixed}
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            torch.testing.assert_close(tensor[row], expected[name], rtol=1e-9, atol=1e-12)


STOPS = [
    ("eager", Stop(feasible_for=3, gap=0.3)),
    pytest.param("captured", Stop(feasible_for=1), marks=pytest.mark.slow),
    pytest.param("compiled", Stop(feasible_for=4, gap=0.0), marks=pytest.mark.slow),
    pytest.param("alone", Stop(feasible_for=3, gap=0.3), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("stepper", "stop"), STOPS)
@pytest.mark.parametrize("name", FOLLOWED)
def test_a_run_ends_when_it_has_been_feasible_for_long_enough(name: str, stepper: str, stop: Stop) -> None:
    batch = replace(FOLLOWED[name], stepper=stepper.replace("alone", "eager"), fuse=stepper != "alone")
    if stepper == "alone":
        batch = replace(batch, keys=batch.keys[:2])
    wholes, ended = train(batch).runs, train(along(batch, stop=stop)).runs
    early = set()
    for whole, run in zip(wholes, ended, strict=True):
        point = end_point(whole, batch.constraints, stop)
        end = measured(whole).steps[point]
        assert (run.steps, run.ended_early) == (end, end < whole.steps)
        assert run.status is Status.COMPLETED
        assert run.selected_step is None
        assert run.objective == pytest.approx(measured(whole).objective[point], rel=1e-9)
        assert measured(run).steps == measured(whole).steps[: point + 1]
        assert run.curves is not None
        assert whole.curves is not None
        assert run.curves.steps == [step for step in whole.curves.steps if step < end]
        assert list(run.curves.objective) == pytest.approx(list(whole.curves.objective)[: len(run.curves.steps)])
        if run.ended_early:
            early.add(end)
            for n, outcome in run.constraints.items():
                own = list(run.curves.constraints[n])
                tenth = [v for v, step in zip(own, run.curves.steps, strict=True) if step >= end - max(1, end // 10)]
                assert list(outcome.tail) == tenth
                assert outcome.held is None
    assert early or stepper in ("compiled", "alone")  # with these stops no run of some problems ends early


# Engines, batches, interruptions


EVERYTHING = {"select": "best_feasible", "stop": Stop(feasible_for=3, gap=0.3)}


@pytest.mark.slow
def test_it_does_not_depend_on_who_shares_the_batch() -> None:
    batch = along(FOLLOWED["vector and equality"], **EVERYTHING)
    batch = replace(batch, keys=batch.keys[6:10])
    for together, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert (together.steps, together.selected_step) == (alone.steps, alone.selected_step)
        assert_close(together, alone, 1e-7)


ASKED = [
    ("norm", "captured", EVERYTHING),
    ("dropout", "eager", {"stop": Stop(feasible_for=2, gap=1.0)}),
    pytest.param("norm", "eager", {"select": "best_feasible"}, marks=pytest.mark.slow),
    pytest.param("dropout", "captured", {}, marks=pytest.mark.slow),
    pytest.param("vector and equality", "eager", EVERYTHING, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "stepper", "asked"), ASKED)
def test_a_training_goes_on_bit_by_bit(name: str, stepper: str, asked: dict[str, Any], tmp_path: Path) -> None:
    batch = along(replace(FOLLOWED[name], stepper=stepper), **asked)
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path))
    for after in (3, 9, 4):
        calls = iter(range(1000))
        with pytest.raises(Interrupted):
            train(kept, Hooks(stop=lambda calls=calls, after=after: next(calls) == after))  # type: ignore[misc]
    resumed = train(kept).runs
    assert [numbers(run) for run in resumed] == [numbers(run) for run in whole]
    assert [(run.selected_step, run.ended_early) for run in resumed] == [
        (r.selected_step, r.ended_early) for r in whole
    ]


@pytest.mark.slow
def test_what_was_measured_since_an_earlier_look_is_forgotten_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = along(replace(FOLLOWED["vector and equality"], stepper="captured"), **EVERYTHING)
    expected = train(replace(batch, stepper="eager"))
    found: list[int] = []

    def made_up(*given: Any) -> Finding | None:
        found.append(int(given[0].state.step))
        return Finding("what was made up", fused=False) if len(found) == wrong else audit(*given)

    monkeypatch.setattr(replay, "audit", made_up)
    assert len({run.steps for run in expected.runs}) > 3
    for wrong in (1, 9, 19):
        found.clear()
        trained = train(batch)
        assert any("what was made up" in note for note in trained.notes) == (len(found) >= wrong)
        for one, other in zip(trained.runs, expected.runs, strict=True):
            assert (one.steps, one.selected_step, one.ended_early) == (
                other.steps,
                other.selected_step,
                other.ended_early,
            )
            assert_close(one, other)
            assert measured(one).steps == measured(other).steps
            assert list(measured(one).objective) == pytest.approx(list(measured(other).objective), rel=1e-9)


# Runs that diverge


CLIFF = Batch(
    source("Cliff"),
    {"size": constraint(0.0, "<=")},
    recipe(60),
    tuple(
        key("penalized", {"size": level}, coefficient=c)
        for c, level in ((0.0, 0.0), (0.5, 0.0), (2.0, 0.0), (0.0, -2.0))
    ),
)


@pytest.mark.parametrize("stepper", FAST)
def test_a_run_that_diverges_after_a_feasible_measure_is_judged_there(stepper: str) -> None:
    batch = along(replace(CLIFF, stepper=stepper), measure_every=5)
    plain, best = train(batch).runs, train(along(batch, select="best_feasible")).runs
    assert [run.status.value for run in plain] == ["diverged", "completed", "completed", "diverged"]
    # x rises by 0.05 a step from -1 (by 0.025 with coefficient 0.5), and is feasible up to 0.001
    assert [run.selected_step for run in best] == [20, 40, 5, None]
    first, *_, never = best
    assert first.status is Status.COMPLETED
    assert first.objective == pytest.approx(0.0, abs=1e-9)
    assert first.error == "the objective was not finite in step 41; judged at step 20, its best that was measured"
    assert first.steps == 40
    assert measured(first).steps == [5, 10, 15, 20, 25, 30, 35, 40]
    assert first.curves is not None
    assert first.curves.steps == list(range(40))
    assert len(first.constraints["size"].tail) == 4
    assert never.status is Status.DIVERGED
    assert never.objective is None
    assert never.error == "the objective was not finite in step 41"
    for one, other in zip(plain[1:3], best[1:3], strict=True):
        assert numbers(one)[2][0][3] == numbers(other)[2][0][3]


def test_a_run_that_has_a_feasible_iterate_is_not_given_up() -> None:
    batch = along(replace(CLIFF, prune=Prune()), measure_every=5)
    statuses = [
        [run.status.value for run in train(each).runs] for each in (batch, along(batch, select="best_feasible"))
    ]
    assert statuses[0][0] == statuses[0][3] == statuses[1][3] == "pruned"
    assert statuses[1][0] == "completed"


def test_neighbours_do_not_see_who_diverges() -> None:
    asked = {"measure_every": 5, **EVERYTHING}
    wild = key("penalized", {"each": 0.5, "total": 2.0}, coefficient=[1e308, 0.0])
    batch = along(quadratic(mixed_keys(), steps=120), **asked)
    together = train(replace(batch, keys=(*batch.keys, wild))).runs
    assert [numbers(run) for run in together[:-1]] == [numbers(run) for run in train(batch).runs]
    assert together[-1].status is Status.DIVERGED
    assert together[-1].selected_step is None
    assert len(measured(together[-1]).steps) == 0


def test_a_measure_that_raises_is_missing_there() -> None:
    keys = tuple(key("penalized", {"size": 9.0}, coefficient=c) for c in (0.0, 3.0))
    batch = Batch(source("Touchy", edge=1.5), {"size": constraint(9.0, "<=")}, recipe(60), keys)
    trained = train(along(batch, measure_every=10, select="best_feasible"))
    assert trained.notes[-1:] == [
        "measure() raised along the way, and its values are missing there: ValueError: x is over the edge"
    ]
    first, second = trained.runs
    objective = list(measured(first).objective)
    assert objective[0] is not None
    assert objective[-1] is None
    assert first.status is second.status is Status.COMPLETED
    assert first.objective == min(f for f in objective if f is not None)
    assert None not in list(measured(second).objective)


# What runs of different lengths look like


def test_a_run_that_ended_early_ran_out_of_nothing() -> None:
    """It drifts towards its level to the end, as one of an exhausted budget does."""
    batch = along(CLIFF, measure_every=1, stop=Stop(feasible_for=30, gap=1.0))
    run = train(replace(batch, keys=CLIFF.keys[1:2], train=batch.train.model_copy(update={"steps": 400}))).runs[0]
    assert (run.steps, run.ended_early) == (30, True)
    longer = replace(run.constraints["size"], tail=Series.of([-0.5 + k / 100 for k in range(40)]))
    run = replace(run, constraints={"size": longer})
    bounds = {"size": constraint(0.0, "==")}
    assert diagnose(replace(run, ended_early=False), bounds) is Diagnosis.BUDGET_EXHAUSTED
    assert diagnose(run, bounds) is None


def test_a_training_ends_with_its_last_run_and_seconds_go_by_steps() -> None:
    keys = tuple(key("lagrangian", {"size": 1.0}, dual_lr=e) for e in (0.02, 0.1, 0.5))
    batch = Batch(source("Line"), {"size": constraint(1.0, "<=")}, recipe(2000), keys, stepper="eager")
    batch = along(batch, measure_every=10, stop=Stop(feasible_for=2))
    training = begun(batch)
    for _ in training.spans(training.stepper):
        pass
    runs = train(batch).runs
    ends = {run.steps for run in runs}
    assert len(ends) > 1
    assert all(run.ended_early for run in runs)
    assert training.done == max(ends) < 1000
    per_step = [run.seconds / run.steps for run in runs]
    assert per_step == pytest.approx([per_step[0]] * len(runs))


@pytest.mark.parametrize(
    ("asked", "steps", "in_epoch", "every"),
    [
        ({"measure_every": 100}, 1000, 4, 100),
        ({"measure_every": "epoch"}, 1000, 4, 4),
        ({"measure_every": "2.5 epochs"}, 1000, 4, 10),
        ({"measure_every": "0.1 epochs"}, 1000, 4, 1),
        ({"measure_every": "1 epoch"}, 1000, 1, 1),
        ({"select": "best_feasible"}, 1000, 4, 4),
        ({"stop": {"feasible_for": 3}}, 1000, 1, 50),
        ({"select": "best_feasible"}, 7, 1, 1),
        ({"measure_every": 5000}, 1000, 1, 5000),
    ],
)
def test_how_often_models_are_measured(asked: dict[str, Any], steps: int, in_epoch: int, every: int) -> None:
    measuring = Measuring.asked(Train(steps=steps, **asked), steps, in_epoch, 1, [])
    assert measuring is not None
    assert measuring.every == every
    due = [step for step in range(1, steps + 1) if measuring.due(step)]
    assert due == sorted({*range(every, steps + 1, every), steps})
    assert all(measuring.left(done) == min(step for step in due if step > done) - done for done in range(steps))


@pytest.mark.parametrize(("components", "most"), [(1, 500), (2000, 50)])
def test_few_points_are_kept_of_many_measures(components: int, most: int) -> None:
    measuring = Measuring.asked(Train(steps=100_003, measure_every=2), 100_003, 1, components, [])
    assert measuring is not None
    assert most / 2 < len(measuring.marks) <= most
    assert measuring.marks == sorted(set(measuring.marks))
    assert measuring.marks[-1] == 100_003
    assert all(measuring.due(step) for step in measuring.marks)


def test_no_measures_are_no_part_of_a_training() -> None:
    assert Measuring.asked(recipe(100), 100, 1, 1, []) is None
    training = begun(NORMED)
    assert training.measuring is None
    assert training.going.tree.along is None


def test_every_measure_counts_for_what_is_selected_whether_it_stands_on_a_curve_or_not() -> None:
    keys = (key("penalized", {"size": 0.0}, coefficient=0.5),)
    slow = recipe(700, optimizer=SGD.model_copy(update={"options": {"lr": 0.004}}))
    run = train(
        along(
            Batch(source("Cliff"), {"size": constraint(0.0, "<=")}, slow, keys), measure_every=1, select="best_feasible"
        )
    ).runs[0]
    assert run.selected_step == 500  # -1 + 500 * 0.002 is the last within the tolerance of 0.001
    assert run.selected_step not in measured(run).steps
    assert run.objective == pytest.approx(0, abs=1e-9)
