"""What is seen around the parameters at which a training ends, against gradients by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from zoo import Specimen, zoo

from cpd.engine.batch import Batch
from cpd.engine.train import Hooks, Interrupted, train
from cpd.outcome import Ending, Run

ROWS = {"a": [[1.0, 2.0]], "v": [[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0]]}


def specimen(**more: Any) -> Specimen:
    own: dict[str, Any] = {
        "start": [0.5, -2.0], "curvature": [1.0, 0.5], "centre": [1.0, 1.0], "rows": ROWS, "shape": "sigmoid",
        "gain": 2.0,
    }  # fmt: skip
    methods = [("lagrangian", {"dual_lr": 0.01}), ("penalized", {"coefficient": 0.3})]
    levels = {"a": (0.1, "<="), "v": (0.2, "<=")}
    return Specimen("x", frozenset(), {**own, **more}, levels, methods, 0.02, steps=40, dtype="float64")


def ending(run: Run) -> Ending:
    assert run.ending is not None
    return run.ending


def by_hand(batch: Batch, run: Run) -> tuple[np.ndarray, float]:
    """Descend with the two equations of the method alone, and take every component's gradient at the end."""
    rows = torch.tensor([row for rows in ROWS.values() for row in rows], dtype=torch.float64)
    torch.manual_seed(1)
    start = torch.tensor([0.5, -2.0])
    x = (start + 1e-6 * start.abs() * torch.randn(2)).double()
    first = x.norm()
    levels = torch.tensor([0.2, 0.4, 0.4, 0.4], dtype=torch.float64)
    multiplier = torch.zeros(4, dtype=torch.float64)

    def values(x: torch.Tensor) -> torch.Tensor:
        return 2 * torch.sigmoid(rows @ x)

    for _ in range(batch.train.steps or 0):
        x = x.detach().requires_grad_()
        if run.key.method == "lagrangian":
            multiplier = (multiplier + 0.01 * (values(x).detach() - levels)).clamp_min(0)
        else:
            multiplier = torch.full((4,), 0.3, dtype=torch.float64)
        total = (torch.tensor([1.0, 0.5]) * (x - 1) ** 2).sum() + multiplier @ (values(x) - levels)
        x = x.detach() - 0.02 * torch.autograd.grad(total, x)[0]
    jacobian = torch.func.jacrev(values)(x.detach())
    return (jacobian @ jacobian.T).numpy(), float(max(x.norm(), first))


@pytest.mark.parametrize("fuse", [True, False])
def test_products_of_every_components_gradient_at_the_end(fuse: bool) -> None:
    batch = replace(specimen().batch(), fuse=fuse, stepper="eager")
    for run in train(batch).runs:
        products, scale = by_hand(batch, run)
        assert ending(run).components == [("a", 0), ("v", 0), ("v", 1), ("v", 2)]
        np.testing.assert_allclose(ending(run).products, products, rtol=1e-9)
        assert ending(run).scale == pytest.approx(scale, rel=1e-9)
        assert ending(run).recedes is False


def test_of_many_components_those_that_are_furthest_from_their_levels() -> None:
    k = 40
    rows = [[1.0 + i / 10] for i in range(k)]
    many = specimen(start=[1.0], curvature=[1.0], centre=[1.0], rows={"v": rows}, shape="linear", gain=1.0)
    many = replace(many, constraints={"v": (0.2, "<=")}, methods=[("penalized", {"coefficient": 0.0})])
    (run,) = train(many.batch()).runs
    assert ending(run).components == [("v", i) for i in range(k - 16, k)]
    steep = np.array(rows[k - 16 :])
    np.testing.assert_allclose(ending(run).products, steep @ steep.T)


@pytest.mark.parametrize(
    ("more", "method", "recedes"),
    [
        ({"slope": [0.0, -1.0], "curvature": [1.0, 0.0]}, ("penalized", {"coefficient": 0.0}), True),
        ({"slope": [0.0, -1.0], "curvature": [1.0, 1e-9]}, ("penalized", {"coefficient": 0.0}), True),
        ({"slope": [0.0, -1.0], "curvature": [1.0, 1e-4]}, ("penalized", {"coefficient": 0.0}), False),
        ({"slope": [0.0, -1.0], "curvature": [1.0, 0.0], "box": [-9, 9]}, ("penalized", {"coefficient": 0.0}), False),
        ({"slope": [0.0, -1.0], "curvature": [1.0, 0.0]}, ("penalized", {"coefficient": 2.0}), False),
        ({"slope": [-1.0, 0.0], "curvature": [0.0, 1.0]}, ("penalized", {"coefficient": 0.0}), False),
    ],
    ids=["falls", "bends a million away", "bends within reach", "a wall", "held by a penalty", "past its constraint"],
)  # fmt: skip
def test_whether_the_objective_falls_for_ever(more: dict[str, Any], method: Any, recedes: bool) -> None:
    own = specimen(
        rows={"g": [[1.0, 1.0 if method[1]["coefficient"] else 0.0]]}, shape="linear", centre=[0.5, 0.0], **more
    )
    own = replace(own, constraints={"g": (3.0, "<=")}, methods=[method])
    (run,) = train(own.batch()).runs
    assert ending(run).recedes is recedes


def test_a_look_at_the_end_leaves_no_trace_and_comes_again_after_an_interruption(tmp_path: Any) -> None:
    batch = specimen().batch()
    whole = train(batch).runs
    asked = iter([False, True])
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(asked, False)))
    again = train(kept).runs
    assert [run.ending for run in again] == [run.ending for run in whole]
    alone = [train(replace(batch, keys=(key,))).runs[0].ending for key in batch.keys]
    assert alone == [run.ending for run in whole]


def test_a_run_that_diverged_has_none() -> None:
    wild = next(s for s in zoo(3) if "no longer finite" in s.state)
    for run in train(wild.batch()).runs:
        assert run.ending is None
        assert run.error
