"""Packed numbers read like the lists that they were made of, and a number is finite or missing."""

import math
import pickle
import sys
from typing import Any

import numpy as np
import pytest
import torch

from cpd.outcome import Series, finite_or_none

CASES: list[list[Any]] = [
    [],
    [1.0],
    [0.1, None, -0.0, 1e300],
    [0.5, 0.25, None],
    [[1.0, 2.0], [0.1, None], [-3.0, 4.0]],
    [[1.0], [2.0]],
]


@pytest.mark.parametrize("points", CASES)
def test_reads_like_a_list(points: list[Any]) -> None:
    series = Series.of(points)
    assert len(series) == len(points)
    assert list(series) == points
    assert [series[k] for k in range(len(points))] == points
    assert [series[k - len(points)] for k in range(len(points))] == points
    assert series[1:] == points[1:]
    assert series[::-1] == points[::-1] == list(reversed(series))
    assert series == points
    assert points == series
    assert series == Series.of(points)
    assert repr(series) == repr(points)
    assert pickle.loads(pickle.dumps(series)) == points


def test_differs_from_other_numbers() -> None:
    assert Series.of([1.0, 2.0]) != [1.0, 2.5]
    assert Series.of([1.0, 2.0]) != [[1.0], [2.0]]
    assert Series.of([1.0, 2.0]) != Series.of([1.0])
    assert Series.of([1.0]) != 1.0


@pytest.mark.parametrize("points", [[1.0, 2.0], [[1.0, 2.0]]])
def test_ends_where_the_list_ends(points: list[Any]) -> None:
    for at in (len(points), -len(points) - 1):
        with pytest.raises(IndexError):
            Series.of(points)[at]


def test_single_precision_only_where_it_loses_nothing() -> None:
    assert Series.of([0.5, None, 3.0]).numbers.dtype == np.float32
    assert Series.of([0.5, 0.1]).numbers.dtype == np.float64


def test_what_is_not_finite_reads_none() -> None:
    assert list(Series(np.array([math.inf, -math.inf, math.nan, 1.0]))) == [None, None, None, 1.0]
    assert list(Series.of([[1.0, math.inf], None])) == [[1.0, None], [None, None]]


def test_points_of_several_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="have 1 and 2 components"):
        Series.of([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), torch.tensor(0.5)])
def test_a_number_is_pythons(value: float) -> None:
    assert finite_or_none(value) == 0.5
    assert type(finite_or_none(value)) is float


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_is_missing(value: float | None) -> None:
    assert finite_or_none(value) is None


def test_takes_a_quarter_of_a_list_of_floats() -> None:
    series = Series.of([k / 1024 for k in range(500)])
    size = sys.getsizeof(series) + sys.getsizeof(series.numbers)
    numbers = list(series)
    assert size < (sys.getsizeof(numbers) + sum(map(sys.getsizeof, numbers))) / 4
