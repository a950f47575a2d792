"""A part of ``python -m tests.fuzz``: random problems against a plain PyTorch loop, and interrupted against whole."""

import pytest
from fuzz_cases import LEADS, compose
from fuzz_trials import Outcome, compared, resumed

QUICK = {
    "agrees": (5, 10, 11, 20, 31, 34, 36, 58, 63, 85, 88, 91, 95, 97, 98, 101),
    "state": (43, 44, 76, 78, 84, 92),
    "noise": (35, 55, 70, 79, 82, 86),
    "masks": (89, 90, 96),
}
"""Some problems of each kind, by number: which they are, ``LEADS`` says."""

NUMBERS = sorted(number for numbers in QUICK.values() for number in numbers)


def shown(number: int) -> str:
    return f"{number} {LEADS[number % len(LEADS)][1]}"


def told(outcomes: list[Outcome]) -> list[str]:
    """What fails, a line each."""
    return [f"{o.engine}: {o.verdict}: {o.what}" for o in outcomes if o.fails]


@pytest.mark.parametrize("number", NUMBERS, ids=shown)
def test_a_problem_trains_as_a_plain_loop_trains_it(number: int) -> None:
    outcomes = compared(compose(number), ["eager", "eager alone", "captured"])
    assert told(outcomes) == []


@pytest.mark.parametrize("number", NUMBERS[::3], ids=shown)
@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_an_interrupted_training_goes_on_bit_by_bit(number: int, engine: str) -> None:
    assert told([resumed(compose(number), engine)]) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(LEADS)), ids=shown)
def test_every_lead_trains_as_a_plain_loop_trains_it(number: int) -> None:
    outcomes = compared(compose(number, seed=1), ["eager", "eager alone", "captured", "auto"])
    assert told(outcomes) == []
