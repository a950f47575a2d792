"""Whether two ways came to the same, up to rounding."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cpd.engine.agreement import ABSOLUTE, RELATIVE, ROUNDING, disagreement, shake

EPS = torch.finfo(torch.float64).eps
ONE = torch.tensor([1.0, -4.0], dtype=torch.float64)


def still(k: int) -> dict[str, Tensor]:
    """A plain step that rounding does not move."""
    return {"x": ONE}


def compared(found: Tensor, before: Tensor | None = None, shaken: Callable[[int], dict[str, Tensor]] = still) -> bool:
    return disagreement({"x": found}, {"x": ONE}, {} if before is None else {"x": before}, shaken) is None


@pytest.mark.parametrize(("units", "agrees"), [(0, True), (RELATIVE, True), (2 * RELATIVE, False)])
def test_a_new_number_may_differ_by_so_many_roundings(units: float, agrees: bool) -> None:
    assert compared(ONE + 4 * units * EPS, None) is agrees


@pytest.mark.parametrize(("units", "agrees"), [(ABSOLUTE / 2, True), (3 * ABSOLUTE, False)])
def test_what_a_step_leaves_may_differ_by_the_roundings_of_the_number_alone(units: float, agrees: bool) -> None:
    assert compared(ONE + 4 * units * EPS, before=ONE) is agrees


def test_a_small_change_is_compared_with_the_change() -> None:
    before = ONE - 1e-6
    assert compared(ONE + 1e-6 * RELATIVE * EPS / 2, before)
    assert not compared(ONE + 1e-9, before)  # a thousandth of the change, far within the number's size


def test_what_rounding_moves_as_far_is_rounding() -> None:
    flipped = ONE + torch.tensor([0.0, 0.25], dtype=torch.float64)
    assert compared(flipped, shaken=lambda k: {"x": ONE + (0.25 if k == 2 else 0.0)})
    assert not compared(flipped, shaken=lambda k: {"x": ONE + 0.25 / ROUNDING / 2})


def test_what_cannot_be_compared_differs() -> None:
    assert not compared(ONE[:1])
    assert not compared(ONE.float())
    assert not compared(torch.tensor([float("nan"), -4.0], dtype=torch.float64))
    both = torch.tensor([float("nan"), 2.0])
    assert disagreement({"x": both}, {"x": both.clone()}, {}, still) is None
    assert (
        disagreement(
            {"x": torch.tensor([1, 2])}, {"x": torch.tensor([1, 3])}, {}, lambda k: {"x": torch.tensor([1, 3])}
        )
        == "x"
    )


def test_the_worst_is_named() -> None:
    right = {"a": ONE, "b": ONE}
    assert disagreement({"a": ONE + 1, "b": ONE + 2}, right, {}, lambda k: right) == "b"


def test_shaken_parameters_differ_by_rounding_and_alike_each_time() -> None:
    p = {"w": torch.full((100,), 3.0)}
    first, again, other = shake(p, 0)["w"], shake(p, 0)["w"], shake(p, 1)["w"]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 < (first - 3).abs().max() < 3 * 100 * torch.finfo(torch.float32).eps
