"""Moments as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from cpd.errors import CpdError
from cpd.results.moments import age, read_since, took

NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [("90m", 90 * 60), ("2h", 7200), ("2d", 2 * 86400), ("1.5 days", 129600), ("3W", 21 * 86400), ("10 min", 600)],
)
def test_a_span_is_before_now(text: str, before: int) -> None:
    assert read_since(text, NOW) == NOW - timedelta(seconds=before)


def test_a_date_is_midnight_here_and_a_moment_may_have_its_zone() -> None:
    here = NOW.astimezone()
    assert read_since("2026-11-01", NOW) == datetime(2026, 11, 1).astimezone()
    assert read_since("2026-11-01T10:30", NOW) == datetime(2026, 11, 1, 10, 30).astimezone()
    assert read_since("2026-11-01T10:30Z", NOW) == datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
    assert read_since("today", NOW).timetuple()[:5] == (here.year, here.month, here.day, 0, 0)
    assert read_since("Yesterday", NOW) == read_since("today", NOW) - timedelta(days=1)


@pytest.mark.parametrize("text", ["", "2q", "d", "-2d", "2026-13-01", "last week", "1e999d", "9" * 400 + "d", "٣d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(CpdError, match=r"is no moment; write 2d"):
        read_since(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-100, "now"),
        (0.5, "now"),
        (59, "59s"),
        (61, "1m"),
        (3 * 3600 + 5, "3h"),
        (13 * 86400, "13d"),
        (15 * 86400, "2w"),
        (100 * 86400, "3mo"),
        (800 * 86400, "2y"),
    ],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == said


def test_how_long_it_took() -> None:
    def of(seconds: float) -> str:
        return took(NOW.isoformat(), (NOW + timedelta(seconds=seconds)).isoformat())

    found = [of(seconds) for seconds in (0.42, 12, 200, 7500, 260_000)]
    assert found == ["0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 0 h"]
    assert took(NOW.isoformat(), None) == ""
