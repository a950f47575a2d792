"""Intervals cover as often as they say, by simulation; the benchmark bench_coverage.py has more repetitions."""

import pytest
from coverage_simulation import QUANTITIES, Quantity, coverage, coverage_of_chosen

BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}


@pytest.mark.parametrize("name", ["rate", "recall", "parity gap", "mean loss"])
def test_intervals_cover_as_often_as_they_say(name: str) -> None:
    assert coverage(BY_NAME[name], 250) >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.name)
def test_intervals_cover_also_of_what_was_chosen(quantity: Quantity) -> None:
    assert coverage(quantity, 1000) >= 0.94
    rightly, naively = coverage_of_chosen(quantity, 100)
    assert rightly >= 0.94
    assert naively <= rightly
