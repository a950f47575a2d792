"""Sweeps under faults, through the command line: killed, two at once, interrupted; nothing is lost or done twice."""

import json
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Finished
from fault_tasks import FULL_BATCH, write_tasks
from forked_cpd import Forked, Moment, until
from sweep_results import CHECKPOINTS, STORE, assert_whole, document, query, stored

from cpd.engine import checkpoint_file

GO_ON = "what was done is stored: run the same command again to go on"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a disk takes its time for each of a thousand checkpoints."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def cpd(memory: Path) -> Forked:
    return forked(memory / "here")


@pytest.fixture
def elsewhere(memory: Path) -> Forked:
    """The same tasks with another store, for the numbers that no fault has touched."""
    return forked(memory / "there")


def forked(folder: Path) -> Forked:
    folder.mkdir()
    write_tasks(folder)
    return Forked(folder)


# Killed

STEPS = {"full": 120, "minibatches": 68 * 3}


class Moments:
    """When to kill: at start-up, while a checkpoint or the store is written, in between, and while steps are done."""

    def __init__(self, store: Path, seed: int) -> None:
        self.store = store
        self.luck = random.Random(seed)

    def choose(self, number: int) -> Moment:
        """Choose the moment of this number, of another kind than the one before."""
        luck = self.luck
        batches = stored(self.store) // 2
        kinds = [
            Moment("open", luck.choice([".yaml", "points.py", ".sqlite.lock"])),
            Moment("open", ".tmp", luck.randint(1, 40), luck.choice([0.0, luck.uniform(0, 0.01)])),
            Moment("os.rename", ".checkpoint", luck.randint(1, 40)),
            Moment("open", ".sqlite.lock", luck.randint(2, 4), luck.uniform(0, 0.004)),
            Moment("shutil.rmtree", "-checkpoints", batches + 1),  # a batch is stored, its checkpoint is still there
        ]
        return kinds[number % len(kinds)]


def steps_kept(folder: Path, batches: list[list[str]], steps: int) -> int:
    """Steps that need not be done again: those of stored batches, and those before the checkpoints of the others."""
    there = {row[0] for row in query(folder / STORE, "SELECT id FROM runs")}
    kept = 0
    for ids in batches:
        assert len(there & set(ids)) in (0, len(ids)), "half a batch is stored"
        if ids[0] in there:
            kept += steps
            continue
        for path in Path(checkpoint_file.batch_folder(folder / CHECKPOINTS, ids)).glob("*.checkpoint"):
            loaded = checkpoint_file.load(path)
            assert loaded is not None
            kept += loaded[1]["done"]
    return kept


@pytest.mark.slow
@pytest.mark.parametrize(("task", "engine", "kills"), [("full", "eager", 20), ("minibatches", "auto", 10)])
def test_killed_at_many_moments_and_resumed_it_equals_one_never_interrupted(
    task: str, engine: str, kills: int, cpd: Forked, elsewhere: Forked
) -> None:
    command = ("sweep", f"{task}.yaml", "--engine", engine, "--fuse", "2", "--jobs", "1", "--format", "json")
    whole = document(elsewhere(*command))
    ids = [run["id"] for run in whole["runs"]]
    if task == "minibatches":  # a batch has one seed
        ids.sort(key=lambda name: next(run["seed"] for run in whole["runs"] if run["id"] == name))
    batches = [ids[k : k + 2] for k in range(0, len(ids), 2)]
    moments, kept = Moments(cpd.folder / STORE, seed=0), 0
    for number in range(kills):
        counted = cpd.folder / f"steps.{number}"
        moment = moments.choose(number)
        assert cpd(*command, "--checkpoint-every", "0", at=moment, STEPS=str(counted)).rc == -signal.SIGKILL, moment
        before, kept = kept, steps_kept(cpd.folder, batches, STEPS[task])
        assert kept >= before
        if engine == "eager":  # every step is kept when the next one begins
            done = counted.stat().st_size if counted.exists() else 0
            assert kept <= before + done <= kept + 1
    assert 0 < kept < len(batches) * STEPS[task]
    last = cpd(*command, STEPS=str(cpd.folder / "steps"))
    assert last.rc == 0
    assert document(last) == whole
    if engine == "eager":
        assert (cpd.folder / "steps").stat().st_size == len(batches) * STEPS[task] - kept
    assert_whole(cpd.folder / STORE, len(ids))
    sweeps = json.loads(cpd("runs", "--format", "json").stdout)["sweeps"]
    assert [sweep["ended"] is None for sweep in sweeps] == [False, *[True] * (len(sweeps) - 1)]
    assert (sweeps[0]["runs"], sweeps[0]["completed"]) == (len(ids), len(ids))


@pytest.mark.slow
def test_a_compiled_sweep_that_was_killed_equals_one_never_interrupted(cpd: Forked, elsewhere: Forked) -> None:
    command = ("sweep", "figure2", "--format", "json")  # as most users type it: every default, the engine's choice too
    luck, done = random.Random(0), 0
    for _ in range(3):
        moment = Moment("os.rename", ".checkpoint", luck.randint(2, 40))
        assert cpd(*command, "--checkpoint-every", "0", at=moment).rc == -signal.SIGKILL
        (path,) = (cpd.folder / CHECKPOINTS).glob("*/*.checkpoint")
        loaded = checkpoint_file.load(path)
        assert loaded is not None
        assert done < loaded[1]["done"] < 10_000
        done = loaded[1]["done"]
    last = cpd(*command)
    assert last.rc == 0
    assert document(last) == document(elsewhere(*command))
    assert_whole(cpd.folder / STORE, 40)


@pytest.mark.slow
def test_fresh_starts_at_the_first_step_whatever_was_kept(cpd: Forked, elsewhere: Forked) -> None:
    command = ("sweep", "full.yaml", "--engine", "eager", "--fuse", "24", "--format", "json")
    whole = document(elsewhere(*command))
    at = Moment("os.rename", ".checkpoint", 20)
    assert cpd(*command, "--checkpoint-every", "0", at=at).rc == -signal.SIGKILL
    assert cpd("watch").stdout.splitlines()[-1] == "was stopped before its end"
    last = cpd(*command, "--fresh", STEPS=str(cpd.folder / "steps"))
    assert document(last) == whole
    assert (cpd.folder / "steps").stat().st_size == STEPS["full"]


# Two at once


@pytest.mark.slow
@pytest.mark.parametrize("second", ["full", "other"])
def test_two_sweeps_at_once_both_end_well_and_each_run_is_stored_once(
    second: str, cpd: Forked, elsewhere: Forked
) -> None:
    shared = ("--set", "train.steps=40", "--fuse", "4", "--checkpoint-every", "0", "--format", "json")
    if second == "other":  # shares half of its settings with the first
        (cpd.folder / "other.yaml").write_text(FULL_BATCH.replace("values: [0, 0.1, 1]", "values: [0.1, 1, 7]"))
        (elsewhere.folder / "other.yaml").write_text((cpd.folder / "other.yaml").read_text())
    commands = [("sweep", f"{task}.yaml", *shared) for task in ("full", second)]
    alone = [document(elsewhere(*command, "--no-store")) for command in commands]
    both = [cpd.start(*command) for command in commands]
    done = [running.finish() for running in both]
    assert [each.rc for each in done] == [0, 0]
    for each in done:  # the one that is later may find the other's runs
        assert re.fullmatch(r"(\d+ of 24 runs found in the store, \d+ to do\n)?", each.stderr), each.stderr
    assert [document(each) for each in done] == alone
    assert_whole(cpd.folder / STORE, len({run["id"] for printed in alone for run in printed["runs"]}))


# Some runs of a batch are bad

BAD = """\
import torch

import cpd


class Some(cpd.Problem):
    def model(self):
        model = torch.nn.Linear(2, 1)
        seed = torch.initial_seed()
        if seed == 7:
            model.weight.data.fill_(1e30)
        if seed == 11:
            raise ValueError("no model for this seed")
        if seed == 13:
            raise MemoryError
        return model

    def evaluate(self, model, batch):
        x = model(torch.ones(2)).sum()
        return cpd.Evaluation((x - 2) ** 2, {"x": x})
"""
BAD_TASK = """\
problem: bad.py:Some
constraints: {x: "<= 1"}
train: {steps: 60, optimizer: {name: SGD, lr: 0.05}}
seeds: 0:40
methods: {lagrangian: {dual_lr: 0.2}}
"""


@pytest.mark.slow
def test_bad_runs_of_a_batch_of_40_leave_the_others_their_numbers(cpd: Forked, elsewhere: Forked) -> None:
    for each in (cpd, elsewhere):
        (each.folder / "bad.py").write_text(BAD)
        (each.folder / "bad.yaml").write_text(BAD_TASK)
    good = [seed for seed in range(40) if seed not in (7, 11, 13)]
    clean = document(elsewhere("sweep", "bad.yaml", "--seeds", ",".join(map(str, good)), "--format", "json"))
    done = cpd("sweep", "bad.yaml", "--format", "json")
    assert done.rc == 1
    by_seed = {run["seed"]: run for run in document(done)["runs"]}
    assert [by_seed[seed] for seed in good] == clean["runs"]
    assert {run["status"] for run in clean["runs"]} == {"completed"}
    assert {seed: by_seed[seed]["status"] for seed in (7, 11, 13)} == {7: "diverged", 11: "failed", 13: "failed"}
    assert by_seed[11]["error"].rstrip().endswith("ValueError: no model for this seed")
    assert by_seed[13]["error"] == "out of memory"
    lines = done.stderr.splitlines()
    assert lines[0] == "note: a batch of 40 runs: out of memory; tried again in halves"
    assert "failed: lagrangian dual_lr=0.2 seed 11: ValueError: no model for this seed" in lines
    assert "failed: lagrangian dual_lr=0.2 seed 13: out of memory" in lines
    again = cpd("sweep", "bad.yaml", "--format", "json")  # the failed are tried again, the diverged one is a result
    assert again.stderr.splitlines()[0] == "38 of 40 runs found in the store, 2 to do"
    assert document(again)["runs"] == document(done)["runs"]


HUNGRY = """\
import torch

import cpd


class Hungry(cpd.Problem):
    def model(self):
        return torch.nn.Linear(1, 1)

    def evaluate(self, model, batch):
        x = model(torch.ones(1)).sum()
        many = x * torch.ones(SIZE)
        for _ in range(TIMES):  # a step keeps all of them for its gradient, an evaluation the last two
            many = many.tanh()
        return cpd.Evaluation((many.mean() - 0.2) ** 2, {"x": x})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "times", "extra"),
    [
        (16_000_000, 1, 900_000_000),  # all runs hold 1 GB after the evaluation, one 0.2 GB in a step
        (5_000_000, 6, 1_100_000_000),  # all runs hold up to 0.5 GB after the evaluation, 1.4 GB in a step
    ],
    ids=["at the first evaluation", "in a step"],
)
def test_a_batch_that_runs_out_of_memory_is_halved_and_goes_on(
    size: int, times: int, extra: int, cpd: Forked, elsewhere: Forked
) -> None:
    # The command itself comes to up to 0.3 GB, or to nothing where the process that it is forked from has it all.
    hungry = HUNGRY.replace("SIZE", str(size)).replace("TIMES", str(times))
    for each in (cpd, elsewhere):
        (each.folder / "hungry.py").write_text(hungry)
        (each.folder / "hungry.yaml").write_text(
            BAD_TASK.replace("bad.py:Some", "hungry.py:Hungry").replace("0:40", "0:8").replace("60", "3")
        )
    command = ("sweep", "hungry.yaml", "--format", "json", "--engine", "eager")
    whole = elsewhere(*command)
    short = cpd(*command, extra_memory=extra)
    assert (whole.rc, whole.stderr) == (0, "")
    assert (short.rc, short.stderr.splitlines()[0]) == (
        0,
        "note: a batch of 8 runs: out of memory; tried again in halves",
    )
    assert document(short) == document(whole)


@pytest.mark.slow
def test_an_edited_problem_is_trained_again_and_the_old_results_stay(cpd: Forked) -> None:
    command = ("sweep", "full.yaml", "--set", "train.steps=20", "--format", "json")
    before = cpd(*command)
    points = cpd.folder / "points.py"
    points.write_text(points.read_text().replace("return cpd.Evaluation(loss,", "return cpd.Evaluation(2 * loss,"))
    after = cpd(*command)
    assert (before.rc, after.rc, after.stderr) == (0, 0, "")
    first, second = (json.loads(done.stdout) for done in (before, after))
    assert all(b["objective"] != a["objective"] for b, a in zip(first["runs"], second["runs"], strict=True))
    assert not {run["id"] for run in first["runs"]} & {run["id"] for run in second["runs"]}
    newest, older = (sweep["id"] for sweep in json.loads(cpd("runs", "--format", "json").stdout)["sweeps"])
    assert json.loads(cpd("show", newest, "--format", "json").stdout) == second
    assert json.loads(cpd("show", older, "--format", "json").stdout) == first
    again = cpd(*command)
    assert again.stderr == "24 of 24 runs found in the store, 0 to do\n"
    assert json.loads(again.stdout) == second


# Interrupted


@pytest.mark.slow
def test_an_interrupted_fresh_sweep_is_not_advised_to_begin_again(cpd: Forked) -> None:
    command = ("sweep", "full.yaml", "--fresh", "--fuse", "4", "--engine", "eager", "--format", "json")
    stopped = cpd(*command, at=Moment("open", "steps", 150, signal=signal.SIGINT), STEPS=str(cpd.folder / "steps"))
    said = "stopped (SIGINT); what was done is stored; --fresh would train it again\n"
    assert stopped == Finished(130, "", said)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_keeps_what_is_done_and_the_same_command_goes_on(
    number: signal.Signals, code: int, cpd: Forked, elsewhere: Forked
) -> None:
    command = ("sweep", "full.yaml", "--fuse", "4", "--engine", "eager", "--format", "json")
    counted = cpd.folder / "steps"
    moment = Moment("open", "steps", 150, signal=number)  # a batch is stored, another under way
    stopped = cpd(*command, at=moment, STEPS=str(counted))
    assert stopped == Finished(code, "", f"stopped ({number.name}); {GO_ON}\n")
    assert counted.stat().st_size < 160, "it went on and on"
    assert stored(cpd.folder / STORE) == 4
    last = cpd(*command, STEPS=str(counted))
    assert last.rc == 0
    assert last.stderr == "4 of 24 runs found in the store, 20 to do\n"
    assert counted.stat().st_size == 6 * STEPS["full"], "a step was done twice"
    assert document(last) == document(elsewhere(*command))
    assert_whole(cpd.folder / STORE, 24)


HELD = """\
            file.write(b".")
            while os.path.exists("hold") and os.path.getsize("steps") == 50:
                pass
"""


def test_a_second_signal_leaves_at_once(cpd: Forked) -> None:
    points, steps = cpd.folder / "points.py", cpd.folder / "steps"
    points.write_text(points.read_text().replace('            file.write(b".")\n', HELD))
    (cpd.folder / "hold").touch()
    command = ("sweep", "full.yaml", "--set", "train.steps=20", "--fuse", "4", "--engine", "eager", "--format", "json")
    running = cpd.start(*command, STEPS=str(steps))
    until(lambda: steps.exists() and steps.stat().st_size == 50, running)
    sent = 0
    while running.alive:  # the step under way never ends: a polite stop would wait for it for ever
        running.send(signal.SIGINT)  # two that come at the same time are one
        sent += 1
        time.sleep(0.05)
    assert running.finish() == Finished(130, "", "")
    assert sent >= 2
    assert stored(cpd.folder / STORE) == 8
    (cpd.folder / "hold").unlink()
    assert cpd(*command, STEPS=str(steps)).rc == 0
    assert_whole(cpd.folder / STORE, 24)


def test_what_is_not_stored_is_not_called_so(cpd: Forked) -> None:
    moment = Moment("open", "steps", 20, signal=signal.SIGINT)
    command = ("sweep", "full.yaml", "--engine", "eager", "--no-store")
    stopped = cpd(*command, at=moment, STEPS=str(cpd.folder / "steps"))
    assert stopped == Finished(130, "", "stopped (SIGINT); nothing was kept, as --no-store asks\n")
    assert not (cpd.folder / ".cpd").exists()
