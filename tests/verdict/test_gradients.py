"""What gradients at the end say, on numbers by hand: which have vanished, and which constraints fight."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cpd.outcome import ConstraintOutcome, Ending, Run, RunKey, Status
from cpd.verdict.diagnosis import fighters
from cpd.verdict.gradients import vanished
from cpd.verdict.judgement import judge


def bounds(**senses: str) -> Any:
    return {n: SimpleNamespace(level=0.0, sense=sense, tolerance=0.01) for n, sense in senses.items()}


def ended(values: Mapping[str, Any], gradients: Sequence[Sequence[float]], scale: float = 1.0) -> Run:
    """A run that ends at these values, with a gradient for each component, and parameters of this norm."""
    places = [(n, k) for n, v in values.items() for k in range(len(v) if isinstance(v, list) else 1)]
    rows = np.array(gradients, float)
    ending = Ending(places, (rows @ rows.T).tolist(), scale)
    outcomes = {n: ConstraintOutcome(v, v) for n, v in values.items()}
    return Run(RunKey("any", {}, {}, 0), Status.COMPLETED, 1.0, outcomes, ending=ending)


def test_a_gradient_has_vanished_where_the_parameters_size_moves_a_hundredth_of_the_violation() -> None:
    run = ended({"g": [1.0, 1.0, -1.0, 1.0]}, [[0.0009], [0.011], [0.0009], [0.0]], scale=10.0)
    assert vanished(run, "g", np.array([1.0, 1.0, -1.0, 1.0])).tolist() == [True, False, True, True]
    assert vanished(run, "g", np.array([0.1, 1.0, -1.0, 1.0])).tolist() == [False, False, True, True]


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e12])
def test_units_play_no_part(unit: float) -> None:
    near = ended({"g": unit}, [[0.02 * unit]])
    assert not vanished(near, "g", np.array([unit])).any()
    assert vanished(ended({"g": unit}, [[0.009 * unit]]), "g", np.array([unit])).all()
    stretched = ended({"g": unit}, [[0.02 * unit / 1e6]], scale=1e6)
    assert not vanished(stretched, "g", np.array([unit])).any()


@pytest.mark.parametrize(
    ("senses", "values", "gradients", "who"),
    [
        ({"low": "<=", "high": ">="}, {"low": 0.3, "high": -0.4}, [[1.0, 0], [1.0, 0]], ["low", "high"]),
        ({"low": "<=", "high": ">="}, {"low": 0.3, "high": -0.4}, [[1.0, 0], [0.0, 1]], []),
        ({"low": "<=", "high": ">="}, {"low": 0.9, "high": 0.2}, [[1.0, 0], [1.0, 0]], ["low", "high"]),
        ({"low": "<=", "high": ">="}, {"low": 0.2, "high": 0.9}, [[1.0, 0], [1.0, 0]], []),
        ({"a": "<=", "b": "<="}, {"a": 0.3, "b": 0.5}, [[1.0, 2], [2.0, 4]], []),
        ({"a": "==", "b": "=="}, {"a": 0.3, "b": 0.7}, [[1.0, 0], [1.0, 0]], ["a", "b"]),
        ({"a": "==", "b": "=="}, {"a": 0.3, "b": 0.6}, [[1.0, 0], [2.0, 0]], []),
        ({"a": "==", "b": "=="}, {"a": -0.3, "b": 0.3}, [[1.0, 0], [1.0, 1]], []),
        ({"v": "<="}, {"v": [0.5, 0.2, -3.0]}, [[1.0, 0], [-2.0, 0], [0.0, 1]], ["v[0]", "v[1]"]),
        ({"v": "<="}, {"v": [0.5, 0.5, 0.5]}, [[1.0, 0], [-0.5, 0.9], [-0.5, -0.9]], ["v[0]", "v[1]", "v[2]"]),
        ({"v": "<="}, {"v": [0.5, 0.5, 0.5]}, [[1.0, 0], [-0.5, 0.9], [0.5, 0.9]], []),
        ({"low": "<=", "high": ">="}, {"low": 0.3, "high": -0.4}, [[1.0, 0], [1e-3, 0]], []),
        ({"low": "<=", "high": ">="}, {"low": 0.005, "high": 0.0}, [[1.0, 0], [1.0, 0]], []),
        ({"low": "<=", "high": ">="}, {"low": 0.3, "high": -0.4}, [[1.0, 0], [1.0, 0.5]], []),
    ],
    ids=[
        "opposed", "at right angles", "one is met, at the other's cost", "both can be met", "the same twice",
        "two equalities", "equalities that agree", "equalities that cross", "of a vector", "three of a triangle",
        "three on one side", "one has no gradient", "both are met", "half opposed",
    ],
)  # fmt: skip
@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_constraints_fight_where_no_step_meets_them_together(
    senses: dict[str, str], values: dict[str, Any], gradients: list[list[float]], who: list[str], turn: float
) -> None:
    turned = np.array(gradients) @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    assert fighters(ended(values, turned.tolist()), bounds(**senses), "float64") == who
    longer = 1e5 * turned
    assert fighters(ended(values, longer.tolist(), 1e-5), bounds(**senses), "float64") == who


def test_the_document_says_which() -> None:
    run = ended({"low": 0.3, "high": -0.4}, [[1.0], [1.0]])
    task = SimpleNamespace(
        name="t", objective="f", constraints=bounds(low="<=", high=">="), train=SimpleNamespace(dtype="float64")
    )
    (row,) = judge(task, [run])["runs"]
    assert (row["diagnosis"], row["fighting"]) == ("contradictory_constraints", ["low", "high"])
