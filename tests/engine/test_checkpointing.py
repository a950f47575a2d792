"""Checkpoints of a batch that is made of several trainings, of its halves, and of what a sweep left behind."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from command_line import InProcess
from engine_batches import begun, constraint, key, numbers, quadratic, recipe, source

from cpd import files
from cpd.engine import checkpointing
from cpd.engine.batch import Batch
from cpd.engine.checkpoint_file import CheckpointStore, batch_folder
from cpd.engine.checkpointing import Keeper
from cpd.engine.pruning import Prune
from cpd.engine.steppers import compiled
from cpd.engine.steppers.compiled import Compiled
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import StoreError
from cpd.executors.start import start
from cpd.run import execution
from cpd.run.fused import FusedTrainer
from cpd.run.parts import halves

ONE_BY_ONE = Batch(
    source("Branching"),
    {"size": constraint(1.0, "<=")},
    recipe(60),
    tuple(key("lagrangian", {"size": 1.0}, dual_lr=e) for e in (0.1, 0.3, 0.5)),
)


def test_trainings_that_have_ended_are_kept_with_the_one_under_way(tmp_path: Path) -> None:
    whole = train(ONE_BY_ONE).runs
    kept = replace(ONE_BY_ONE, checkpoint=str(tmp_path), checkpoint_every=3600.0)
    steps = 0

    def stop_at(last: int) -> Hooks:
        def stop() -> bool:
            nonlocal steps
            steps += 1
            return steps == last

        return Hooks(stop=stop)

    with pytest.raises(Interrupted):
        train(kept, stop_at(70))
    assert steps == 70
    resumed = train(kept, stop_at(-1)).runs
    assert steps == 3 * 60, "a step was done twice"
    assert [numbers(run) for run in resumed] == [numbers(run) for run in whole]


def ended(dual_lr: float) -> Any:
    """As much of a training as a keeper looks at."""
    return SimpleNamespace(keys=(key("lagrangian", {"size": 1.0}, dual_lr=dual_lr),))


def test_no_more_is_lost_than_was_asked_for_however_short_the_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(checkpointing, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(checkpointing, "checkpoint", lambda training: ({"x": torch.zeros(1)}, {"done": 60}))
    keeper = Keeper(replace(ONE_BY_ONE, checkpoint=str(tmp_path), checkpoint_every=60.0), pytest.fail)
    written = []
    for number in range(5):
        clock[0] += 25.0
        keeper.ended(ended(number))
        written.append(len(list(tmp_path.iterdir())))
    assert written == [0, 0, 3, 3, 3]  # after 75 s all three so far, and the next time is due 60 s later
    clock[0] += 10.0
    assert keeper.due()
    keeper.save(ended(9))
    assert len(list(tmp_path.iterdir())) == 6
    assert not keeper.due()


def test_a_damaged_checkpoint_is_told_and_its_training_starts_again(tmp_path: Path) -> None:
    kept = replace(ONE_BY_ONE, checkpoint=str(tmp_path), checkpoint_every=0.0)
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: True))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    told: list[str] = []
    again = train(kept, Hooks(say=told.append))
    assert told == [f"{path}: the checkpoint does not match its checksum: this batch starts again"]
    assert set(told) <= set(again.notes)
    assert [numbers(run) for run in again.runs] == [numbers(run) for run in train(ONE_BY_ONE).runs]


def test_a_folder_that_another_sweep_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path / "batches" / "one")
    real = files.replacing
    removed: list[Path] = []

    def unlucky(path: Path) -> Any:
        if len(removed) < 3:
            removed.append(path)
            path.parent.rmdir()
            path.parent.parent.rmdir()
        return real(path)

    monkeypatch.setattr(files, "replacing", unlucky)
    store.save("a", {"x": torch.ones(1)}, {"done": 1})
    assert removed
    assert store.load("a") == ({"x": torch.ones(1)}, {"done": 1})
    monkeypatch.setattr(files, "replacing", lambda path: real(tmp_path / "gone" / "x"))
    with pytest.raises(StoreError, match="cannot read or write the checkpoint"):
        store.save("a", {"x": torch.ones(1)}, {"done": 2})


def test_halves_keep_checkpoints_of_their_own(tmp_path: Path) -> None:
    keys = [key("lagrangian", {"each": 0.5, "total": 2.0}, dual_lr=e) for e in (1, 2, 3)]
    batch = quadratic([replace(one, id=f"c1:{k}") for k, one in enumerate(keys, start=1)])
    whole = replace(batch, checkpoint=batch_folder(tmp_path, ["c1:1", "c1:2", "c1:3"]))
    parts = halves(whole)
    assert parts is not None
    assert [part.checkpoint for part in parts] == [
        batch_folder(tmp_path, ["c1:1"]),
        batch_folder(tmp_path, ["c1:2", "c1:3"]),
    ]
    assert len({whole.checkpoint, *(part.checkpoint for part in parts)}) == 3
    assert halves(parts[0]) is None
    assert [part.checkpoint for part in halves(batch) or ()] == [None, None]
    pruned = halves(replace(whole, prune=Prune()))
    assert pruned is not None
    assert not {part.checkpoint for part in pruned} & {part.checkpoint for part in parts}


def test_a_training_resumed_before_a_smaller_minibatch_compiles_the_same_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(
        source("Classifier"),  # 50 examples in minibatches of 16: an epoch's last one has 2
        {"rate": constraint(0.7, ">=")},
        recipe(60, 16),
        tuple(key("lagrangian", {"rate": 0.7}, dual_lr=e) for e in (0.1, 0.5)),
    )
    training = begun(batch)
    group = training.prepared
    for _ in range(3):
        group.batches.next()
    assert (group.batches.next_size, group.batches.usual_size) == (2, 16)
    loaded: list[Any] = []
    monkeypatch.setattr(compiled.Compiled, "_load", lambda self, size, *rest: loaded.append(size))
    stepper = Compiled(training.going.step, tmp_path, all_sizes=False)
    stepper.prepare(training.state, group.batches)
    assert stepper._program(training.state, group.batches) is None
    assert loaded == [16]


# A sweep


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def test_checkpoints_of_batches_that_are_stored_are_removed_later(
    command: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # as if killed after each batch was stored
        patch.setattr(FusedTrainer, "forget", lambda self, batch: None)
        command("sweep", "mine.yaml", "--fuse", "2", "--checkpoint-every", "0")
    folder = command.folder / ".cpd" / "runs-checkpoints"
    assert len(list(folder.iterdir())) == 2
    assert command("sweep", "mine.yaml", "--fuse", "2").stderr == "4 of 4 runs found in the store, 0 to do\n"
    assert not folder.exists()


def test_what_is_stored_does_not_change_the_number_of_workers(
    command: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("sweep", "mine.yaml", "--method", "penalized")
    started = []

    def in_process(where: Any, *rest: Any, **more: Any) -> Any:
        started.append(where.jobs)
        return real(replace(where, jobs=1), *rest, **more)

    real = start
    monkeypatch.setattr(execution, "start", in_process)
    monkeypatch.setattr(FusedTrainer, "elsewhere", None)  # never called: two workers are wanted, one process does it
    done = command("sweep", "mine.yaml", "--jobs", "2", "--quiet")
    assert started == [2], done.stderr
