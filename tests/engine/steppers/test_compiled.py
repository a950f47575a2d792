"""The compiled step: the eager step's numbers, whatever the step is made of, and how ``auto`` decides."""

import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_batches import BUNDLED, DROPOUT, NOISY, STEPS, assert_close, begun, constraint, key, numbers, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.steppers.captured import Captured
from cpd.engine.steppers.choice import Auto, choose
from cpd.engine.steppers.compiled import Compiled
from cpd.engine.steppers.stepper import Eager
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError

compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="there is no C++ compiler"
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Programs of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("programs")
        patch.setenv("CPD_CACHE", str(folder))
        yield folder


@pytest.mark.slow
@compiler
@pytest.mark.parametrize("name", list(STEPS))
def test_compiled_gives_the_eager_numbers(name: str) -> None:
    eager = train(replace(STEPS[name], stepper="eager"))
    compiled = train(replace(STEPS[name], stepper="compiled"))
    assert compiled.notes == eager.notes == []
    for one, other in zip(eager.runs, compiled.runs, strict=True):
        assert_close(one, other)


@pytest.mark.slow
@compiler
def test_a_program_is_compiled_once_and_serves_every_setting(cache: Path) -> None:
    train(replace(DROPOUT, stepper="compiled"))
    made = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.pt2")}
    other = tuple(key("nupi", {"rate": 0.2}, dual_lr=e, kp=0.3) for e in (0.01, 2.0))
    train(replace(DROPOUT, keys=other, stepper="compiled"))
    assert {path.name: path.stat().st_mtime_ns for path in cache.glob("*.pt2")} == made


@pytest.mark.slow
@compiler
def test_a_resumed_compiled_training_equals_an_uninterrupted_one_bit_by_bit(tmp_path: Path) -> None:
    batch = replace(DROPOUT, stepper="compiled", checkpoint=str(tmp_path), checkpoint_every=0.0)
    whole = train(replace(batch, checkpoint=None))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked % 2 == 0

    parts = 1
    while True:
        try:
            resumed = train(batch, Hooks(stop=stop))
            break
        except Interrupted:
            parts += 1
    assert parts >= 3
    assert [numbers(run) for run in resumed.runs] == [numbers(run) for run in whole.runs]


def chosen(batch: Batch) -> object:
    """What ``auto`` has chosen."""
    under_way = begun(batch)
    stepper = choose(batch, under_way)
    if not isinstance(stepper, Auto):
        return type(stepper)
    stepper(under_way.state, under_way.prepared.batches, 1)
    return type(stepper._chosen)


def test_auto_runs_few_steps_as_they_are_written() -> None:
    assert chosen(replace(BUNDLED["rate"], train=recipe(100))) is Eager


def test_auto_captures_where_compiling_would_not_pay() -> None:
    assert chosen(replace(BUNDLED["concave"], train=recipe(1000))) is Captured


@pytest.mark.slow
@compiler
def test_auto_compiles_where_it_pays() -> None:
    assert chosen(replace(BUNDLED["rate"], train=recipe(200_000))) is Compiled


@pytest.mark.slow
def test_auto_does_not_copy_the_parameters_of_large_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)  # no compiler: a captured or an eager step
    large = replace(NOISY, problem=source("Quadratic", size=60_000), train=recipe(200))
    assert chosen(large) is Eager


@pytest.mark.slow
def test_auto_decides_alike_whatever_is_compiled_already(cache: Path) -> None:
    batch = replace(BUNDLED["rate"], train=recipe(1000))
    before = chosen(batch)
    train(replace(batch, train=recipe(3), stepper="compiled"))
    assert any(cache.glob("*.pt2")) or shutil.which("g++") is None
    assert chosen(batch) is before


def test_without_a_compiler_nothing_is_trained_where_compiling_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CpdError, match=r"--engine: compiled: there is no C\+\+ compiler") as raised:
        train(replace(BUNDLED["concave"], train=recipe(3), stepper="compiled"))
    assert raised.value.hint == "use --engine captured, or auto"


@pytest.mark.slow
@compiler
def test_that_it_compiles_and_for_how_long_is_told_when_it_begins() -> None:
    batch = replace(BUNDLED["concave"], keys=BUNDLED["concave"].keys[:2], train=recipe(3), stepper="compiled")
    said: list[str] = []
    train(batch, Hooks(say=said.append))
    (line,) = said
    assert re.fullmatch(
        r"compiling the training step, which takes about (9|10) s; the program is kept for next time", line
    )
    train(batch, Hooks(say=said.append))
    assert said == [line]


@compiler
def test_random_numbers_that_depend_on_values_are_not_compiled() -> None:
    trained = train(replace(NOISY, problem=source("Coins"), stepper="compiled"))
    eager = train(replace(NOISY, problem=source("Coins"), stepper="eager"))
    assert trained.notes == ["captured instead of compiled: it draws random numbers that depend on more than shapes"]
    for one, other in zip(eager.runs, trained.runs, strict=True):
        assert_close(one, other)


@compiler
def test_a_compiler_that_fails_costs_a_line(
    monkeypatch: pytest.MonkeyPatch, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = logging.getLogger("torch._inductor.ir")

    def fails(*given: object, **options: object) -> None:
        compiler.warning("no shim for an operation")
        raise RuntimeError("g++: internal error\nmore lines")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", fails)
    batch = replace(BUNDLED["rate"], train=recipe(200_000), constraints={"class0_rate": constraint(0.65, ">=")})
    under_way = begun(replace(batch, keys=batch.keys[:2]))
    stepper = choose(batch, under_way)
    stepper(under_way.state, under_way.prepared.batches, 1)
    assert stepper.note == "not compiled: g++: internal error"
    assert under_way.chosen == "captured"
    assert "no shim" not in caplog.text
    compiler.warning("of another program")
    assert "of another program" in caplog.text


@compiler
def test_a_compiler_that_is_asked_for_and_fails_fails_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))  # nothing is kept there

    def fails(*given: object, **options: object) -> None:
        raise ValueError("strides differ")

    monkeypatch.setattr(torch.export, "export", fails)
    batch = replace(BUNDLED["rate"], train=recipe(7), constraints={"class0_rate": constraint(0.61, ">=")})
    trained = train(replace(batch, stepper="compiled"))
    assert trained.notes == ["captured instead of compiled: strides differ"]
    for one, other in zip(trained.runs, train(replace(batch, stepper="eager")).runs, strict=True):
        assert_close(one, other)


@compiler
def test_a_step_that_cannot_be_captured_is_executed_as_it_is_written() -> None:
    batch = replace(DROPOUT, problem=source("Peeking"))
    trained = train(replace(batch, stepper="compiled"))
    assert [note[:38] for note in trained.notes] == ["the step cannot be captured, it runs e"]
    for one, other in zip(trained.runs, train(replace(batch, stepper="eager")).runs, strict=True):
        assert numbers(one) == numbers(other)


@pytest.mark.parametrize("stepper", ["captured", pytest.param("compiled", marks=[compiler, pytest.mark.slow])])
def test_a_step_captured_before_takes_the_numbers_of_its_own_batch(stepper: str) -> None:
    def batch(level: float, rate: float) -> Batch:
        keys = tuple(key("nupi", {"rate": level}, dual_lr=rate * k, kp=1.0) for k in (1, 2))
        return replace(DROPOUT, keys=keys, constraints={"rate": constraint(level, ">=")}, stepper=stepper)

    train(batch(0.7, 0.1))
    for one, other in zip(
        train(batch(0.2, 3.0)).runs, train(replace(batch(0.2, 3.0), stepper="eager")).runs, strict=True
    ):
        assert_close(one, other)


@compiler
def test_nothing_is_compiled_where_programs_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CPD_CACHE", str(tmp_path / "file" / "cache"))
    batch = replace(BUNDLED["concave"], train=recipe(3), stepper="compiled")
    with pytest.raises(CpdError, match="Not a directory") as raised:
        train(batch)
    assert raised.value.place == "--engine"
    assert train(replace(batch, stepper="auto")).runs[0].objective is not None
