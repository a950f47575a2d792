"""Constraints of which a minibatch shows only some, against plain loops that skip what is not shown."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import share_problems
import torch
from engine_batches import constraint, key, recipe
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.calling import Calls
from cpd.engine.checking import check
from cpd.engine.method_groups import resolved
from cpd.engine.minibatches import Minibatches
from cpd.engine.steppers.packaging import missing_compiler
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY
from cpd.outcome import Run, RunKey, Status
from cpd.problem import Observed
from cpd.shares import Combined, Share
from cpd.spec.models import ProblemSource
from cpd.verdict.feasibility import feasible_share

STEPS, SIZE = 60, 8
LEVELS = {
    "Recall": {"recall": 0.9, "rate": 0.3},
    "Groups": {"recall": 0.4, "rate": 0.3},
    "Each": {"loss": 0.7},
    "Gap": {"recall": -0.1, "rate": 0.3},
    "Masked": {"recall": 0.9, "rate": 0.3},
    "Annealed": {"rate": 0.5},
}
SENSES = {"recall": ">=", "rate": "<=", "loss": "<="}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("penalized", {"coefficient": 0.5}),
    ("quadratic_penalty", {"coefficient": 1.0, "growth": 1.02}),
    ("lagrangian", {"dual_lr": 0.5}),
    ("lagrangian", {"dual_lr": 0.1, "dual_optimizer": "Adam", "restart": True}),
    ("lagrangian", {"dual_lr": 0.2, "update": "simultaneous"}),
    ("nupi", {"dual_lr": 0.2, "kp": 3.0, "nu": 0.5}),
    ("nupi", {"dual_lr": 0.2, "kp": 3.0, "init": "documented"}),
    ("augmented_lagrangian", {"dual_lr": 0.2, "penalty": 0.5, "growth": 1.05, "update": "simultaneous"}),
]


def batch(name: str, steps: int = STEPS, **options: Any) -> Batch:
    file = Path(share_problems.__file__)
    arguments = options.pop("arguments", {})
    problem = ProblemSource(target=f"{file.name}:{name}", path=str(file), source=file.read_text(), arguments=arguments)
    levels = LEVELS[name]
    keys = options.pop("keys", None) or tuple(key(m, levels, **s) for m, s in SETTINGS)
    constraints = {n: constraint(level, SENSES[n]) for n, level in levels.items()}
    return Batch(problem, constraints, recipe(steps, options.pop("size", SIZE)), keys, **options)


def dense(value: Any) -> tuple[Tensor, Tensor]:
    """A value written out by hand, and where the batch shows it."""
    if isinstance(value, Share):
        pairs = zip(value.numerator.reshape(-1), value.denominator.reshape(-1), strict=True)
        parts = [n / d if d > 0 else None for n, d in pairs]
    elif isinstance(value, Combined):  # the difference of two groups
        shares = [leaf for leaf in value.leaves if isinstance(leaf, Share)]
        one, other = (a.numerator / a.denominator if a.denominator > 0 else None for a in shares)
        parts = [None if one is None or other is None else (one - other).abs()]
    elif isinstance(value, Observed):
        places = value.index.tolist()
        own = [[v for v, k in zip(value.values, places, strict=True) if k == j] for j in range(value.size)]
        parts = [torch.stack(vs).mean() if vs else None for vs in own]
    else:
        parts = list(value.reshape(-1))
    there = torch.tensor([part is not None for part in parts])
    return torch.stack([torch.zeros((), dtype=torch.float64) if p is None else p for p in parts]), there


class Plain:
    """A loop of one run: components that a minibatch does not show are left out of everything."""

    def __init__(self, name: str, run: RunKey, steps: int = STEPS, size: int | None = SIZE) -> None:
        torch.manual_seed(run.seed)
        problem = getattr(share_problems, name)()
        model = problem.model().double()
        data = tuple(t.double() if t.is_floating_point() else t for t in problem.data())
        torch.set_default_dtype(torch.float64)
        try:
            self._train(Calls(problem), model, data, Minibatches(data, size, run.seed), run, steps)
        finally:
            torch.set_default_dtype(torch.float32)

    def _train(self, calls: Calls, model: Any, data: Any, batches: Minibatches, run: RunKey, steps: int) -> None:
        descent, names, method = torch.optim.SGD(model.parameters(), lr=0.05), list(run.levels), REGISTRY[run.method]
        setting = {
            n: torch.tensor([v]).double() if isinstance(v, int | float) and not isinstance(v, bool) else v
            for n, v in resolved(run).items()
        }
        states: list[Any] = []
        self.values: list[list[float]] = []
        self.multipliers: list[list[float]] = []
        for step in range(steps):
            done = torch.tensor(step / steps).double()
            at = calls("evaluate", model, batches.next(), {"progress": done})
            surrogate, strict, there, signs, levels = self._violations(at, names, run)
            if not states:
                states = [method.init(setting, torch.zeros(1).double()) for _ in there]
            total = at.objective
            for j in there.nonzero().view(-1).tolist():
                old, off = states[j], torch.tensor([False])
                new = method.update(((strict[j] - levels[j]) * signs[j]).detach().view(1), old, setting, off)
                acting = old if setting.get("update") == "simultaneous" else new
                total = total + method.penalty_term(
                    ((surrogate[j] - levels[j]) * signs[j]).view(1), acting, setting, off
                )
                states[j] = new
            descent.zero_grad()
            total.backward()
            descent.step()
            self.values.append([float(v.detach()) if t else math.nan for v, t in zip(strict, there, strict=True)])
            if method.multipliers is not None:
                self.multipliers.append([float(method.multipliers(state)) for state in states])
        self.parameters = [p.detach() for p in model.parameters()]
        with torch.no_grad():
            at = calls("measure", model.eval(), data, {"progress": torch.ones(()).double()})
        self.objective = float(at.objective)

    @staticmethod
    def _violations(at: Any, names: list[str], run: RunKey) -> tuple[Tensor, ...]:
        surrogates = [dense(at.constraints[n]) for n in names]
        stricts = [dense((at.strict or {}).get(n, at.constraints[n])) for n in names]
        sizes = [len(v) for v, _ in surrogates]
        signs = torch.tensor(
            [-1.0 if SENSES[n] == ">=" else 1.0 for n, k in zip(names, sizes, strict=True) for _ in range(k)]
        )
        levels = torch.tensor([run.levels[n] for n, k in zip(names, sizes, strict=True) for _ in range(k)])
        there = torch.cat([t for _, t in surrogates])
        return torch.cat([v for v, _ in surrogates]), torch.cat([v for v, _ in stricts]), there, signs, levels


def rows(series: Any) -> list[list[float]]:
    """Recorded points, a list each; NaN for a gap."""
    return [[math.nan if x is None else x for x in (p if isinstance(p, list) else [p])] for p in series]


def recorded(run: Run, what: str) -> list[list[float]]:
    assert run.curves is not None
    parts = [rows(points) for points in getattr(run.curves, what).values()]
    return [[x for part in point for x in part] for point in zip(*parts, strict=True)]


def compare(run: Run, plain: Plain, relative: float = 1e-9) -> None:
    assert run.status is Status.COMPLETED, run.error
    assert run.objective == pytest.approx(plain.objective, rel=relative)
    for mine, right in (
        (recorded(run, "constraints"), plain.values),
        (recorded(run, "multipliers"), plain.multipliers),
    ):
        assert len(mine) == len(right)
        for a, b in zip(mine, right, strict=True):
            assert a == pytest.approx(b, rel=relative, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize("name", ["Recall", "Groups", "Each", "Gap"])
def test_what_a_minibatch_does_not_show_is_left_out(name: str, stepper: str) -> None:
    asked = batch(name, stepper=stepper)
    trained = train(asked)
    assert trained.notes == []
    for run in trained.runs:
        plain = Plain(name, run.key)
        assert sum(math.isnan(v) for point in plain.values for v in point) > 20
        compare(run, plain)


def numbers(run: Run) -> tuple[Any, ...]:
    outcomes = [(c.value, c.multiplier, list(c.tail), c.held, c.gradient_norm) for c in run.constraints.values()]
    return run.objective, outcomes, run.metrics, recorded(run, "constraints"), recorded(run, "multipliers")


@pytest.mark.parametrize("name", ["Recall", "Groups", "Each", "Gap"])
def test_many_runs_equal_each_alone(name: str) -> None:
    asked = batch(name, keys=tuple(key(m, LEVELS[name], **s) for m, s in SETTINGS[:4:2]))
    together = train(asked).runs
    for run, one in zip(together, asked.keys, strict=True):
        padded = train(replace(asked, keys=(one,))).runs[0]
        assert str(numbers(run)) == str(numbers(padded))
        compare(train(replace(asked, keys=(one,), fuse=False)).runs[0], Plain(name, one))


@pytest.mark.parametrize("name", ["Recall", "Each"])
def test_a_killed_training_goes_on_bit_by_bit(name: str, tmp_path: Path) -> None:
    asked = batch(name)
    whole = train(asked).runs
    kept, calls = replace(asked, checkpoint=str(tmp_path), checkpoint_every=1e9), 0

    def late() -> bool:
        nonlocal calls
        calls += 1
        return calls == 58

    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=late))
    resumed = train(kept)
    assert [str(numbers(run)) for run in resumed.runs] == [str(numbers(run)) for run in whole]


@pytest.mark.parametrize("name", ["Recall", "Groups", "Each", "Masked"])
def test_a_step_that_shows_nothing_of_a_constraint_is_none_at_which_it_held(name: str) -> None:
    asked = batch(name)
    shares = set()
    for run in train(asked).runs:
        points = [[(v, n) for v, n in zip(p, columns(asked, run), strict=True)] for p in Plain(name, run.key).values]
        for n, outcome in run.constraints.items():
            own = [[v for v, m in p if m == n and not math.isnan(v)] for p in points[STEPS - STEPS // 10 :]]
            sign, level = (-1 if SENSES[n] == ">=" else 1), run.key.levels[n]
            held = [all(sign * (v - level) <= 1e-3 for v in p) for p in own if p]
            share = feasible_share(outcome.tail, level, constraint(level, SENSES[n]), "float64")
            assert share == (sum(held) / len(held) if held else None)
            shares.add((len(held), share))
    assert min(shares)[0] < STEPS // 10 or name != "Recall"
    assert len({share for _, share in shares}) > 1


def columns(asked: Batch, run: Run) -> list[str]:
    """The constraint that each component belongs to."""
    assert run.curves is not None
    return [n for n, points in run.curves.constraints.items() for _ in rows(points)[0]]


def test_an_empty_group_where_models_are_judged_fails_the_run_and_keeps_what_was_trained() -> None:
    asked = batch("Recall", steps=20, arguments={"positives": 0}, size=None)
    for run in train(asked).runs:
        assert run.status is Status.FAILED
        assert run.error == "no example of what is measured counts for recall: there is no value to judge"
        assert run.objective is None
        assert run.constraints["recall"].value is None
        assert run.constraints["recall"].held is None
        assert run.constraints["rate"].value is not None
        assert [v for point in recorded(run, "constraints") for v in point[:1] if not math.isnan(v)] == []
        assert run.curves is not None
        assert len(run.curves.objective) == 20


def test_an_entry_that_the_vector_does_not_have_is_an_error() -> None:
    with pytest.raises(CpdError) as error:
        train(batch("Each", arguments={"shift": 1}))
    assert str(error.value) == (
        "share_problems.py:Each.evaluate(): loss has an entry at place 42 of 42; "
        "give an index from 0 to 41, or a larger size"
    )


@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize("size", [SIZE, None])
def test_progress_is_the_share_of_the_steps_that_are_done(stepper: str, size: int | None) -> None:
    for steps in (60, 40):  # one captured program serves both
        for run in train(batch("Annealed", steps, stepper=stepper, size=size)).runs:
            assert [p[0] for p in recorded(run, "constraints")] == [step / steps for step in range(steps)]
            assert run.metrics == {"done": 1.0}
            compare(run, Plain("Annealed", run.key, steps, size))


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason="there is no C++ compiler")
@pytest.mark.parametrize("name", ["Recall", "Groups", "Each", "Gap", "Annealed"])
def test_compiled_steps_leave_out_what_a_minibatch_does_not_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    trained = train(batch(name, stepper="compiled", size=7))  # minibatches of one size: one program
    assert trained.notes == []
    for run in trained.runs:
        compare(run, Plain(name, run.key, size=7))


def test_a_check_says_what_minibatches_do_not_show() -> None:
    said = {c.check: c for c in check(batch("Recall"))}
    assert said["constraints"].found.startswith("recall = ")
    assert said["constraints"].found.endswith("recall has no example, and is left out, in 2 of 6 minibatches")
    each = {c.check: c for c in check(batch("Each"))}
    assert each["constraints"].found.endswith("a minibatch shows 7 of the 42 of loss on average")
    nobody = {c.check: c for c in check(batch("Recall", arguments={"positives": 0}))}
    assert nobody["constraints"].found.startswith("recall = no example; rate = 0.")
    assert nobody["measure"].found == "no example of what is measured counts for recall: there is no value to judge"
    assert not nobody["measure"].ok
    assert "zero" not in nobody["gradients"].found
