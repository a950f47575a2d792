"""How long a command still takes, by a clock that a test turns."""

import pytest

from cpd.views.pace import Pace, clock


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def turned() -> tuple[Clock, Pace]:
    hands = Clock()
    return hands, Pace(hands)


def test_nothing_is_said_before_something_moved(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    assert pace.left() is None
    pace.start(40)
    hands.now = 5
    assert pace.left() is None
    pace.stepped(1, 10_000, 40)
    assert pace.left() is None


def test_compiling_after_the_first_step_is_no_part_of_the_pace(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    pace.start(40)
    pace.stepped(1, 1000, 40)
    hands.now = 11  # compiled
    pace.stepped(100, 1000, 40)
    hands.now = 12
    pace.stepped(300, 1000, 40)
    assert pace.left() == pytest.approx(3.5)
    hands.now = 13  # it goes on between two reports
    assert pace.left() == pytest.approx(2.5)
    hands.now = 99
    assert pace.left() == 0


def test_two_of_three_batches_tell_what_the_third_takes(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    pace.start(30)
    for batch in (1, 2):
        hands.now += 10
        pace.ended(10 * batch)
    assert pace.left() == pytest.approx(10)


def test_workers_of_which_one_batch_has_ended(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    pace.start(40)
    hands.now = 8
    pace.ended(10)
    assert pace.left() == pytest.approx(24)


def test_programs_of_a_batch_one_after_the_other(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    pace.start(20)  # two seeds of ten runs each, in one batch
    for _ in range(2):
        pace.stepped(1, 100, 10)
        hands.now += 3
        pace.stepped(10, 100, 10)
        hands.now += 9
        pace.stepped(100, 100, 10)
    assert pace.left() == pytest.approx(0)
    pace.ended(20)
    assert pace.left() == 0


def test_another_round_begins_anew(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    pace.start(10)
    hands.now = 50
    pace.ended(10)
    pace.start(2)
    assert pace.left() is None
    hands.now = 51
    pace.ended(1)
    assert pace.left() == pytest.approx(1)


def test_from_a_checkpoint_only_what_moves_counts(turned: tuple[Clock, Pace]) -> None:
    hands, pace = turned
    pace.start(10)
    pace.stepped(900, 1000, 10)
    hands.now = 1
    pace.stepped(910, 1000, 10)
    hands.now = 2
    pace.stepped(920, 1000, 10)
    assert pace.left() == pytest.approx(8)


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00:00"), (65, "0:01:05"), (90_061, "25:01:01")])
def test_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
