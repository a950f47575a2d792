"""Feasible learning on digits: 1,797 constraints, of which a minibatch shows 128."""

import numpy as np
import pytest
import torch

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
    assert [run.status for run in whole] == [Status.COMPLETED] * 5
    assert min(below[2:]) >= 0.95
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


def test_a_wrong_number_of_units_is_refused() -> None:
    with pytest.raises(cpd.CpdError, match="hidden: 0 is no number of units"):
        FeasibleLearning(hidden=0)
