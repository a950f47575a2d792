"""Train each run by a program of the user's: a command, or a plain function."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, DeviceError
from cpd.executors.start import Where
from cpd.executors.worker import cancelled, device
from cpd.external.giving_up import Halving
from cpd.external.job import Finished, Job, bring_home, do, too_long
from cpd.external.names import TIMED_OUT
from cpd.external.process import GRACE, close_guard
from cpd.outcome import Run, RunKey, Status
from cpd.run.options import Options
from cpd.run.plan import Work
from cpd.run.provenance import versions
from cpd.run.trainer import KeptModels, Kind
from cpd.spec.identity import digest, runs
from cpd.spec.models import Program, Task
from cpd.spec.pruning import Prune
from cpd.spec.recipes import problem_of
from cpd.store.errors import reported
from cpd.store.work import folder_of, name_of

LATE = 60.0
"""Seconds after its time that a program may take to be gone, before its worker is taken to hang."""

UNHEEDED = (
    "timeout: on Dask's threads a function is ended once it is in Python; one that may wait or calculate outside of it "
    "for long is a command's"
)

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


class ExternalTrainer:
    """Trains runs by programs.

    Args:
        program: The task's.
    """

    setup = None

    def __init__(self, program: Program) -> None:
        self._program = program
        self.elsewhere = train_job
        self.probe = worker_versions
        self.shares_process = program.is_function
        self._aside: list[str] = []

    def check_devices(self, options: Options) -> None:
        """See that devices are names of such: whether they are there only the program can say."""
        for name in (*options.devices, options.device):
            if not _DEVICE.fullmatch(name):
                place = "--devices" if name in options.devices else "--device"
                raise DeviceError(f"unknown device '{name}'", place=place, hint="write cpu, cuda, cuda:1 or mps")

    def batches(self, kind: Kind, task: Task, options: Options, checkpoints: Path | None, models: KeptModels) -> Jobs:
        """Jobs, of one run each; without a store their folders are put aside, and removed at the end."""
        check_start(self._program, task.place, options)
        _refuse_of_problems(options)
        _check_halving(kind, options)
        if checkpoints is None:
            self._aside.append(tempfile.mkdtemp(prefix="cpd-work-"))
            root = Path(self._aside[-1])
        else:
            root = folder_of(checkpoints.with_name(checkpoints.name.removesuffix("-checkpoints")))
        return Jobs(kind, task, self._program, options, root, _record(task, options, root))

    def sent(self, batches: Sequence[Job]) -> Sequence[Job]:
        """As they are: a job has its files with it."""
        return batches

    def programs(self, task: Task) -> OneByOne:
        """No two runs are in one batch."""
        return OneByOne()

    def weigh(self, batches: Any, programs: Any, keys: Sequence[RunKey]) -> Work | None:
        """Nobody knows what a program takes."""
        return None

    def here(
        self, progress: Callable[[int, int, int], None], stop: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[Job], Finished | None]:
        """What runs a program, and waits for it in this process."""
        return lambda job: do(job, stop)

    def where(self, where: Where) -> Where:
        """Functions are called in worker processes, which can be ended whatever they do."""
        return replace(where, backend="loky") if self._program.is_function and where.is_this_process else where

    def known_of(self, backend: str) -> str | None:
        """That a thread of a Dask worker can be ended only by Python itself."""
        timed = self._program.is_function and self._program.timeout is not None
        return UNHEEDED if timed and backend == "dask" else None

    def patience(self, seconds: float) -> float:
        """A program has all the time that it is given; one without a limit has all there is."""
        timeout = self._program.timeout
        return math.inf if timeout is None else max(seconds, timeout + GRACE + LATE)

    def halves(self, batch: Job) -> None:
        """A run cannot be cut."""

    def failed(self, batch: Job, error: str) -> Finished:
        """A failed run; its worker has ended itself where a function did not heed its time."""
        timeout = self._program.timeout
        if self._program.is_function and timeout is not None and error.endswith(f"exit code {TIMED_OUT}"):
            error = too_long(timeout)
        return Finished([Run(batch.key, Status.FAILED, error=error)])

    def arrived(self, batch: Job, outcome: Finished) -> Finished:
        """An outcome whose files are in the run's folder."""
        if outcome.files:
            bring_home(Path(batch.folder), outcome.files)
        return outcome

    def forget(self, batch: Job) -> None:
        """Its folder stays: the log and the model are in it."""

    def leave(self) -> None:
        """End the guard, and remove what was put aside."""
        close_guard()
        for folder in self._aside:
            shutil.rmtree(folder, ignore_errors=True)


def _refuse_of_problems(options: Options) -> None:
    """Refuse what would change nothing."""
    for name in ("engine", "fuse", "loader_workers"):
        if (given := getattr(options, name)) != getattr(Options, name):
            place, hint = f"--{name.replace('_', '-')} {given}", "leave it out: a program trains as it likes"
            raise CpdError("is for problems, and the task has none", place=place, hint=hint)


def _check_halving(kind: Kind, options: Options) -> None:
    if options.halving is not None and kind == "bisect":
        hint = "leave it out; --prune ends trainings that will miss the target"
        raise CpdError("a search needs the value of every training", place="--halving", hint=hint)
    if options.halving is not None and options.backend != "local":
        raise CpdError("runs on a cluster do not see how others stand", place="--halving", hint="use local workers")


def _record(task: Task, options: Options, root: Path) -> str:
    """The file of halving: that of the same runs, so that a sweep that was killed goes on with it."""
    if options.halving is None:
        return ""
    own = digest([run.id for run in runs(task)])[:16]
    path = root.resolve() / f"halving-{options.halving}-{own}.jsonl"
    if options.fresh:
        path.unlink(missing_ok=True)
    return str(path)


class OneByOne:
    """Runs that share no batch."""

    share_seeds = True

    def of(self, key: RunKey) -> str:
        """The run's own name."""
        return str(key.id)


@dataclass(frozen=True)
class Jobs:
    """Makes runs into jobs.

    Attributes:
        root: The folder of their folders.
        record: The file in which they write down how they stood.
        pruning: Whether runs may be given up.
    """

    kind: Kind
    task: Task
    program: Program
    options: Options
    root: Path
    record: str = ""
    pruning: bool = True

    def of(self, keys: tuple[RunKey, ...]) -> Job:
        """The job of a run, whose folder is made here."""
        (key,) = keys
        folder = self.root / name_of(str(key.id))
        with reported(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return Job(
            program=self.program,
            problem=problem_of(self.task.problem, key.setting),
            objective=self.task.objective,
            constraints=dict(self.task.constraints),
            keys=keys,
            folder=str(folder.resolve()),
            fresh=self.options.fresh,
            files=self._files() if self.options.backend != "local" else {},
            device=None if self.options.device == "cpu" else self.options.device,
            prune=self._prune(),
            halving=self._halving(),
        )

    def _prune(self) -> Prune | None:
        """As for a problem: in a sweep what will not be feasible, in a search what will miss the target."""
        if not (self.pruning and self.options.prune):
            return None
        search = self.task.search if self.kind == "bisect" else None
        return Prune() if search is None else Prune(search.constraint, both_sides=True)

    def _halving(self) -> Halving | None:
        if not self.pruning or self.options.halving is None:
            return None
        return Halving(self.options.halving, self.record)

    def to_the_end(self) -> Jobs:
        """The same, in which no run is given up."""
        return replace(self, pruning=False)

    def anew(self) -> Jobs:
        """The same, of runs that are done again though they are done."""
        return replace(self, options=replace(self.options, fresh=True))

    def _files(self) -> dict[str, bytes]:
        """The files that travel, as they are now."""
        try:
            return {name: Path(self.program.folder, name).read_bytes() for name in self.program.files}
        except OSError as error:
            raise CpdError(
                f"'{error.filename}' cannot be read: {error.strerror}", place=self.task.at("files")
            ) from None


def check_start(program: Program, place: str, options: Options) -> None:
    """See that there is such a program before anything runs: on this machine, where its workers are."""
    if program.is_function or options.backend != "local" or "{" in program.words[0]:
        return
    first = program.words[0]
    path = Path(program.folder, first)
    if "/" in first and path.exists() and not (path.is_file() and os.access(path, os.X_OK)):
        hint = f"chmod +x {first}, or write the program that runs it first" if path.is_file() else "write a file's path"
        raise CpdError(f"'{first}' is no program that can be started", place=f"{place}: command", hint=hint)
    found = path.exists() if "/" in first else shutil.which(first) is not None
    if not found:
        beside = Path(program.folder, first).is_file()
        hint = f"write ./{first}, or the program that runs it first" if beside else "install it, or write its path"
        hint = f"no shell reads the command: write env {first} PROGRAM ..." if "=" in first else hint
        raise CpdError(f"no program '{first}'", place=f"{place}: command", hint=hint)


def train_job(job: Job) -> Finished | None:
    """Do a run in a worker, on the worker's own device if it is bound to one."""
    bound = device()
    return do(job if bound is None else replace(job, device=bound), cancelled)


def worker_versions() -> dict[str, str]:
    """Versions that must be the same on every worker."""
    found = versions()
    return {name: found[name] for name in ("cpd", "python")}
