"""What a user's problem returns: shares of examples, and entries of a vector constraint, by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap

import cpd
from cpd.problem import Problem, takes

P = [0.2, 0.4, 0.6, 0.8]
Y = [1, 0, 1, 1]
GROUP = [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]
"""Of the four examples; nobody is in the third group."""


def numbers(t: Tensor) -> Any:
    return t.detach().tolist()


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32, torch.float64])
def test_a_share_is_of_its_group(kind: torch.dtype) -> None:
    p, y, group = torch.tensor(P), torch.tensor(Y).to(kind), torch.tensor(GROUP).to(kind)
    assert numbers(cpd.share(p, of=y).value) == pytest.approx(1.6 / 3)
    assert numbers(cpd.share(p > 0.5, of=y).value) == pytest.approx(2 / 3)
    assert numbers(cpd.share(y).value) == 0.75
    for one in (p, p[:, None]):
        share = cpd.share(one, of=group)
        assert numbers(share.numerator) == pytest.approx([1.0, 1.0, 0.0])
        assert numbers(share.denominator) == [2, 2, 0]
        assert numbers(share.value) == pytest.approx([0.5, 0.5, 0.0])
        assert share.there is not None
        assert numbers(share.there) == [True, True, False]
    whole = cpd.share(torch.tensor(GROUP).to(kind), dim=None)
    assert numbers(whole.value) == pytest.approx(1 / 3)
    assert whole.there is None


def test_many_counts_are_kept_whatever_they_are_counted_in() -> None:
    n = 3000  # bfloat16 counts to 256, float16 to 2048, uint8 to 255
    for kind in (torch.bool, torch.uint8, torch.bfloat16, torch.float16):
        share = cpd.share(torch.ones(n, dtype=kind), of=torch.ones(n, dtype=kind))
        assert (float(share.numerator), float(share.denominator), float(share.value)) == (n, n, 1.0)


def test_an_empty_group_has_no_gradient_and_nothing_that_is_not_finite() -> None:
    p = torch.tensor(P, requires_grad=True)
    for of in (torch.zeros(4), torch.zeros(4, dtype=torch.bool), torch.zeros(4, 2)):
        share = cpd.share(p, of=of)
        (gradient,) = torch.autograd.grad(share.value.sum(), p)
        assert numbers(gradient) == [0, 0, 0, 0]
    nobody = cpd.share(p[:0])
    assert nobody.there is not None
    assert not nobody.there
    assert float(nobody.value.detach()) == 0


def test_the_gradient_of_a_share_is_its_weights() -> None:
    p, of = torch.tensor(P, requires_grad=True), torch.tensor([2.0, 0.0, 1.0, 1.0])
    (gradient,) = torch.autograd.grad(cpd.share(p, of=of).value, p)
    assert numbers(gradient) == [0.5, 0.0, 0.25, 0.25]


def test_shares_of_many_models_at_once() -> None:
    p, y = torch.rand(5, 4), torch.tensor(Y)
    together = vmap(lambda one: cpd.share(one, of=y * (one > 0.5)).value)(p)
    assert numbers(together) == pytest.approx([float(cpd.share(one, of=y * (one > 0.5)).value) for one in p])


def test_entries_that_are_named_twice_are_averaged() -> None:
    values = torch.tensor([1.0, 3.0, 5.0], requires_grad=True)
    vector, there = cpd.observed(values, torch.tensor([2, 2, 0], dtype=torch.int32), size=4).spread
    assert numbers(vector) == [5, 0, 2, 0]
    assert numbers(there) == [True, False, True, False]
    (gradient,) = torch.autograd.grad((vector * torch.tensor([1.0, 10, 100, 1000])).sum(), values)
    assert numbers(gradient) == [50, 50, 1]


@pytest.mark.parametrize("index", [4, -1])
def test_an_entry_out_of_range_is_never_taken_for_another(index: int) -> None:
    vector, _ = cpd.observed(torch.ones(2), torch.tensor([1, index]), size=4).spread
    assert torch.isnan(vector).any()


REFUSED: dict[str, Callable[[], Any]] = {
    "cpd.share(): max of it is max; give a tensor of them, such as amax in place of max over a dimension": lambda: (
        cpd.share(torch.ones(4, 2)).max(dim=0)
    ),
    "cpd.share(): is put into a tensor by add_; write a = a + cpd.share(...)": lambda: torch.ones(()).add_(
        cpd.share(torch.ones(4))  # type: ignore[arg-type]
    ),
    "cpd.share(): p has shape [4], of has [3]; let the first dimension of both be the examples": lambda: cpd.share(
        torch.ones(4), of=torch.ones(3)
    ),
    "cpd.observed(): index is of float32; give whole numbers, such as torch.arange(n) in data()": lambda: cpd.observed(
        torch.ones(2), torch.ones(2), 3
    ),
    "cpd.observed(): values has shape [2], index has [3]; give one whole number for each value": lambda: cpd.observed(
        torch.ones(2), torch.arange(3), 3
    ),
    "cpd.observed(): size is 0; give the number of constraints, an integer >= 1": lambda: cpd.observed(
        torch.ones(2), torch.arange(2), 0
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_fit_together_is_refused(said: str) -> None:
    call: Any = REFUSED[said]
    with pytest.raises(cpd.CpdError) as error:
        call()
    assert str(error.value) == said


class Ways:
    """Ways to declare what an evaluation takes."""

    def plain(self, model: Any, batch: Any) -> None: ...
    def third(self, model: Any, batch: Any, t: Any) -> None: ...
    def named(self, model: Any, batch: Any, *, progress: Any = None) -> None: ...
    def own(self, model: Any, batch: Any, smooth: bool = True) -> None: ...
    def both(self, model: Any, batch: Any, constraint_batch: Any, progress: Any) -> None: ...
    def open(self, model: Any, batch: Any, *args: Any, **words: Any) -> None: ...


def test_an_evaluation_is_given_what_it_declares() -> None:
    found = {name: takes(getattr(Ways(), name)) for name in ("plain", "third", "named", "own", "both", "open")}
    assert found == {
        "plain": {},
        "third": {"t": "progress"},
        "named": {"progress": "progress"},
        "own": {},
        "both": {"constraint_batch": "constraint_batch", "progress": "progress"},
        "open": {},
    }


def test_a_problem_is_judged_as_if_its_training_were_done() -> None:
    class Late(Problem):
        def evaluate(self, model: Any, batch: Any, progress: Tensor) -> cpd.Evaluation:  # type: ignore[override]
            return cpd.Evaluation(progress, {})

    assert float(Late().measure(torch.nn.Linear(1, 1), None).objective) == 1
