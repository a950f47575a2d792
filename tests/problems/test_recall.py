"""Tumours that must be found: values against scikit-learn's, and a training that finds more of them."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score

import cpd
from cpd.problems.recall import Recall


def test_a_recall_is_scikit_learn_s() -> None:
    problem = Recall(columns=3)
    torch.manual_seed(3)
    model = problem.model()
    points, malignant = problem.held_out()
    at = problem.measure(model, (points, malignant))
    assert at.strict is not None
    logits = model(points).squeeze(-1).detach()
    called, kinds, p = (logits > 0).numpy(), malignant.numpy() > 0, torch.sigmoid(logits).double().numpy()
    assert at.objective.item() == pytest.approx(log_loss(kinds, p), rel=1e-5)
    assert at.strict["recall"].value.item() == pytest.approx(recall_score(kinds, called))
    assert at.constraints["recall"].value.item() == pytest.approx(p[kinds].mean())
    expected = {
        "false_alarms": called[~kinds].mean(),
        "precision": precision_score(kinds, called),
        "accuracy": accuracy_score(kinds, called),
    }
    assert {n: v.value.item() for n, v in at.metrics.items()} == pytest.approx(expected, rel=1e-5)


def test_both_parts_are_of_the_table_and_scaled_by_the_training_one() -> None:
    table, kinds = load_breast_cancer(return_X_y=True)
    problem = Recall(columns=30)
    (x, y), (others, theirs) = problem.data(), problem.held_out()
    assert (len(x), len(others), int(y.sum()), int(theirs.sum())) == (341, 228, 127, 85)
    assert torch.allclose(x.mean(0), torch.zeros(30), atol=1e-5)
    assert torch.allclose(x.std(0, unbiased=False), torch.ones(30), atol=1e-4)
    assert others.mean(0).abs().max() > 0.05, "they are not scaled by themselves"
    # Sorted by one column the rows of both parts are those of the table.
    both, labels = torch.cat([x, others])[:, 0].numpy(), torch.cat([y, theirs]).numpy()
    order, tables = np.argsort(both), np.argsort(table[:, 0])
    assert np.corrcoef(both[order], table[tables, 0])[0, 1] == pytest.approx(1, abs=1e-6)
    assert labels.sum() == (kinds == 0).sum() == 212


@pytest.mark.parametrize("columns", [0, 31, 2.0, True, "2"])
def test_other_numbers_of_columns_are_refused(columns: Any) -> None:
    with pytest.raises(cpd.CpdError, match=r"^arguments.columns: .* give a whole number from 1 to 30$"):
        Recall(columns=columns)


def test_a_multiplier_finds_more_tumours_than_no_coefficient() -> None:
    assign = ("train.steps=150", "penalized.coefficient=0", "lagrangian.dual_lr=0.3")
    found = cpd.sweep("recall", cpd.Overrides(set=assign), cpd.Options(keep=False)).document
    assert found["judge"] == "held_out"
    recalls, alarms = [], []
    for run in found["runs"]:
        assert run["held_out"] is not None
        judged = run["held_out"]["constraints"]["recall"]
        assert judged["interval"] is not None
        recalls.append(number(judged["value"]))
        alarms.append(number(run["metrics"]["false_alarms"]))
    assert recalls[0] < 0.93 < 0.95 <= recalls[1]
    assert alarms[0] < alarms[1]


def number(value: Any) -> float:
    assert isinstance(value, float)
    return value
