"""A part of ``python -m tests.fuzz``: random problems against a plain PyTorch loop, and interrupted against whole."""

from pathlib import Path

import pytest
from fuzz_cases import LEADS, compose
from fuzz_trials import Outcome, compared, resumed, warmed

NUMBERS = (0, 3, 5, 16, 18, 22, 27, 34, 37, 44, 47, 53, 63, 68, 77, 82, 84, 90, 96, 103)
"""Some problems: layers, buffers, noise, masks, state in Python, places. What each is about, ``LEADS`` says."""


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Trials are processes forked from this one."""
    warmed()


def shown(number: int) -> str:
    return f"{number} {LEADS[number % len(LEADS)][1]}"


def told(outcomes: list[Outcome]) -> list[str]:
    """What fails, a line each."""
    return [f"{o.engine}: {o.verdict}: {o.what}" for o in outcomes if o.fails]


@pytest.mark.parametrize("number", NUMBERS, ids=shown)
def test_a_problem_trains_as_a_plain_loop_trains_it(number: int) -> None:
    outcomes = compared(compose(number), ["eager", "eager alone", "captured"])
    assert told(outcomes) == []


@pytest.mark.parametrize("number", [5, 37, 44, 77, 82], ids=shown)
@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_an_interrupted_training_goes_on_bit_by_bit(number: int, engine: str) -> None:
    assert told([resumed(compose(number), engine)]) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, 18, 22], ids=shown)
def test_workers_train_a_problem_as_a_plain_loop_trains_it(number: int) -> None:
    assert told(compared(compose(number), ["jobs", "jobs alone"])) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, 10, 54, 96], ids=shown)
def test_a_compiled_problem_trains_as_a_plain_loop_trains_it(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    assert told(compared(compose(number), ["compiled"])) == []
