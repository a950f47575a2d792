"""The default grid of every method: it is valid, and the same decades for all where they may be."""

import pytest

from cpd.methods.default_grid import default_grid
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY, swept
from cpd.spec.settings import check_settings, read_methods

DECADES = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3]


@pytest.mark.parametrize("method", REGISTRY)
def test_every_method_has_one_that_a_spec_may_hold(method: str) -> None:
    grid = default_grid(method)
    blocks = read_methods({method: grid}, ["g"], str)[method]
    check_settings(method, blocks, {"g": "<="}, str)
    values = grid[swept(method)]["values"]
    assert 3 <= len(values) <= 7
    assert values == sorted(values)
    assert blocks[0].count == len(values)


def test_one_value_a_decade() -> None:
    assert default_grid("penalized") == {"coefficient": {"values": DECADES}}
    assert default_grid("augmented_lagrangian") == {"dual_lr": {"values": DECADES}, "penalty": 1.0}


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        (Hyperparameter(minimum=1.0, exclusive=True), [10.0, 100.0, 1e3]),
        (Hyperparameter(minimum=1.0, whole=True), [1.0, 10.0, 100.0, 1e3]),
        (Hyperparameter(below=1.0), [1e-3, 1e-2, 0.1]),
        (Hyperparameter(minimum=1e3, exclusive=True), [1e4, 1e5, 1e6]),
    ],
)
def test_only_valid_decades(declared: Hyperparameter, values: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    made = REGISTRY["penalized"]._replace(hyperparameters={"x": declared})
    monkeypatch.setitem(REGISTRY, "penalized", made)
    assert default_grid("penalized") == {"x": {"values": values}}
