"""Diagnoses of runs whose state is known by construction: all are in ``tests/benchmarks/bench_diagnoses.py``."""

import pytest
from zoo import Specimen, observe, rates, tally, zoo

FEW = ("blown up", "vector out of reach")


def of_each_state(seed: int) -> dict[str, Specimen]:
    """The first specimen of each state."""
    return {specimen.state: specimen for specimen in reversed(zoo(seed))}


@pytest.mark.parametrize("state", FEW)
def test_what_is_said_is_true(state: str) -> None:
    for one in observe(of_each_state(7)[state]):
        assert one.right, one
        assert one.well_told, one


@pytest.mark.slow
@pytest.mark.parametrize("state", sorted(set(of_each_state(7)) - set(FEW)))
def test_what_is_said_of_all_the_others_is_true(state: str) -> None:
    for one in observe(of_each_state(7)[state]):
        assert one.right, one
        assert one.well_told, one


def test_the_zoo_has_at_least_sixty_runs_of_every_state() -> None:
    assert sum(len(s.methods) * len(s.seeds) for s in zoo(7)) >= 60
    accepted = {name for s in zoo(7) for name in s.accepted}
    assert len(accepted) == 10
    for seed in range(20):
        assert [s.state for s in zoo(seed)] == [s.state for s in zoo(7)]


def test_false_alarms_and_misses_are_counted() -> None:
    right, wrong = observe(of_each_state(7)["too large a step, no longer finite"])
    assert rates([right]) == (0.0, 0.0)
    lied = type(wrong)(wrong.specimen, wrong.run, "oscillating", wrong.row)
    assert rates([right, lied]) == (0.5, 0.5)
    assert tally([right, lied]) == {
        "diverged": {"true": 2, "missed": 1, "said": 1, "false": 0},
        "oscillating": {"true": 0, "missed": 0, "said": 1, "false": 1},
    }
