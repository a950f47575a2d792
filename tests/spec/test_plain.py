"""Values of Python as a file would give them."""

import itertools
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

from cpd.spec.keywords import keyword_layer, set_layers
from cpd.spec.plain import plain
from cpd.spec.validation import InvalidError

PLAIN: list[tuple[Any, Any]] = [
    (np.int64(3), 3),
    (np.float32(0.1), 0.1),
    (np.float64(0.1), 0.1),
    (np.float16(0.7), 0.7),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array(0.5), 0.5),
    (torch.tensor(0.1), 0.1),
    (torch.tensor(0.1, dtype=torch.bfloat16), 0.1),
    (torch.tensor(1 / 3, dtype=torch.float64), 1 / 3),
    (torch.tensor(7), 7),
    (torch.tensor(True), True),
    (torch.nn.Parameter(torch.tensor(0.25)), 0.25),
    (Fraction(1, 4), 0.25),
    (Decimal("0.1"), 0.1),
    (Path("a") / "b", "a/b"),
    (range(3), [0, 1, 2]),
    ((1, (2, 3)), [1, [2, 3]]),
    (np.linspace(0, 1, 3, dtype=np.float32), [0.0, 0.5, 1.0]),
    (torch.tensor([0.1, 0.7]), [0.1, 0.7]),
    (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
    (pandas.Series([0.1, 0.2], index=["a", "b"]), [0.1, 0.2]),
    (pandas.Index([1, 2]), [1, 2]),
    ((x * 0.5 for x in range(2)), [0.0, 0.5]),
    ({"a": {"b": (1,)}}, {"a": {"b": [1]}}),
    ({"a": 1}.keys(), ["a"]),
    (torch.float64, "float64"),
    (torch.device("cpu"), "cpu"),
    (torch.optim.AdamW, "AdamW"),
    (torch.optim.lr_scheduler.CosineAnnealingLR, "CosineAnnealingLR"),
    (np.float32, "float32"),
    (None, None),
    (True, True),
]


@pytest.mark.parametrize(("value", "expected"), PLAIN, ids=lambda one: f"{type(one).__name__}")
def test_a_value_becomes_plain(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (float("nan"), ""),
        (np.float32("inf"), ""),
        ({"a": [1, torch.tensor(float("nan"))]}, "a[1]"),
        ({"a": {1: 2}}, "a"),
        ({"a": {"b": object()}}, "a.b"),
        ([lambda: 1], "[0]"),
        ({3, 4}, ""),
        (b"x", ""),
        (1j, ""),
        (itertools.count(), ""),
        (int, ""),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, str) else one,
)
def test_what_has_no_plain_form_is_refused_where_it_is(value: Any, key: str) -> None:
    with pytest.raises(InvalidError) as caught:
        plain(value)
    assert caught.value.key == key
    assert caught.value.message


def test_an_array_is_no_argument_of_a_class() -> None:
    with pytest.raises(InvalidError, match=r"torch\.Tensor"):
        plain({"x": torch.ones(2)}, arrays=False)
    assert plain({"x": torch.tensor(2.0)}, arrays=False) == {"x": 2.0}


GRIDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"methods": {"penalized": {"coefficient": [1, 2]}}},
        {"methods": {"penalized": {"coefficient": {"values": [1, 2]}}}},
    ),
    (
        {"methods": {"penalized": [{"coefficient": 0}, {"coefficient": {"min": 1, "max": 2, "num": 2}}]}},
        {"methods": {"penalized": [{"coefficient": 0}, {"coefficient": {"min": 1, "max": 2, "num": 2}}]}},
    ),
    (
        {"methods": {"lagrangian": {"dual_lr": (0.1,), "dual_schedule": [{"name": "StepLR", "for": 3}, "LinearLR"]}}},
        {
            "methods": {
                "lagrangian": {
                    "dual_lr": {"values": [0.1]},
                    "dual_schedule": [{"name": "StepLR", "for": 3}, "LinearLR"],
                }
            }
        },
    ),
    (
        {"methods": {"augmented_lagrangian": {"growth": {"factor": [2, 10], "every": 5}}}},
        {"methods": {"augmented_lagrangian": {"growth": {"factor": {"values": [2, 10]}, "every": 5}}}},
    ),
    (
        {"train": {"steps": 5, "optimizer": {"name": "Adam", "lr": [0.1, 0.2], "betas": (0.9, 0.99)}}},
        {"train": {"steps": 5, "optimizer": {"name": "Adam", "lr": {"values": [0.1, 0.2]}, "betas": [0.9, 0.99]}}},
    ),
    ({"train": {"optimizer": ["SGD", "Adam"]}}, {"train": {"optimizer": {"values": ["SGD", "Adam"]}}}),
    ({"train": {"schedule": [{"name": "StepLR"}]}}, {"train": {"schedule": [{"name": "StepLR"}]}}),
    (
        {"train": {"groups": {"*.bias": {"lr": [0.1, 0.2]}}}},
        {"train": {"groups": {"*.bias": {"lr": {"values": [0.1, 0.2]}}}}},
    ),
    ({"levels": {"x": np.array([1, 2])}}, {"levels": {"x": {"values": [1, 2]}}}),
    (
        {"levels": {"x": {"from": 1, "to": [1, 2], "over": 0.5}}},
        {"levels": {"x": {"from": 1, "to": {"values": [1, 2]}, "over": 0.5}}},
    ),
    (
        {"arguments": {"sizes": (3, 4), "n": {"values": range(2)}}},
        {"arguments": {"sizes": [3, 4], "n": {"values": [0, 1]}}},
    ),
    ({"seeds": range(10**12)}, {"seeds": f"0:{10**12}"}),
    ({"objective": None}, {}),
]


@pytest.mark.parametrize(("given", "expected"), GRIDS, ids=lambda one: "-".join(one))
def test_a_list_is_a_grid_where_no_list_may_stand(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert keyword_layer(given, "cpd.sweep()").raw == expected


def test_one_value_is_set_over_a_task() -> None:
    two, one = set_layers({"penalized.coefficient": [1, 2], "levels.a.b": 3}, ["a.b"], [], "cpd.sweep()")
    assert (one.raw, one.option) == (
        {"methods": {"penalized": {"coefficient": {"values": [1, 2]}}}},
        "methods.penalized.coefficient",
    )
    assert two.raw == {"levels": {"a.b": 3}}
    assert one.place == "cpd.sweep(): set['penalized.coefficient']"
