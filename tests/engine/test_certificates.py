"""KKT residuals of finished runs: those of a plain PyTorch evaluation of all data, whatever way leads there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import certificate_problems
import pytest
import torch
from engine_batches import STEPS, begun, constraint, key, mixed_keys, one_by_one, quadratic, recipe
from torch import Tensor

import cpd
from cpd.engine.batch import Batch
from cpd.engine.results import finished_runs
from cpd.engine.train import train
from cpd.outcome import Kkt, Run, Status
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Train
from cpd.verdict.certificates import OF_START

Bounds = dict[str, Constraint]
FILE = Path(certificate_problems.__file__)
SHARES = {"recall": constraint(0.8, ">="), "precision": constraint(0.7, ">="), "groups": constraint(0.4, "==")}
LARGEST = {"largest": constraint(0.6, "<=")}


def problem(name: str) -> ProblemSource:
    return ProblemSource(target=f"{FILE.name}:{name}", path=str(FILE), source=FILE.read_text(), arguments={})


def finished(batch: Batch) -> tuple[list[Run], list[dict[str, Tensor]]]:
    """The runs of a batch and their models' tensors, those that an average or a selection judges left aside."""
    training = begun(batch)
    for _ in training.spans(training.written()):
        pass
    state = training.state
    tensors = state.parameters | state.buffers
    return finished_runs(training), [{n: t[r] for n, t in tensors.items()} for r in range(len(batch.keys))]


def plain(
    name: str, tensors: dict[str, Tensor], multipliers: Any, bounds: Bounds, strict: bool = False
) -> tuple[float, float]:
    """Norms of the gradient of f and of ``f + lambda g``, all data at once, as a loop of one's own has them."""
    own: cpd.Problem = getattr(certificate_problems, name)()
    model = own.model().double()
    model.load_state_dict(tensors, strict=False)
    at = own.evaluate(model.eval(), tuple(t.double() for t in own.data()))
    total = at.objective
    for constrained, bound in bounds.items():
        value = (
            (at.strict or {}).get(constrained, at.constraints[constrained]) if strict else at.constraints[constrained]
        )
        value = value.value if hasattr(value, "numerator") else value
        sign = -1 if bound.sense == ">=" else 1
        total = total + (torch.tensor(multipliers[constrained], dtype=torch.float64) * sign * value).sum()
    f = torch.autograd.grad(at.objective, list(model.parameters()), retain_graph=True)
    both = torch.autograd.grad(total, list(model.parameters()))
    return tuple(torch.cat([g.reshape(-1) for g in of]).norm().item() for of in (f, both))


def kkt(run: Run) -> Kkt:
    assert run.kkt is not None
    return run.kkt


METHODS = (
    key("lagrangian", {"recall": 0.8, "precision": 0.7, "groups": 0.4}, dual_lr=0.5),
    key("nupi", {"recall": 0.8, "precision": 0.7, "groups": 0.4}, dual_lr=0.5, kp=1.0),
)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_minibatches_together_have_the_gradients_of_all_data(batch_size: int | None) -> None:
    batch = Batch(problem("Shares"), SHARES, recipe(12, batch_size), METHODS)
    runs, models = finished(batch)
    for run, model in zip(runs, models, strict=True):
        f, both = plain("Shares", model, {n: c.multiplier for n, c in run.constraints.items()}, SHARES)
        assert kkt(run).stationarity == pytest.approx(both / f, rel=1e-9)
        assert kkt(run).of == "surrogate", "a recall of decisions has no gradient"
        g = {n: torch.as_tensor(c.value) - SHARES[n].level for n, c in run.constraints.items()}
        violation = [-g["recall"], -g["precision"], g["groups"].abs().max()]
        assert kkt(run).primal == pytest.approx(max(0.0, *map(float, violation)))
        pushing: Any = {n: run.constraints[n].multiplier for n in ("recall", "precision")}
        slack = sum(abs(multiplier * float(g[n])) for n, multiplier in pushing.items())
        assert kkt(run).complementarity == pytest.approx(slack)
        assert kkt(run).dual == 0


@pytest.mark.parametrize(("name", "level"), [("Largest", 0.2), ("Branching", 0.2), ("OwnStrict", 0.2)])
def test_what_is_no_mean_is_looked_at_at_once(name: str, level: float) -> None:
    keys = tuple(key("lagrangian", {"largest": level}, dual_lr=e) for e in (0.5, 1.0))
    batch = Batch(problem(name), LARGEST, recipe(12, 16), keys)
    each = [finished(replace(batch, keys=(k,), fuse=False)) for k in keys] if name == "Branching" else [finished(batch)]
    for runs, models in each:
        for run, model in zip(runs, models, strict=True):
            multiplier = run.constraints["largest"].multiplier
            assert multiplier, "the constraint acts"
            # Of a strict value that has a gradient it is that one's.
            f, both = plain(name, model, {"largest": multiplier}, LARGEST, strict=name == "OwnStrict")
            assert kkt(run).stationarity == pytest.approx(both / f, rel=1e-9)
            assert kkt(run).of == "strict"


def acting(run: Run, g: Tensor, h: float) -> tuple[Tensor, float]:
    """What multiplies the gradients of the four constraints, as the methods' equations have it."""
    if run.key.method == "penalized":
        return torch.full_like(g, 0.1), 0.4
    if run.key.method == "quadratic_penalty":
        return 2 * g.clamp_min(0), 2 * h
    each = torch.tensor(run.constraints["each"].multiplier, dtype=torch.float64)
    total: Any = run.constraints["total"].multiplier
    return (each, total) if run.key.method == "lagrangian" else ((each + 1.5 * g).clamp_min(0), total + 1.5 * h)


def test_methods_without_multipliers_are_asked_what_acts() -> None:
    levels = {"each": 0.9, "total": 2.0}
    keys = [
        key("penalized", levels, coefficient=[0.1, 0.4]),
        key("quadratic_penalty", levels, coefficient=2.0),
        key("lagrangian", levels, dual_lr=0.05),
        key("augmented_lagrangian", levels, dual_lr=0.1, penalty=1.5),
    ]
    for run in train(quadratic(keys, steps=9)).runs:
        x = torch.tensor(run.constraints["each"].value, dtype=torch.float64)
        g, h = 0.9 - x, float(x.sum()) - 2.0
        each, total = acting(run, g, h)
        slope = 2 * (x - 1)
        right = (slope - each + total).norm() / slope.norm()
        assert kkt(run).stationarity == pytest.approx(float(right), rel=1e-5)
        assert kkt(run).complementarity == pytest.approx(float((each * g).abs().sum()), rel=1e-5)
        assert kkt(run).of == "surrogate", "a rounded sum has no gradient but 0"


def test_one_run_alone_has_the_same() -> None:
    batch = quadratic(mixed_keys())
    for one, other in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert kkt(one).stationarity == pytest.approx(kkt(other).stationarity, rel=1e-9)
        assert kkt(one).complementarity == pytest.approx(kkt(other).complementarity, rel=1e-9)


def test_evaluations_that_raise_are_told_and_judge_nothing_else() -> None:
    batch = Batch(problem("OnlyTrains"), LARGEST, recipe(6), (key("lagrangian", {"largest": 0.6}, dual_lr=0.5),))
    trained = train(batch)
    assert trained.runs[0].status is Status.COMPLETED
    assert trained.runs[0].kkt is None
    assert [n for n in trained.notes if "KKT" in n] == [
        "evaluate() raises in eval() mode on all training data, so there are no KKT residuals: "
        "RuntimeError: only trains"
    ]


@pytest.mark.parametrize(("level", "sees"), [(2.0, 0.0), (0.5, 1.0)])
def test_a_projection_takes_its_part_of_the_gradient(level: float, sees: float) -> None:
    # x = (1, 0) in the box; a sum of at most 0.5 takes x1 to 0.5, where 2 (x1 - 2) + lambda = 0.
    bound = {"sum": constraint(level, "<=")}
    keys = (key("lagrangian", {"sum": level}, dual_lr=0.1), key("penalized", {"sum": level}, coefficient=0.0))
    runs = train(Batch(problem("Box"), bound, recipe(400), keys)).runs
    assert kkt(runs[0]).stationarity == pytest.approx(0, abs=1e-6)
    assert kkt(runs[0]).settled
    assert runs[0].constraints["sum"].multiplier == pytest.approx(3 * sees, abs=1e-6)
    assert kkt(runs[1]).stationarity == pytest.approx(0, abs=1e-6), "the corner of the box holds it back"


def test_at_a_minimum_that_no_constraint_touches_the_residual_is_small() -> None:
    bound = {"sum": constraint(5.0, "<=")}
    batch = Batch(problem("Box"), bound, recipe(3), (key("lagrangian", {"sum": 5.0}, dual_lr=0.1),))
    early = kkt(train(batch).runs[0])
    assert early.stationarity is not None
    late = kkt(train(replace(batch, train=recipe(600))).runs[0])
    assert late.stationarity is not None
    assert late.stationarity < 1e-6 < OF_START < early.stationarity


def test_the_iterate_that_is_judged_is_looked_at() -> None:
    bound = {"sum": constraint(0.5, "<=")}
    keys = (key("quadratic_penalty", {"sum": 0.5}, coefficient=1.0, growth=1.1),)
    wanted = Train.model_validate(recipe(40).model_dump() | {"select": "best_feasible", "measure_every": 4})
    (run,) = train(Batch(problem("Box"), bound, wanted, keys)).runs
    assert run.selected_step is not None
    (short,) = train(Batch(problem("Box"), bound, recipe(run.selected_step), keys)).runs
    assert kkt(run).stationarity == pytest.approx(kkt(short).stationarity, rel=1e-6)
    assert kkt(run).complementarity == pytest.approx(kkt(short).complementarity, rel=1e-6)


SLOW = ("dropout", "full batch", "gates")


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.slow] * (k in SLOW)) for k in sorted(STEPS)])
@pytest.mark.parametrize("engine", ["captured", pytest.param("compiled", marks=pytest.mark.slow)])
def test_every_engine_has_the_same(kind: str, engine: Any) -> None:
    batch = replace(STEPS[kind], stepper="eager")
    for one, other in zip(train(batch).runs, train(replace(batch, stepper=engine)).runs, strict=True):
        assert one.kkt is not None, "every kind is evaluated"
        assert kkt(other).stationarity == pytest.approx(kkt(one).stationarity, rel=1e-3)
        assert kkt(other).of == kkt(one).of


def test_diverged_runs_have_none_and_touch_no_others() -> None:
    bound = {"sum": constraint(0.5, "<=")}
    keys = tuple(key("penalized", {"sum": 0.5}, coefficient=c) for c in (1.0, 1e200, 0.0))
    source = replace(Batch(problem("Box"), bound, recipe(10), keys), keys=keys)
    exploding = replace(source, train=recipe(10, optimizer=Optimizer(name="SGD", options={"lr": 1e150})))
    runs = train(exploding).runs
    alone = train(replace(source, keys=keys[:1])).runs[0]
    together = train(source).runs[0]
    assert kkt(together).stationarity == pytest.approx(kkt(alone).stationarity)
    assert all((run.kkt is None) == (run.status is not Status.COMPLETED) for run in runs)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_what_acts_is_seen_at_what_training_evaluates(batch_size: int | None) -> None:
    keys = tuple(key("quadratic_penalty", {"largest": 0.2}, coefficient=c) for c in (3.0, 5.0))
    runs, models = finished(Batch(problem("MeasuresElse"), LARGEST, recipe(12, batch_size), keys))
    for run, model in zip(runs, models, strict=True):
        own = certificate_problems.MeasuresElse()
        network = own.model().double()
        network.load_state_dict(model, strict=False)
        x, y = (t.double() for t in own.data())
        value = own.evaluate(network.eval(), (x, y)).constraints["largest"].item()
        acts = run.key.setting["coefficient"] * max(0.0, value - 0.2)
        f, both = plain("MeasuresElse", model, {"largest": acts}, LARGEST)
        assert kkt(run).stationarity == pytest.approx(both / f, rel=1e-6)
        assert value != run.constraints["largest"].value
