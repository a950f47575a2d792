"""In which forms a problem of Cooper's may come, and what is said of one that does not fit."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from engine_batches import constraint, numbers
from torch import Tensor, nn

import cpd
from cpd.engine.checking import check
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.outcome import Status

cooper: Any = pytest.importorskip("cooper", reason="cooper-optim is not installed: the extra 'test-all' has it")
theirs: Any = pytest.importorskip("cooper_problems")
here: Any = pytest.importorskip("cooper_batches")

X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
TYPES = cooper.ConstraintType


class Sized(cooper.ConstrainedMinimizationProblem):  # type: ignore[misc]  # Cooper may be missing
    """What its functions return, it was given."""

    def __init__(self, state: Callable[[Any], Any], **constraints: Any) -> None:
        super().__init__()
        self.state = state
        for name, own in constraints.items():
            setattr(self, name, own)

    def compute_cmp_state(self, model: nn.Module) -> Any:
        return self.state(self)


def evaluated(kind: type[cpd.Problem], batch: Any = None, **arguments: Any) -> cpd.Evaluation:
    problem = kind(**arguments)
    return problem.evaluate(problem.model(), batch)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 1)


class Plain(cooper.ConstrainedMinimizationProblem):  # type: ignore[misc]
    """A mean to be small and a sum to be above a level."""

    def __init__(self, level: float = 1.0) -> None:
        super().__init__()
        self.level = level
        self.total = theirs.constraint(TYPES.INEQUALITY, 1)

    def of(self, model: nn.Module, x: Tensor, weight: Any = 1.0) -> Any:
        out = (model(x) * weight).sum()
        return cooper.CMPState(out.square(), {self.total: cooper.ConstraintState(self.level - out)}, {"out": out})


class TakesBatch(Plain):
    def compute_cmp_state(self, model: nn.Module, batch: Any) -> Any:
        return self.of(model, batch["x"] if isinstance(batch, dict) else batch[0], 2.0)


class TakesTensors(Plain):
    def compute_cmp_state(self, net: nn.Module, x: Tensor, weight: float = 2.0) -> Any:
        return self.of(net, x, weight)


class TakesOther(Plain):
    def compute_cmp_state(self, x: Tensor, which: str, model: nn.Module) -> Any:
        return self.of(model, x, {"twice": 2.0}[which])


class Holds(Plain):
    def __init__(self, model: Any = None, level: float = 1.0) -> None:
        super().__init__(level)
        self.own = net() if model is None else model

    def compute_cmp_state(self, x: Tensor = X) -> Any:
        return self.of(self.own, x, 2.0)


WAYS: dict[str, tuple[type[cpd.Problem], Any]] = {
    "a batch as a whole": (cpd.from_cooper(TakesBatch, model=net), (X, X)),
    "a dict as a whole": (cpd.from_cooper(TakesBatch, model=net), {"x": X, "y": X}),
    "tensors in their order": (cpd.from_cooper(TakesTensors, model=net), (X,)),
    "tensors by name": (cpd.from_cooper(TakesTensors, model=net), {"x": X, "other": X}),
    "as one says": (
        cpd.from_cooper(TakesOther, model=net, call=lambda cmp, model, b: cmp.compute_cmp_state(b[0], "twice", model)),
        (X,),
    ),
    "with a model of its own": (cpd.from_cooper(Holds), (X,)),
    "with data of its own": (cpd.from_cooper(Holds), None),
    "made with the model": (cpd.from_cooper(Holds, model=net), (X,)),
    "made by a function": (cpd.from_cooper(lambda model, level=1.0: Holds(model, level), model=net), (X,)),
    "made by a partial function": (cpd.from_cooper(partial(TakesTensors, level=1.0), model=net), (X,)),
    "that is there already": (cpd.from_cooper(Holds()), (X,)),
    "that is there, with a model from outside": (cpd.from_cooper(TakesTensors(), model=net), (X,)),
}


@pytest.mark.parametrize("name", list(WAYS))
def test_a_problem_may_take_its_model_and_its_batch_in_many_ways(name: str) -> None:
    kind, given = WAYS[name]
    found = evaluated(kind, given)
    out = 2 * net()(X).sum()
    assert torch.equal(found.objective, out.square())
    assert torch.equal(found.constraints["total"], 1 - out)
    assert found.strict is None
    assert torch.equal(found.metrics["out"], out)


def test_a_problem_that_is_there_already_starts_where_it_stood() -> None:
    kind = cpd.from_cooper(Holds())
    problem = kind()
    with torch.no_grad():
        problem.model().double().own.weight.add_(1)  # type: ignore[operator, union-attr]
    assert torch.equal(problem.evaluate(problem.model(), (X,)).objective, (2 * net()(X).sum()).square())


def test_arguments_are_those_of_the_functions() -> None:
    def make(scale: float = 1.0) -> nn.Module:
        model = net()
        with torch.no_grad():
            model.weight.mul_(scale)  # type: ignore[operator]
        return model

    kind = cpd.from_cooper(TakesTensors, model=make, data=lambda count: (X[:count],))
    problem = kind(level=3.0, scale=0.0, count=1)  # type: ignore[call-arg]
    (x,) = problem.data()
    assert x.shape == (1, 2)
    found = problem.evaluate(problem.model(), (x,))
    assert torch.equal(found.constraints["total"], 3 - 2 * net().bias.sum())  # type: ignore[operator]


def test_a_run_has_the_metrics_of_misc_and_its_arguments_levels() -> None:
    asked = here.batch("Rate", ("lagrangian", {"dual_lr": 0.3}), arguments={"level": 0.9})
    (run,), (other,) = train(asked).runs, train(replace(asked, problem=here.batch("Rate").problem)).runs
    assert run.metrics.keys() == {"accuracy"}
    assert run.curves is not None
    assert other.curves is not None
    first = [curves.constraints["rate"][0] for curves in (run.curves, other.curves)]
    assert first[0] == pytest.approx(first[1] - 0.05), "0.95 is what the class has"


def test_seeds_precision_and_a_norms_statistics_are_each_runs_own() -> None:
    """Fused runs are each the same as alone, whatever their seed, with a model that has buffers, in float32."""
    asked = here.batch("Normed", *(("lagrangian", {"dual_lr": d}) for d in (0.1, 0.3)), dtype="float32", seeds=(1, 2))
    for run, key in zip(train(asked).runs, asked.keys, strict=True):
        (alone,) = train(replace(asked, keys=(key,), fuse=False)).runs
        assert run.status is alone.status is Status.COMPLETED
        assert run.objective == pytest.approx(alone.objective, rel=1e-5)
        assert run.constraints["norm"].multiplier == pytest.approx(alone.constraints["norm"].multiplier, rel=1e-5)


def test_check_says_what_is_fused_and_what_is_not() -> None:
    def said(name: str) -> str:
        return next(
            one.found for one in check(here.batch(name, ("lagrangian", {"dual_lr": 0.1}))) if one.check == "fusing"
        )

    assert said("Rate").startswith("fusable")
    assert "one at a time" in said("Branching")


def test_a_counter_of_the_problem_is_resumed_where_it_stood(tmp_path: Any) -> None:
    asked = here.batch("Resting", ("lagrangian", {"dual_lr": 0.3}), ("nupi", {"dual_lr": 0.3, "kp": 2.0}))
    whole, calls = train(asked).runs, 0
    kept = replace(asked, checkpoint=str(tmp_path), checkpoint_every=1e9)

    def late() -> bool:
        nonlocal calls
        calls += 1
        return calls == 10

    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=late))
    assert [str(numbers(run)) for run in train(kept).runs] == [str(numbers(run)) for run in whole]


def test_senses_are_those_of_cooper() -> None:
    asked = here.batch("Point", ("lagrangian", {"dual_lr": 0.1}))
    wrong = replace(asked, constraints={**asked.constraints, "inside": constraint(0.0, ">=")})
    with pytest.raises(CpdError, match=r'constraints\.inside\.sense: >= for a violation .* wants <= 0; write "<= 0"'):
        train(wrong)


def state(**violations: Any) -> Callable[[Any], Any]:
    def of(cmp: Any) -> Any:
        states = {n: v if hasattr(v, "violation") else cooper.ConstraintState(v) for n, v in violations.items()}
        return cooper.CMPState(torch.zeros(()), {getattr(cmp, n): one for n, one in states.items()})

    return of


ONE, TWO = theirs.constraint, torch.zeros(2)
PENALTY = cooper.formulations.QuadraticPenalty


def implicit() -> Any:
    class Implicit(cooper.multipliers.ImplicitMultiplier):  # type: ignore[misc]
        expects_constraint_features = True

        def forward(self, features: Tensor) -> Tensor:
            return features.sum(1)

        def post_step_(self) -> None:
            pass

    return cooper.Constraint(TYPES.EQUALITY, multiplier=Implicit())


def scalar_penalty() -> Any:
    coefficient = cooper.penalty_coefficients.DensePenaltyCoefficient(torch.tensor(1.0))
    return cooper.Constraint(TYPES.INEQUALITY, PENALTY, penalty_coefficient=coefficient)


def unregistered(cmp: Any) -> Any:
    return cooper.CMPState(torch.zeros(()), {ONE(TYPES.EQUALITY, 2): cooper.ConstraintState(TWO)})


FAULTS: list[tuple[Any, dict[str, Any], str]] = [
    (lambda cmp: 3, {}, "returned int; return a cooper.CMPState"),
    (lambda cmp: cooper.CMPState(None, {}), {}, "has no loss"),
    (
        lambda cmp: cooper.CMPState(torch.zeros(()), {ONE(TYPES.EQUALITY, 1): cooper.ConstraintState(TWO)}),
        {},
        "does not have",
    ),
    (state(a=TWO), {"a": lambda: ONE(TYPES.EQUALITY, 3)}, "a: 3 multipliers for 2 violations; write num_constraints=2"),
    (
        state(a=torch.zeros(2, 2)),
        {"a": lambda: ONE(TYPES.EQUALITY, 2)},
        "a: the violation has shape [2, 2]; flatten it",
    ),
    (state(a=TWO), {"a": lambda: ONE(TYPES.EQUALITY, 2, indexed=True)}, "constraint_features are none"),
    (
        state(a=cooper.ConstraintState(TWO, constraint_features=torch.zeros(2, dtype=torch.int32))),
        {"a": lambda: ONE(TYPES.EQUALITY, 2, indexed=True)},
        "constraint_features are int32; give the places of the entries, int64",
    ),
    (
        state(a=cooper.ConstraintState(TWO, constraint_features=torch.zeros(2, 1).long())),
        {"a": implicit},
        "computes its",
    ),
    (state(), {"a": scalar_penalty}, "one penalty coefficient for any number"),
]


@pytest.mark.parametrize(("of", "constraints", "said"), FAULTS)
def test_what_has_no_counterpart_is_refused_in_one_line(of: Any, constraints: dict[str, Any], said: str) -> None:
    made = {name: make() for name, make in constraints.items()}
    kind = cpd.from_cooper(lambda: Sized(of, **made), model=net)
    with pytest.raises(CpdError) as caught:
        evaluated(kind)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_penalty_of_coopers_may_say_that_it_has_no_multiplier_to_move() -> None:
    seen = cooper.ConstraintState(TWO, contributes_to_dual_update=False)
    kind = cpd.from_cooper(lambda: Sized(state(a=seen), a=scalar_penalty()), model=net)
    assert torch.equal(evaluated(kind).constraints["a"], TWO)


@pytest.mark.parametrize("given", [3, nn.Linear, "text", lambda: None])
def test_what_is_no_problem_is_refused(given: Any) -> None:
    with pytest.raises(CpdError, match=r"cpd\.from_cooper\(\): "):
        evaluated(cpd.from_cooper(given, model=net), (X,))


def test_a_problem_without_a_model_and_a_batch_that_does_not_fit_say_what_to_write() -> None:
    with pytest.raises(CpdError, match=r"TakesTensors holds no model to train; .*model=\.\.\."):
        evaluated(cpd.from_cooper(TakesTensors))
    with pytest.raises(CpdError, match=r"takes x, weight besides the model, and data gives 3 tensors; .*call=lambda"):
        evaluated(cpd.from_cooper(TakesTensors, model=net), (X, X, X))
    with pytest.raises(CpdError, match="and data gives a dict with a, b"):
        evaluated(cpd.from_cooper(TakesTensors, model=net), {"a": X, "b": X})
    with pytest.raises(CpdError, match="the function returned int"):
        evaluated(cpd.from_cooper(lambda: 3, model=net))
