"""Twelve models that people train: fused, alone and in a plain PyTorch loop they come to the same, resumed too."""

import itertools
import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from model_batches import KEYS, apart, batch_of, farthest, interrupted, plainly, same, trained
from model_problems import TWELVE
from plain_loop import FEATURES, Feature, Finished, known

from cpd.engine.batch import Batch

BOUNDS = {"float32": 1e-5, "float64": 1e-9}
FLAT = 50
"""How much farther than what they give single weights may be: some hardly matter, and Adam magnifies gradients."""
REFUSED = "cannot be fused, runs train one at a time: `if`, `while`, `max` or `assert` depends on a tensor's value at "
GIVES_WAY = "captured instead of compiled: it draws random numbers that depend on more than shapes"
RECIPES = [name for name in FEATURES if known(name) and name != "autocast"]
ROTATED = list(zip(TWELVE, [RECIPES[k % len(RECIPES)] for k in range(len(TWELVE))], strict=True))
SOME = [
    (model, RECIPES[(k + 3 * j) % len(RECIPES)], dtype)
    for k, model in enumerate(TWELVE)
    for j, dtype in enumerate(BOUNDS)
]
ALL = [
    case if case in SOME else pytest.param(*case, marks=pytest.mark.whole)
    for case in itertools.product(TWELVE, RECIPES, BOUNDS)
]
COMPILED = [
    case if k % 9 == 0 else pytest.param(*case, marks=pytest.mark.whole)
    for k, case in enumerate(itertools.product(TWELVE, BOUNDS))
]
OTHERS = [
    ("Recurrent", {"kind": "GRU"}),
    ("Recurrent", {"kind": "RNN"}),
    ("Transformer", {"dropout": 0.2}),
    ("Physics", {"by": "autograd"}),
    ("Checkpointed", {"use_reentrant": True}),
    ("Checkpointed", {"use_reentrant": False}),
    ("Packed", {}),
    ("Filled", {}),
]
compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="there is no C++ compiler"
)


def of(model: str, feature: str, steps: int, dtype: str, stepper: str = "captured") -> Batch:
    kind, arguments = TWELVE[model]
    return batch_of(kind, arguments, FEATURES[feature], steps, dtype, stepper=stepper, keys=KEYS[1:])


@lru_cache(maxsize=4)
def expected(model: str, feature: str, steps: int, dtype: str) -> list[Finished]:
    batch = of(model, feature, steps, dtype)
    return [plainly(batch, key, FEATURES[feature]) for key in batch.keys]


def close(found: list[Finished], right: list[Finished], bound: float) -> None:
    given = [replace(each, tensors={}) for each in found]
    assert farthest(given, right) < (bound, "")
    assert farthest(found, right) < (bound * FLAT, "")


def agree(batch: Batch, right: list[Finished], bound: float) -> None:
    found, notes = trained(batch)
    close(found, right, bound)
    assert len(right[0].tensors.keys() - found[0].tensors.keys()) == 0
    branches = batch.problem.target.endswith(":Branching")
    notes = [note for note in notes if not note.startswith(GIVES_WAY)]
    assert [note[: len(REFUSED)] for note in notes] == ([REFUSED] if branches else [])


@pytest.mark.parametrize(("model", "feature"), ROTATED)
def test_every_model_comes_to_what_a_plain_loop_comes_to_and_is_resumed_bit_by_bit(
    model: str, feature: str, tmp_path: Path
) -> None:
    batch = of(model, feature, 40, "float64")
    found, notes = trained(batch)
    assert farthest(found, expected(model, feature, 40, "float64")) < (1e-9, "")
    assert [note[: len(REFUSED)] for note in notes] == ([REFUSED] if model == "branching" else [])
    kept = replace(batch, checkpoint=str(tmp_path))
    interrupted(kept)
    assert all(map(same, trained(kept)[0], found))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "feature", "dtype"), ALL)
def test_fused_alone_and_plain_are_one_over_200_steps(model: str, feature: str, dtype: str) -> None:
    right = expected(model, feature, 200, dtype)
    for stepper in ("eager", "captured"):
        agree(of(model, feature, 200, dtype, stepper), right, BOUNDS[dtype])
    alone = trained(replace(of(model, feature, 200, dtype), fuse=False))[0]
    close(alone, right, BOUNDS[dtype])


@compiler
@pytest.mark.slow
@pytest.mark.parametrize(("model", "dtype"), COMPILED)
def test_compiled_steps_are_those_of_a_plain_loop_too(
    model: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path / "programs"))
    feature = "adam in minibatches"
    batch = replace(of(model, feature, 200, dtype, "compiled"), checkpoint=str(tmp_path / "kept"))
    interrupted(batch, 2)
    agree(batch, expected(model, feature, 200, dtype), BOUNDS[dtype])


@pytest.mark.slow
@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize(("kind", "arguments"), OTHERS)
def test_other_models_come_to_what_a_plain_loop_comes_to(kind: str, arguments: dict[str, object], stepper: str) -> None:
    feature = FEATURES["adam in minibatches"]
    batch = batch_of(kind, arguments, feature, 40, "float64", stepper=stepper, keys=KEYS[1:])
    found, _ = trained(batch)
    right = [plainly(batch, key, feature) for key in batch.keys]
    assert farthest(found, right) < (1e-9, "")


def test_fused_runs_see_the_lower_precision_where_a_run_alone_sees_it() -> None:
    batch = batch_of("Typed", {}, FEATURES["autocast"], 8, keys=KEYS[1:], stepper="captured")
    found, notes = trained(batch)
    assert notes == []
    alone, _ = trained(replace(batch, fuse=False))
    close([replace(each, tensors={}) for each in found], alone, 1e-2)


@pytest.mark.parametrize(
    "model", ["mlp", *(pytest.param(n, marks=pytest.mark.slow) for n in ("cnn", "lstm", "critic", "autoencoder"))]
)
def test_operations_in_lower_precision_are_those_of_a_plain_loop_to_its_rounding(model: str) -> None:
    batch = of(model, "autocast", 30, "float32")
    right = expected(model, "autocast", 30, "float32")
    replaced = FEATURES["autocast"].loop._replace(autocast=None)
    alone, _ = trained(replace(batch, fuse=False))
    assert farthest(alone, right) < (1e-6, "")
    fused, notes = trained(batch)
    assert notes == []
    for one, plain in zip(fused, right, strict=True):
        far = apart(one, plain)
        assert max(far[n] for n in ("objective", "value", "multiplier", "objectives")) < 2e-2
        assert {t.dtype for t in one.tensors.values() if t.is_floating_point()} == {torch.float32}
    coarse = [plainly(batch, key, Feature({}, replaced)) for key in batch.keys]
    assert farthest(alone, coarse) > (1e-4, "")  # the loop without autocast comes to other numbers
