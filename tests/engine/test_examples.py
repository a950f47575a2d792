"""What data() may return, and which Datasets are read while they are trained on."""

import random
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

from cpd.engine.datasets import UNSEEDED
from cpd.engine.examples import HINT, as_tensors, on_device
from cpd.engine.items import Stream
from cpd.engine.tree import leaves
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
        (({"a": 1}, torch.zeros(1)), f"entry 1, 'a' is an int; {HINT}"),
        ({"a": torch.zeros(1), "b": (torch.zeros(1), "c")}, f"entry 'b', 2 is a str; {HINT}"),
        ({"a": {}}, f"entry 'a' is a dict; {HINT}"),
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


ANEW = "P.data(): the Dataset gives other values each time: its items are read anew each epoch"


@pytest.mark.parametrize("how", list(RANDOM_ITEMS))
def test_a_random_transform_is_told(how: str) -> None:
    notes: list[str] = []
    assert isinstance(as_tensors(Items(RANDOM_ITEMS[how]), "P.data()", notes), Stream)
    assert notes == [ANEW]


def test_a_transform_that_is_seldom_random_is_found_for_it_draws() -> None:
    notes: list[str] = []
    items = Items(lambda k: torch.zeros(2) if random.random() < 0.98 else torch.ones(2), 400)
    assert isinstance(as_tensors(items, "P.data()", notes), Stream)
    assert notes == [ANEW]


def test_what_draws_and_gives_the_same_is_kept_in_memory() -> None:
    def drawn(k: int) -> torch.Tensor:
        torch.manual_seed(k)
        return torch.randn(2)

    (entry,) = read(Items(drawn, 20))
    assert torch.equal(entry[7], drawn(7))


@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_a_dataset_that_stays_the_same_is_read_without_a_word(count: int) -> None:
    first, second, third = read(Items(lambda k: (torch.tensor([k, float("nan")]), k, np.float64(k) / 2), count))
    assert (first.shape, first.dtype) == ((count, 2), torch.float32)
    assert (second.dtype, second.tolist()) == (torch.int64, list(range(count)))
    assert (third.dtype, third.tolist()) == (torch.float32, [k / 2 for k in range(count)])


def test_what_no_seed_decides_is_told() -> None:
    calls: list[int] = []

    def make(k: int) -> float:
        calls.append(k)
        return float(len(calls))

    notes: list[str] = []
    assert isinstance(as_tensors(Items(make, 20), "P.data()", notes), Stream)
    assert notes == [f"{ANEW}, and {UNSEEDED}"]


Pair = namedtuple("Pair", "first second")
X, Y = torch.arange(6.0).view(3, 2), torch.tensor([1, 0, 1])


@pytest.mark.parametrize(
    "raw",
    [
        {"x": X, "y": Y},
        OrderedDict(y=Y, x=X),
        {0: X, 1: {"y": Y}},
        Pair(X, Y),
        [X, Y],
        ((X, X), Y),
        ({"a": X, "b": [X, Y]}, Y),
        ((X, {"k": (Y, Y)}), Pair(Y, X)),
    ],
)
def test_containers_stay_as_they_are(raw: Any) -> None:
    found = as_tensors(raw, "P.data()", [])
    assert str(found) == str(raw)
    assert type(found) is type(raw)


@pytest.mark.parametrize(
    ("raw", "shapes"),
    [
        (([torch.zeros(2)] * 3, Y), [(3, 2), (3,)]),
        (([torch.zeros(2)] * 3, [torch.zeros(3)] * 3), [(3, 2), (3, 3)]),
        ((X, [Y, Y]), [(3, 2), (3,), (3,)]),
        (([np.zeros(3), np.ones(3)], Y), [(3,), (3,), (3,)]),
        (((X, X), (Y, Y)), [(3, 2), (3, 2), (3,), (3,)]),
        (({"a": [1, 2, 3], "b": [[1], [2], [3]]}, Y), [(3,), (3, 1), (3,)]),
        ([(X[0], 1), (X[1], 0)], [(2, 2), (2,)]),
        ([{"x": X[0], "n": 1.5}, {"x": X[1], "n": 2.5}], [(2, 2), (2,)]),
    ],
)
def test_a_list_of_examples_is_one_entry_and_a_list_of_items_is_stacked(
    raw: Any, shapes: list[tuple[int, ...]]
) -> None:
    assert [tuple(t.shape) for t in leaves(as_tensors(raw, "P.data()", []))] == shapes


@pytest.mark.parametrize(("dtype", "pair"), [(torch.float32, torch.complex64), (torch.float64, torch.complex128)])
def test_complex_numbers_have_the_precision_of_the_run(dtype: torch.dtype, pair: torch.dtype) -> None:
    for kind in (torch.complex64, torch.complex128):
        data = as_tensors({"z": torch.tensor([1 + 2j], dtype=kind), "n": [3]}, "P.data()", [])
        found = on_device(data, torch.device("cpu"), dtype)
        assert (found["z"].dtype, found["z"].tolist(), found["n"].dtype) == (pair, [1 + 2j], torch.int64)


@pytest.mark.parametrize("inner", [dict, OrderedDict])
def test_a_dataset_of_nested_items_has_batches_of_the_same_shape(inner: Any) -> None:
    items = Items(lambda k: (inner(x=torch.ones(2) * k, n=(k, float(k))), Pair(k, [torch.zeros(1)])), 4)
    (mapping, pair) = as_tensors(items, "P.data()", [])
    assert (type(mapping), type(pair), type(mapping["n"]), type(pair.second)) == (inner, Pair, tuple, list)
    assert mapping["x"].tolist() == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    assert mapping["n"][1].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_items_that_do_not_stack_are_told() -> None:
    with pytest.raises(CpdError) as caught:
        as_tensors(Items(lambda k: torch.zeros(k + 1)), "P.data()", [])
    assert str(caught.value).startswith("P.data(): items cannot be stacked: ")
    assert "write collate(self, items) in the problem" in str(caught.value)


class Ruled(DataLoader[Any]):
    """A DataLoader in which something else than shuffling decides the order."""

    def __init__(self) -> None:
        weights = WeightedRandomSampler([1.0, 2.0], 2)
        super().__init__(TensorDataset(torch.zeros(2)), sampler=weights)


def test_a_data_loader_with_an_order_of_its_own_is_refused() -> None:
    with pytest.raises(CpdError) as caught:
        as_tensors(Ruled(), "P.data()", [])
    assert str(caught.value).startswith("P.data(): returned a DataLoader with a sampler of its own; return the Dataset")


def test_a_data_loader_is_what_it_is_made_of() -> None:
    notes: list[str] = []
    loader = DataLoader(TensorDataset(X, Y), batch_size=2, shuffle=True, drop_last=True)
    assert [t.tolist() for t in as_tensors(loader, "P.data()", notes)] == [X.tolist(), Y.tolist()]
    assert notes == ["drop_last of the DataLoader does not count: a smaller last minibatch is a step too"]


def test_an_empty_dataset_is_told() -> None:
    with pytest.raises(CpdError) as caught:
        as_tensors(Items(float, 0), "P.data()", [])
    assert str(caught.value) == "P.data(): the Dataset is empty; it needs at least one example"
