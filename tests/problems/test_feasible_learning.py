"""Feasible learning on digits: 1,797 constraints, of which a minibatch shows 128."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

import cpd
from cpd.engine.batch import Batch
from cpd.engine.minibatches import Minibatches
from cpd.engine.train import train
from cpd.outcome import Run, RunKey, Status
from cpd.problems.feasible_learning import IMAGES, FeasibleLearning
from cpd.spec.models import Task
from cpd.spec.reader import load_task

LEVEL = 0.3


def task() -> Task:
    return load_task("feasible_learning")


def runs(task: Task, steps: int | None) -> list[Run]:
    recipe = task.train if steps is None else task.train.model_copy(update={"steps": steps, "epochs": None})
    keys = tuple(RunKey("lagrangian", setting, {"loss": LEVEL}, 1) for setting in task.methods["lagrangian"])
    trained = train(Batch(task.problem, task.constraints, recipe, keys))
    assert trained.notes == []  # one program, steps that agree with those of one run alone
    return trained.runs


def test_multipliers_of_images_that_a_minibatch_does_not_show_do_not_move() -> None:
    steps = 20  # an epoch is 15, the last of which shows 5 images
    order = Minibatches(FeasibleLearning().data(), 128, 1)
    for run in runs(task(), steps):
        assert run.curves is not None
        multipliers = np.array(list(run.curves.multipliers["loss"]))
        values = np.array(list(run.curves.constraints["loss"]), np.float64)
        before = np.zeros(IMAGES)
        for step, (_, _, places) in zip(range(steps), order, strict=False):
            seen = np.isin(np.arange(IMAGES), places.numpy())
            assert (multipliers[step, ~seen] == before[~seen]).all()
            assert (np.isfinite(values[step]) == seen).all()
            moved = np.maximum(before + run.key.setting["dual_lr"] * (values[step] - LEVEL), 0)
            assert multipliers[step, seen] == pytest.approx(moved[seen], rel=1e-5, abs=1e-6)
            before = multipliers[step]
        order = Minibatches(FeasibleLearning().data(), 128, 1)


@pytest.mark.slow
def test_nearly_all_images_come_to_have_a_loss_under_the_level() -> None:
    whole = runs(task(), None)
    below = [np.mean(np.array(run.constraints["loss"].value) <= LEVEL) for run in whole]
    assert [run.status for run in whole] == [Status.COMPLETED] * 9
    assert min(below[4:]) >= 0.95
    assert max(below) > 0.999


def test_a_loss_is_that_of_its_image() -> None:
    problem = FeasibleLearning(hidden=3)
    torch.manual_seed(0)
    model = problem.model()
    inputs, labels, places = problem.data()
    some = torch.tensor([1700, 3, 90])
    at = problem.evaluate(model, (inputs[some], labels[some], places[some]))
    values, there = at.constraints["loss"].spread
    assert there.nonzero().view(-1).tolist() == [3, 90, 1700]
    expected = -model(inputs).log_softmax(-1)[torch.arange(IMAGES), labels]
    assert values[some].tolist() == pytest.approx(expected[some].tolist())
    judged = problem.measure(model, problem.data())
    assert float(judged.metrics["largest_loss"].detach()) == pytest.approx(float(expected.detach().max()))


def test_without_a_hidden_layer_it_comes_to_the_convex_optimum_and_its_multipliers() -> None:
    images, level, decay = 12, 0.5, 0.1
    problem = FeasibleLearning(hidden=0, images=images)
    pixels, labels, _ = problem.data()
    x = np.hstack([pixels.double().numpy(), np.ones((images, 1))])
    gram, own = x @ x.T, np.eye(10)[labels.numpy()]

    def losses(a: np.ndarray) -> np.ndarray:
        logits = gram @ a.reshape(images, 10)
        return np.asarray(logsumexp(logits, axis=1) - (logits * own).sum(1))

    def slopes(a: np.ndarray) -> np.ndarray:
        off = softmax(gram @ a.reshape(images, 10), axis=1) - own
        return np.array(np.einsum("ij,ik->ijk", gram, off).reshape(images, -1))

    # Weights are sums of the images at the optimum, as any others would only make them longer.
    best = minimize(
        lambda a: decay / 2 * (a.reshape(images, 10) * (gram @ a.reshape(images, 10))).sum(),
        np.zeros(images * 10),
        jac=lambda a: decay * (gram @ a.reshape(images, 10)).ravel(),
        constraints={"type": "ineq", "fun": lambda a: level - losses(a), "jac": lambda a: -slopes(a)},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert best.success
    # w A = sum of multiplier times what each image's own class lacks: at its label the i-th row gives the multiplier.
    lacking = own - softmax(gram @ best.x.reshape(images, 10), axis=1)
    expected = decay * (best.x.reshape(images, 10) * lacking).sum(1) / (lacking**2).sum(1)
    assign = (
        "arguments.hidden=0",
        f"arguments.images={images}",
        f"arguments.weight_decay={decay}",
        "train.epochs=3000",
    )
    recipe = ("train.batch_size=all", "train.optimizer={name: SGD, lr: 0.2}", "train.dtype=float64")
    overrides = cpd.Overrides(
        set=(*assign, *recipe, "lagrangian.dual_lr=0.05"), methods=("lagrangian",), levels=(f"loss={level}",)
    )
    (run,) = cpd.sweep("feasible_learning", overrides, cpd.Options(keep=False, engine="captured")).document["runs"]
    assert run["objective"] == pytest.approx(best.fun, rel=1e-3)
    assert np.array(run["constraints"]["loss"]["value"]) == pytest.approx(losses(best.x), abs=2e-3)
    assert np.array(run["constraints"]["loss"]["multiplier"]) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hidden": -1}, "hidden: -1 is no number of units"),
        ({"images": 1798}, "images: 1798 is no number of images; give a whole number from 1 to 1797"),
        ({"images": 0}, "images: 0 is no number"),
        ({"weight_decay": math.nan}, "weight_decay: nan is no weight decay"),
        ({"weight_decay": "1"}, "weight_decay: '1' is no weight decay"),
    ],
)
def test_what_makes_no_problem_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(cpd.CpdError, match=said):
        FeasibleLearning(**arguments)
