"""What data() may return, and a Dataset that gives other values each time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset

from cpd.engine.examples import HINT, RANDOM, as_tensors, on_device
from cpd.errors import CpdError


def read(raw: Any, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    notes: list[str] = []
    found = on_device(as_tensors(raw, "P.data()", notes), torch.device("cpu"), dtype)
    assert notes == []
    return list(found)


@pytest.mark.parametrize(
    ("raw", "dtype", "values"),
    [
        (np.array([1.5, 2.5]), torch.float32, [1.5, 2.5]),
        (np.array([1.5, 2.5], ">f8"), torch.float32, [1.5, 2.5]),
        (np.array([1.5, 2.5], np.float16), torch.float32, [1.5, 2.5]),
        (np.array([1, 2], np.int32), torch.int64, [1, 2]),
        (np.array([1, 2], ">i2"), torch.int64, [1, 2]),
        (np.array([1, 2], np.uint8), torch.int64, [1, 2]),
        (np.array([1, 2], np.uint32), torch.int64, [1, 2]),
        (np.array([True, False]), torch.bool, [True, False]),
        (np.array([[1, 2]], np.uint8), torch.uint8, [[1, 2]]),
        (np.array([3.0, 2.0, 1.0])[::-1], torch.float32, [1.0, 2.0, 3.0]),
        ([1, 2, 3], torch.int64, [1, 2, 3]),
        ([0.5, 1], torch.float32, [0.5, 1.0]),
        ([True, False], torch.bool, [True, False]),
        ([[0.5, 1.0], [2.0, 3.0]], torch.float32, [[0.5, 1.0], [2.0, 3.0]]),
        ([torch.tensor(1.0), torch.tensor(2.0)], torch.float32, [1.0, 2.0]),
    ],
)
def test_arrays_and_lists_are_tensors(raw: Any, dtype: torch.dtype, values: list[Any]) -> None:
    (entry, _) = read((raw, torch.zeros(len(raw))))
    assert (entry.dtype, entry.tolist()) == (dtype, values)


@pytest.mark.parametrize("raw", [np.array([1.5, 2.5]), [1.5, 2.5], (1.5, 2.5), torch.tensor([1.5, 2.5])])
def test_one_array_is_a_tuple_of_one(raw: Any) -> None:
    (entry,) = read(raw, torch.float64)
    assert (entry.dtype, entry.tolist()) == (torch.float64, [1.5, 2.5])


def test_what_was_read_only_is_a_copy() -> None:
    array = np.array([1.0, 2.0])
    array.flags.writeable = False
    (entry,) = read(array, torch.float64)
    entry[0] = 5
    assert array.tolist() == [1.0, 2.0]


TABLE = "write torch.tensor(TABLE.to_numpy())"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), f"returned a DataFrame; {TABLE}"),
        ((torch.zeros(1), pd.DataFrame({"a": [1.0]})), f"entry 2 is a DataFrame; {TABLE}"),
        ((pd.Series([1.0]), torch.zeros(1)), f"entry 1 is a Series; {TABLE}"),
        (({"a": 1}, torch.zeros(1)), f"entry 1 is a dict; {HINT}"),
        ((["a", "b"], torch.zeros(2)), f"entry 1 is a list of str; {HINT}"),
        (([[1], [1, 2]], torch.zeros(2)), f"entry 1 is a list of list; {HINT}"),
        ((np.array(["a", "b"]), torch.zeros(2)), f"entry 1 is an array of <U1; {HINT}"),
        ((np.array([None, 1]), torch.zeros(2)), f"entry 1 is an array of object; {HINT}"),
        ([torch.zeros(1), None], f"entry 2 is a NoneType; {HINT}"),
        ("text", f"returned a str; {HINT}"),
        ([], f"returned a list; {HINT}"),
    ],
)
def test_what_is_no_tensor_is_told(raw: Any, message: str) -> None:
    with pytest.raises(CpdError) as caught:
        as_tensors(raw, "P.data()", [])
    assert str(caught.value) == f"P.data(): {message}"


class Items(Dataset[Any]):
    """Numbered examples, each made anew by a function."""

    def __init__(self, make: Callable[[int], Any], count: int = 100) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, k: int) -> Any:
        return self.make(k)


RANDOM_ITEMS: dict[str, Callable[[int], Any]] = {
    "torch": lambda k: (torch.ones(3) + torch.randn(3), k),
    "numpy": lambda k: (torch.ones(3), np.random.rand()),
    "seldom": lambda k: torch.ones(3) * (1 if torch.rand(()) < 0.5 else -1),
    "one of two": lambda k: (torch.roll(torch.arange(3), int(torch.randint(0, 3, ()))), float(k)),
}


@pytest.mark.parametrize("how", list(RANDOM_ITEMS))
def test_a_random_transform_is_told(how: str) -> None:
    notes: list[str] = []
    as_tensors(Items(RANDOM_ITEMS[how]), "P.data()", notes)
    assert notes == [RANDOM]


@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_a_dataset_that_stays_the_same_is_read_without_a_word(count: int) -> None:
    first, second, third = read(Items(lambda k: (torch.tensor([k, float("nan")]), k, np.float64(k) / 2), count))
    assert (first.shape, first.dtype) == ((count, 2), torch.float32)
    assert (second.dtype, second.tolist()) == (torch.int64, list(range(count)))
    assert (third.dtype, third.tolist()) == (torch.float32, [k / 2 for k in range(count)])


def test_the_data_are_those_of_the_first_reading() -> None:
    calls: list[int] = []

    def make(k: int) -> float:
        calls.append(k)
        return float(len(calls))

    data = as_tensors(Items(make, 20), "P.data()", [])
    assert data is not None
    assert data[0].tolist() == [float(k) for k in range(2, 22)]  # one was read to see how much memory all take


def test_an_empty_dataset_is_told() -> None:
    with pytest.raises(CpdError) as caught:
        as_tensors(Items(float, 0), "P.data()", [])
    assert str(caught.value) == "P.data(): the Dataset is empty; it needs at least one example"
