"""Two groups that are to be treated alike: gaps by hand, people from tables, a training that closes a gap."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import torch

import cpd
from cpd.problems.fairness import CRITERIA, Fairness, gap
from cpd.problems.people import MADE, load_people

LABEL = torch.tensor([1.0, 1, 0, 0, 1, 1, 1, 0, 0, 0])
GROUP = torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
P = torch.tensor([1.0, 0, 1, 0, 1, 1, 0, 1, 0, 0])
BY_HAND = {"parity": 0.0, "opportunity": 2 / 3 - 1 / 2, "false_positives": 1 / 2 - 1 / 3}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_gaps_are_those_of_counts(criterion: str) -> None:
    assert gap(P, criterion, LABEL, GROUP).value.item() == pytest.approx(BY_HAND[criterion])
    swapped = gap(P.bool(), criterion, LABEL, 1 - GROUP)
    assert swapped.value.item() == pytest.approx(BY_HAND[criterion]), "whichever group is called 1"
    certain = gap(P, criterion, LABEL, GROUP * 0)
    assert not certain.there.any(), "of one group alone there is no gap"


def test_a_model_is_measured_by_all_criteria() -> None:
    problem = Fairness(criterion="opportunity")
    model = problem.model()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, 1.0, -1.0]]))
        model.bias.fill_(0.25)
    x, label, group = problem.held_out()
    at = problem.measure(model, (x, label, group))
    assert at.strict is not None
    z = (2 * x[:, 0] + x[:, 1] - x[:, 2] + 0.25).double().numpy()
    y, g, soft, hard = label.numpy() > 0, group.numpy() > 0, 1 / (1 + np.exp(-z)), z > 0
    losses = np.where(y, np.logaddexp(0, -z), np.logaddexp(0, z))
    assert at.objective.item() == pytest.approx(losses.mean(), rel=1e-5)
    assert at.constraints["gap"].value.item() == pytest.approx(abs(soft[y & g].mean() - soft[y & ~g].mean()), rel=1e-4)
    expected = {
        "parity": abs(hard[g].mean() - hard[~g].mean()),
        "opportunity": abs(hard[y & g].mean() - hard[y & ~g].mean()),
        "false_positives": abs(hard[~y & g].mean() - hard[~y & ~g].mean()),
        "accuracy": (hard == y).mean(),
    }
    assert {n: v.value.item() for n, v in at.metrics.items()} == pytest.approx(expected, rel=1e-5)
    assert at.strict["gap"].value.item() == pytest.approx(expected["opportunity"], rel=1e-5)


def test_made_people_are_the_same_whatever_the_seed_and_the_smaller_group_has_less() -> None:
    torch.manual_seed(1)
    (x, label, group), (others, _, _) = load_people("made")
    torch.manual_seed(2)
    assert torch.equal(x, load_people("made").training[0])
    assert len(x) == len(others) == MADE // 2
    assert group.mean().item() == pytest.approx(0.3, abs=0.03)
    assert label[group > 0].mean() < label[group == 0].mean() - 0.15


def census(rows: int = 80) -> pd.DataFrame:
    """A table as OpenML's: words in categories, some unknown, labels that are words."""
    place = np.arange(rows)
    return pd.DataFrame(
        {
            "age": place * 1.0 + 20,
            "workclass": pd.Categorical([None if k % 5 == 0 else ("State-gov", "Private")[k % 2] for k in place]),
            "fnlwgt": place * 1000,
            "sex": pd.Categorical(np.where(place % 4 == 0, "Female", "Male")),
            "class": pd.Categorical(np.where(place % 3 == 0, ">50K", "<=50K")),
        }
    )


def test_the_census_is_fetched_where_it_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fetch(*name: Any, **options: Any) -> Any:
        asked.append((name, options["version"]))
        return type("Bunch", (), {"frame": census()})

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    Fairness().data()
    assert asked == []
    training, held_out = load_people("adult")
    assert asked == [(("adult",), 2)]
    assert (training[0].shape, held_out[0].shape) == ((56, 6), (24, 6)), "age, three words of work, two sexes"
    for part in (training, held_out):
        assert part[1].mean().item() == pytest.approx(27 / 80, abs=0.03)
        assert part[2].mean().item() == pytest.approx(1 / 4, abs=0.03)
        assert torch.equal(part[0][:, 4], part[2]), "Female is the first of the sexes"
        assert torch.equal(part[0][:, 1:4].sum(1), torch.ones(len(part[1])))
    assert training[0][:, 0].mean().item() == pytest.approx(0, abs=1e-5)
    assert training[0][:, 0].std(unbiased=False).item() == pytest.approx(1, abs=1e-5)


def test_a_census_that_cannot_be_fetched_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fail)
    with pytest.raises(cpd.CpdError, match=r"^arguments.data: the census cannot be fetched from OpenML: no route; "):
        load_people("adult")


def test_a_csv_file_is_read_with_its_gaps(tmp_path: Path) -> None:
    path = tmp_path / "people of mine.csv"
    rows = ["hours, town, paid, minority"]
    rows += [f"{'' if k == 3 else k}, {'a' if k % 2 else 'b'}, {k % 2}, {'yes' if k % 3 else 'no'}" for k in range(24)]
    path.write_text("\n".join([*rows, "7, a, , yes"]), encoding="utf-8")
    training, held_out = load_people(str(path), label="paid=1", group="minority=yes")
    assert len(training[1]) + len(held_out[1]) == 24, "who has no label is left out"
    assert training[0].shape[1] == 1 + 2 + 2
    assert int(training[1].sum() + held_out[1].sum()) == 12
    assert all(part[0].isfinite().all() for part in (training, held_out))
    assert Fairness("parity", str(path), "paid=1", "minority=yes").model().in_features == 5
    with pytest.raises(cpd.CpdError, match=r"^arguments.group: nobody has minority=maybe; it has: no, yes$"):
        load_people(str(path), label="paid=1", group="minority=maybe")
    with pytest.raises(cpd.CpdError, match=r"^arguments.label: a CSV file needs it; e.g. 'minority=no'; columns: "):
        load_people(str(path), group="minority=yes")
    with pytest.raises(cpd.CpdError, match=r"^arguments.group: no column 'sex'; columns: hours, town, paid, minority$"):
        load_people(str(path), label="paid=1", group="sex=f")
    with pytest.raises(cpd.CpdError, match=r"^arguments.group: a group has hardly any row of one label; "):
        load_people(str(path), label="paid=1", group="paid=1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"criterion": "pairty"}, "arguments.criterion: unknown criterion 'pairty'; did you mean 'parity'?"),
        ({"data": "nowhere.csv"}, "arguments.data: no such data 'nowhere.csv'; give made, adult or the path"),
        ({"label": "class=1"}, "arguments.label: data: made has none to choose; leave it out"),
    ],
)
def test_what_makes_no_people_is_refused(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(cpd.CpdError) as caught:
        Fairness(**arguments).data()
    assert str(caught.value).startswith(line)


@pytest.mark.slow
def test_a_multiplier_closes_the_gap() -> None:
    assign = ("train.steps=300", "penalized.coefficient=0", "lagrangian.dual_lr=0.1", "arguments.criterion=opportunity")
    found = cpd.sweep("fairness", cpd.Overrides(set=assign), cpd.Options(keep=False, engine="captured")).document
    free, bound = (run["metrics"]["opportunity"] for run in found["runs"])
    assert free is not None
    assert bound is not None
    assert bound < free / 2
    assert free > 0.05
