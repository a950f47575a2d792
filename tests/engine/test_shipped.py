"""Modules with kept weights: those that a training has, whatever they are made of, and no one else's."""

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shipped_problems
import torch
from torch import Tensor, nn

from cpd.engine.batch import Batch
from cpd.engine.importing import leave
from cpd.engine.preparing import Builder
from cpd.engine.shipped import module_of, state_dict_bytes
from cpd.errors import CpdError
from cpd.spec.models import ProblemSource, Train

ALL = ["Normed", "Tied", "Lazy", "Shuffled", "Own", "Cached"]


def source(name: str) -> ProblemSource:
    path = Path(shipped_problems.__file__)
    return ProblemSource(target=f"{path.name}:{name}", path=str(path), source=path.read_text())


def recipe(dtype: str = "float32") -> Train:
    return Train.model_validate({"steps": 3, "batch_size": 5, "dtype": dtype})


def built(name: str, dtype: str = "float32", seed: int = 1) -> nn.Module:
    """A module as a training begins with it."""
    return Builder(Batch(source(name), {}, recipe(dtype), ())).model(seed)


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Other numbers for all of its tensors."""
    state = {n: t for n, t in module.state_dict().items() if isinstance(t, Tensor)}
    return {n: (t + 1.25 if t.is_floating_point() else t + 3).clone() for n, t in state.items()}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_module_is_that_of_training_with_the_weights(name: str, dtype: str) -> None:
    trained = built(name, dtype)
    own = weights(trained)
    module = module_of(source(name), recipe(dtype), 1, own)
    found = module.state_dict()
    assert not module.training
    assert {n: t.dtype for n, t in found.items() if isinstance(t, Tensor)} == {n: t.dtype for n, t in own.items()}
    assert all(torch.equal(found[n], t) for n, t in own.items())
    trained.load_state_dict({**trained.state_dict(), **own})
    x = torch.randn(4, 3, dtype=getattr(torch, dtype))
    assert torch.equal(module(x), trained.eval()(x))


def test_what_is_tied_stays_tied() -> None:
    module: Any = module_of(source("Tied"), recipe(), 1, weights(built("Tied")))
    assert module.first.weight is module.second.weight


@pytest.mark.parametrize("name", ["Own", "Cached"])
def test_a_module_that_the_problem_keeps_is_the_callers_own(name: str) -> None:
    own = weights(built(name))
    first = module_of(source(name), recipe(), 1, own)
    second = module_of(source(name), recipe(), 1, {n: t * 2 for n, t in own.items()})
    built(name)
    assert all(torch.equal(first.state_dict()[n], t) for n, t in own.items())
    assert all(torch.equal(second.state_dict()[n], t * 2) for n, t in own.items())


def test_the_callers_generators_and_modules_stay_as_they_are() -> None:
    own = weights(built("Shuffled"))
    leave()

    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(())), random.random(), float(np.random.rand())

    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    expected = drawn()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    module_of(source("Shuffled"), recipe(), 1, own)
    assert drawn() == expected


def changed(name: str, tensor: Tensor | None) -> dict[str, Tensor]:
    own = weights(built("Normed"))
    if not name:
        return {}
    if tensor is None:
        del own[name]
        return own
    return {**own, name: tensor}


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("1.running_mean", None, "it has no '1.running_mean'"),
        ("4.bias", torch.zeros(2), "it has '4.bias', the problem's model has not"),
        ("0.weight", torch.zeros(5, 4), "'0.weight' is [5, 4], in the problem's model [5, 3]"),
        ("3.bias", torch.zeros(1), "'3.bias' is [1], in the problem's model [2]"),
        ("3.bias", torch.zeros(2).double(), "'3.bias' is float64, in the problem's model float32"),
        ("1.num_batches_tracked", torch.tensor(1.0), "'1.num_batches_tracked' is float32"),
        ("", None, "it has no '0.weight'"),
    ],
)
def test_weights_of_another_problem_are_told_in_one_line(name: str, tensor: Tensor | None, said: str) -> None:
    tensors = changed(name, tensor)
    with pytest.raises(CpdError) as caught:
        module_of(source("Normed"), recipe(), 1, tensors, place="best.safetensors")
    line = str(caught.value)
    assert line.startswith("best.safetensors: is of another problem than shipped_problems.py:Normed: ")
    assert said in line
    assert "\n" not in line


def test_where_the_data_are_gone_a_module_that_needs_none_is_made_and_it_is_said() -> None:
    own = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    with pytest.warns(UserWarning, match=r"train\.csv.*made without its data"):
        module = module_of(source("NoData"), recipe(), 1, own)
    assert torch.equal(module(torch.ones(1, 3)), torch.full((1, 2), 4.0))
    with pytest.raises(CpdError, match=r"train\.csv"):
        module_of(source("NeedsData"), recipe(), 1, own)


def test_another_batch_size_than_the_loaders_matters_to_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = module_of(source("Loaded"), recipe(), 1, {"weight": torch.ones(2, 3), "bias": torch.ones(2)})
    assert torch.equal(module(torch.ones(1, 3)), torch.full((1, 2), 4.0))


def test_a_state_dict_is_read_by_torch_alone(tmp_path: Path) -> None:
    own = {**weights(built("Normed")), "empty": torch.zeros(0, 3), "half": torch.ones(2).bfloat16()}
    (tmp_path / "m.pt").write_bytes(state_dict_bytes(own))
    found = torch.load(tmp_path / "m.pt", weights_only=True)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[n], t) and found[n].dtype == t.dtype for n, t in own.items())


def test_nothing_is_said_where_all_is_as_it_was() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module_of(source("Tied"), recipe(), 1, weights(built("Tied")))
