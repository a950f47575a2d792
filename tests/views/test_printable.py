"""Texts of users reach a terminal as texts."""

import pytest

from cpd.views.printable import one_line, spelled_out, without_controls

BAD = "a\x1b[31mb\x1b]0;title\x07\x07\u202e\tc\r\nd "


@pytest.mark.parametrize(
    ("show", "shown"),
    [
        (one_line, "ab c  d"),
        (without_controls, "ab\tc\nd "),
        (spelled_out, r"a\x1b[31mb\x1b]0;title\x07\x07\u202e" + "\tc" + r"\r" + "\nd "),
    ],
)
def test_nothing_is_left_that_a_terminal_obeys(show: object, shown: str) -> None:
    assert callable(show)
    assert show(BAD) == shown
