"""The step recorded once and replayed from memory that stays in place.

On a machine without a GPU the recorder is a stand-in that does the work again: what is tested is what is placed where,
when random numbers are drawn, and that a recording that is not the step is never used. Tests of CUDA itself skip.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from engine_batches import ADAM, BUNDLED, DROPOUT, NOISY, STEPS, assert_close, begun, key, numbers, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.checkpointing import Keeper
from cpd.engine.pruning import Prune
from cpd.engine.results import finished_runs
from cpd.engine.step import Step
from cpd.engine.steppers.captured import Captured
from cpd.engine.steppers.cuda_graph import WARM_UP, Graphed, Work
from cpd.engine.steppers.stepper import Stepper
from cpd.engine.train import Hooks, run_spans, train
from cpd.outcome import Run

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def again(work: Work) -> Work:
    """As a CUDA graph is recorded: done a few times to warm up, then once more, then as often as it is replayed."""
    for _ in range(WARM_UP + 1):
        work()
    return work


def trained(batch: Batch, make: Callable[[Step], Stepper]) -> tuple[list[Run], Stepper]:
    with torch.random.fork_rng(devices=[]):
        training = begun(batch)
        stepper = make(training.going.step)
        run_spans(training, stepper, Hooks(), Keeper(batch, print))
        return finished_runs(training), stepper


@pytest.mark.parametrize("name", list(STEPS))
def test_replayed_steps_have_the_numbers_of_the_captured_one(name: str) -> None:
    batch = STEPS[name]
    expected, _ = trained(batch, Captured)
    found, stepper = trained(batch, lambda step: Graphed(step, again))
    assert stepper.note is None
    assert [numbers(run) for run in found] == [numbers(run) for run in expected]


@pytest.mark.slow
def test_runs_that_are_given_up_leave_a_replayed_batch() -> None:
    runs = tuple(key("penalized", {"class0_rate": 0.7}, coefficient=c) for c in (0.0, 0.01, 0.02, 0.03, 5.0))
    batch = replace(BUNDLED["rate"], keys=runs, train=recipe(2000), prune=Prune())
    expected, _ = trained(batch, Captured)
    found, _ = trained(batch, lambda step: Graphed(step, again))
    assert {run.status for run in found} == {"completed", "pruned"}
    assert [numbers(run) for run in found] == [numbers(run) for run in expected]


def test_what_was_recorded_is_replayed_once_a_step() -> None:
    replays = 0

    def counted(work: Work) -> Work:
        work()

        def replay() -> None:
            nonlocal replays
            replays += 1
            work()

        return replay

    trained(NOISY, lambda step: Graphed(step, counted))
    assert NOISY.train.steps is not None
    assert replays == NOISY.train.steps + 2  # one replay is the comparison, one is audited after the last step


def nothing(work: Work) -> Work:
    return lambda: None


def refused(work: Work) -> Work:
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore lines")


@pytest.mark.parametrize(
    ("record", "note"),
    [
        (nothing, "no CUDA graph: its replay differs from the step"),
        (refused, "no CUDA graph: CUDA error: operation not permitted when stream is capturing"),
    ],
)
def test_a_recording_that_is_not_the_step_is_not_used(record: Callable[[Work], Work], note: str) -> None:
    expected, _ = trained(DROPOUT, Captured)
    found, stepper = trained(DROPOUT, lambda step: Graphed(step, record))
    assert stepper.note == note
    assert [numbers(run) for run in found] == [numbers(run) for run in expected]


def test_memory_that_runs_out_while_recording_is_told_to_the_batch() -> None:
    def exhausted(work: Work) -> Work:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        trained(NOISY, lambda step: Graphed(step, exhausted))


def test_random_numbers_that_depend_on_values_are_not_recorded() -> None:
    batch = replace(NOISY, problem=source("Coins"))
    expected, _ = trained(batch, Captured)
    found, stepper = trained(batch, lambda step: Graphed(step, again))
    assert stepper.note == "no CUDA graph: the step draws random numbers that depend on more than shapes"
    assert [numbers(run) for run in found] == [numbers(run) for run in expected]


@cuda
@pytest.mark.parametrize("stepper", ["eager", "captured", "compiled", "auto"])
@pytest.mark.parametrize("name", ["gates", "full batch", "concave", "sparsity"])
def test_a_gpu_gives_the_numbers_of_the_processor(name: str, stepper: str) -> None:
    batch = {**STEPS, **BUNDLED}[name]
    expected = train(replace(batch, stepper="eager"))
    found = train(replace(batch, stepper=stepper, device="cuda"))
    assert found.notes == []
    if name in ("gates", "sparsity"):  # gates are drawn by the device's own generator
        assert [run.status for run in found.runs] == [run.status for run in expected.runs]
        return
    for one, other in zip(expected.runs, found.runs, strict=True):
        assert_close(one, other, 1e-6)


@cuda
@pytest.mark.parametrize("name", list(STEPS))
def test_cuda_graphs_have_the_numbers_of_the_eager_step(name: str) -> None:
    batch = replace(STEPS[name], device="cuda")
    expected, found = (train(replace(batch, stepper=stepper)) for stepper in ("eager", "compiled"))
    assert found.notes == []
    for one, other in zip(expected.runs, found.runs, strict=True):
        assert_close(one, other, 1e-6)


@cuda
def test_adam_counts_its_steps_in_a_cuda_graph() -> None:
    batch = replace(BUNDLED["concave"], train=recipe(300, optimizer=ADAM), device="cuda")
    expected, found = (train(replace(batch, stepper=stepper)) for stepper in ("eager", "compiled"))
    for one, other in zip(expected.runs, found.runs, strict=True):
        assert_close(one, other, 1e-6)
