"""Where axes end: by what is useful, with what blew up beyond; nothing that goes on without a jump is left out."""

import pytest

from cpd.views.figures.reach import near


@pytest.mark.parametrize(
    ("values", "trusted", "levels", "beyond"),
    [
        ([0.03] * 9 + [0.35, 0.4, 0.8, 1.6, 2.4], [0.35, 0.4], [], []),  # the paper's figure 2
        ([0.3, 0.31, 0.4, 3e34], [0.3], [], [3e34]),
        ([0.3, 0.31, 0.4, 3e34], [], [], [3e34]),
        ([0.3, 0.31, *[1e34] * 8], [0.3], [], [1e34] * 8),
        ([-1e34, 0.3, 0.31, 1e34, 2.0], [0.3], [], [-1e34, 1e34]),
        ([0.1, 0.5, 3.0, 500.0, 1e34], [0.1, 0.3], [], [500.0, 1e34]),
        ([1e-9, 1e-9, 0.5, 0.6, 0.7], [1e-9], [0.0], []),  # at the level to the last digit, the others are ordinary
        ([10.0, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-4], [1e-4], [0.0], []),
        ([1000.0, 500, 200, 100, 30, 10, 3, 1, 0.1], [0.1], [0.0], []),
        ([0.0, 0, 0, 0.1, 1e34], [], [], [1e34]),
        ([1e-8, 1e-4, 1.0, 1e3], [1e-8], [], []),  # many decades, on a logarithmic axis
        ([1e-8, 1e-4, 1.0, 1e34], [1e-8], [], [1e34]),
        ([-1e5, -1.1e5, -1.4e5], [-1.4e5], [], []),
        ([7e99], [7e99], [], []),
        ([], [], [], []),
        ([0.5, 5e99], [], [0.5], [5e99]),
    ],
)
def test_what_blew_up_lies_beyond(
    values: list[float], trusted: list[float], levels: list[float], beyond: list[float]
) -> None:
    kept = near(values, trusted, levels)
    assert kept == [value for value in values if value not in beyond]
