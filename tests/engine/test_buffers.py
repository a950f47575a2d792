"""Buffers are state: run by run those of a plain PyTorch loop, whatever changes them, in every engine, and resumed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import state_problems
import torch
from model_batches import KEYS, apart, batch_of, farthest, interrupted, plainly, same, trained
from plain_loop import FEATURES
from state_problems import MODELS

from cpd.engine.batch import Batch
from cpd.engine.train import train
from cpd.errors import CpdError

ADAM = FEATURES["adam in minibatches"]
CHANGED = {"grown", "halved"}
ONE_BY_ONE = {"BatchNorm of all so far": "a number is read off a tensor", "read": "a number is read off a tensor"}
SOME = ["BatchNorm2d", "spectral norm", "in place", "by data", "queue", "tied", "turned", "flags"]
COMPILED = [name for name in MODELS if name not in CHANGED and name not in ONE_BY_ONE]
compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="there is no C++ compiler"
)


def of(name: str, steps: int = 24, dtype: str = "float64", **options: object) -> Batch:
    return batch_of("Stateful", {"name": name}, ADAM, steps, dtype, state_problems, keys=KEYS[1:], **options)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the old norms
@pytest.mark.parametrize("stepper", ["captured", pytest.param("eager", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [n if n in SOME else pytest.param(n, marks=pytest.mark.slow) for n in MODELS if n not in CHANGED]
)
def test_buffers_are_those_of_a_plain_loop_and_resumed_bit_by_bit(name: str, stepper: str, tmp_path: Path) -> None:
    batch = of(name, stepper=stepper)
    found, notes = trained(batch)
    assert farthest(found, [plainly(batch, key, ADAM, state_problems) for key in batch.keys]) < (1e-11, "")
    said = ONE_BY_ONE.get(name)
    assert [said is not None and said in note for note in notes] == ([True] if said else [])
    kept = replace(batch, checkpoint=str(tmp_path))
    interrupted(kept)
    assert all(map(same, trained(kept)[0], found))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])
def test_batchnorm_keeps_to_a_plain_loop_over_200_steps_in_single_precision(name: str) -> None:
    batch = of(name, 200, "float32", stepper="captured")
    found, _ = trained(batch)
    assert farthest(found, [plainly(batch, key, ADAM, state_problems) for key in batch.keys]) < (1e-5, "")
    assert found[0].tensors["1.num_batches_tracked"] == 200


@compiler
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the old norms
@pytest.mark.slow
@pytest.mark.parametrize("name", [n if n in SOME[:3] else pytest.param(n, marks=pytest.mark.whole) for n in COMPILED])
def test_compiled_buffers_are_those_of_a_plain_loop(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    batch = of(name, 60, stepper="compiled")
    found, notes = trained(batch)
    assert farthest(found, [plainly(batch, key, ADAM, state_problems) for key in batch.keys]) < (1e-11, "")
    assert all("captured instead of compiled" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("grown", "makes [12] float32 of the buffer 'mean', which is [6] float32"),
        ("halved", "makes [] float32 of the buffer 'calls', which is [] int64"),
    ],
)
@pytest.mark.parametrize("fuse", [True, False])
def test_a_buffer_of_another_shape_or_type_is_refused_with_a_line(name: str, said: str, fuse: bool) -> None:
    with pytest.raises(CpdError) as raised:
        train(of(name, dtype="float32", fuse=fuse))
    hint = "register it in the shape and type that it will have, and write into its parts"
    assert str(raised.value) == f"state_problems.py:Stateful.evaluate(): {said}; {hint}"


def test_a_complex_parameter_is_refused_with_a_line() -> None:
    with pytest.raises(CpdError) as raised:
        train(batch_of("Complex", {}, ADAM, 5, module=state_problems))
    assert str(raised.value).startswith("state_problems.py:Complex.model(): returned the complex parameter 'phase'; ")


def test_measuring_leaves_the_statistics_of_training_alone() -> None:
    batch = batch_of("Remeasured", {}, ADAM, 24, "float64", state_problems, stepper="captured", keys=KEYS[1:])
    found, _ = trained(batch)
    for one, key in zip(found, batch.keys, strict=True):
        far = apart(one, plainly(batch, key, ADAM, state_problems))
        assert far["fresh"] < 1e-11
        assert torch.equal(one.tensors["1.num_batches_tracked"], torch.tensor(24))
