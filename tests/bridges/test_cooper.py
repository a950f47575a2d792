"""Problems of Cooper's, trained by cpd: the numbers of Cooper's own optimizers, step by step."""

from typing import Any

import pytest
import torch
from engine_batches import flat

from cpd.engine.minibatches import Minibatches
from cpd.engine.train import train
from cpd.outcome import Run, Status

cooper: Any = pytest.importorskip("cooper", reason="cooper-optim is not installed: the extra 'test-all' has it")
theirs: Any = pytest.importorskip("cooper_problems")
here: Any = pytest.importorskip("cooper_batches")

STEPS, LR, SEED, SIZES = here.STEPS, here.LR, here.SEED, here.SIZES


def started(name: str, formulation: Any) -> tuple[Any, Any, Any]:
    """A problem of Cooper's, what its optimizer moves, and what each roll is given besides the batch."""
    torch.manual_seed(SEED)
    if name == "Point":
        cmp = theirs.Point(formulation)
        cmp.target = cmp.target.double()
        return cmp, torch.nn.ParameterList([cmp.x]).double(), {}
    if name == "Resting":
        x = torch.nn.Parameter(torch.tensor([0.5, -0.5, 0.2]).double())
        return theirs.Resting(formulation), torch.nn.ParameterList([x]), {"x": x}
    model = theirs.linear().double()
    if name == "Sampled":
        return theirs.Sampled(model, formulation), model, {}
    return getattr(theirs, name)(formulation=formulation), model, {"model": model}


def cooper_run(name: str, formulation: Any, dual: Any, optimizer: Any) -> dict[str, list[Any]]:
    """Cooper's own loop: what it evaluates and its multipliers after each roll."""
    cmp, model, given = started(name, formulation)
    primal = torch.optim.SGD(model.parameters(), lr=LR)
    duals = [dual([p]) for p in cmp.dual_parameters()]
    rolling = optimizer(cmp=cmp, primal_optimizers=primal, dual_optimizers=duals)
    data = theirs.points() if name == "Rate" else theirs.numbered() if SIZES[name] else None
    batches = Minibatches(data, SIZES[name], SEED)
    seen: dict[str, list[Any]] = {"objective": []} | {n: [] for n, _ in cmp.named_constraints()}
    for _ in range(STEPS):
        shown = dict(zip(("inputs", "targets", "index"), batches.next() or (), strict=False))
        rolled = rolling.roll(shown | given)
        seen["objective"].append(float(rolled.loss.detach()))
        for own, held in cmp.named_multipliers():
            seen[own].append(held.weight.detach().flatten().tolist())
    return seen


def assert_same(run: Run, cooper: dict[str, list[Any]]) -> None:
    assert run.status is Status.COMPLETED
    assert run.curves is not None
    assert list(run.curves.objective) == pytest.approx(cooper.pop("objective"), rel=1e-12, abs=1e-13)
    for name, multipliers in cooper.items():
        ours = [flat([point]) for point in run.curves.multipliers[name]]
        assert flat(ours) == pytest.approx(flat(multipliers), rel=1e-10, abs=1e-13), name
    assert max(flat(list(cooper.values()))) > 0, "multipliers must have moved for this to mean anything"


def sgd(parameters: Any) -> Any:
    return torch.optim.SGD(parameters, lr=0.3, maximize=True)


def controller(parameters: Any) -> Any:
    gains = {"Kp": torch.tensor(3.0).double(), "Ki": torch.tensor(0.8, dtype=torch.float64), "ema_nu": 0.5}
    return cooper.optim.nuPI(parameters, lr=0.1, init_type=cooper.optim.nuPIInitType.ZEROS, maximize=True, **gains)


ALTERNATING, SIMULTANEOUS = cooper.optim.AlternatingDualPrimalOptimizer, cooper.optim.SimultaneousOptimizer
LAGRANGIAN, AUGMENTED = cooper.formulations.Lagrangian, cooper.formulations.AugmentedLagrangian
NUPI = {"dual_lr": 0.1, "kp": 3.0, "ki": 0.8, "nu": 0.5, "init": "zeros"}
MOMENTUM = {"dual_lr": 0.3, "dual_optimizer": {"name": "SGD", "momentum": 0.5}}


def with_momentum(parameters: Any) -> Any:
    return torch.optim.SGD(parameters, lr=0.3, momentum=0.5, maximize=True)


WAYS: list[tuple[tuple[str, dict[str, Any]], tuple[Any, Any, Any]]] = [
    (("lagrangian", {"dual_lr": 0.3}), (LAGRANGIAN, sgd, ALTERNATING)),
    (("lagrangian", {"dual_lr": 0.3, "update": "simultaneous"}), (LAGRANGIAN, sgd, SIMULTANEOUS)),
    (("nupi", NUPI), (LAGRANGIAN, controller, ALTERNATING)),
    (("augmented_lagrangian", {"dual_lr": 0.3, "penalty": 1.5}), (AUGMENTED, sgd, ALTERNATING)),
]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # of Cooper's controller
@pytest.mark.parametrize("name", ["Rate", "Point", "Sampled"])
@pytest.mark.parametrize("fuse", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_trajectories_are_those_of_cooper(name: str, fuse: bool) -> None:
    runs = train(here.batch(name, *(ours for ours, _ in WAYS), fuse=fuse)).runs
    for run, (_, way) in zip(runs, WAYS, strict=True):
        assert_same(run, cooper_run(name, *way))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", ["Resting", "Apart"])
def test_multipliers_move_apart_from_what_drives_the_model(name: str) -> None:
    """Where a state does not contribute, or has features of its own."""
    momentum = ((WAYS[0][0][0], MOMENTUM), (LAGRANGIAN, with_momentum, ALTERNATING))
    ways = [*WAYS[:3], momentum if name == "Resting" else WAYS[0]]
    for run, (_, way) in zip(train(here.batch(name, *(ours for ours, _ in ways))).runs, ways, strict=True):
        assert_same(run, cooper_run(name, *way))
