"""One run of anyone's program, from its folder to its result: done in a worker."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cpd.external import process
from cpd.external.folder import Folder, Stopped
from cpd.external.giving_up import STEPS, Halving, Watcher
from cpd.external.names import CURVES, LOG, RESULT, STATE
from cpd.external.output import Unreadable, Values, last_lines, read_curves, read_result
from cpd.external.reporting import CHECK, FOLDER, RESUME
from cpd.external.values import MODEL, STEP, curves_of, finished
from cpd.outcome import Run, RunKey, Status
from cpd.spec.command import filled, text_of, values_for
from cpd.spec.inputs import Inputs, unchanged
from cpd.spec.models import Constraint, ProblemSource, Program
from cpd.spec.pruning import Prune

VISIBLE = "CUDA_VISIBLE_DEVICES"

NO_STEPS = (
    "--prune gives up nothing of a program that does not say how many steps there will be: record steps=..., or let a "
    "hyperparameter or an argument be called steps"
)

MOST_HOME = 1 << 28
"""Bytes of a run's folder that come home from a worker elsewhere."""


@dataclass(frozen=True)
class Job:
    """A run of a program: all that a worker needs for it, as plain picklable objects.

    Attributes:
        program: The command, or that it is a function.
        problem: The function, and the arguments of either, those of this run.
        objective: Its name.
        constraints: By name.
        keys: The run, one.
        folder: The run's own; made by whoever sends it, so that a worker that sees it shares the files.
        fresh: Whether it is to be done again though it was done.
        files: Contents of the files that travel, by path from the program's folder.
        device: What it is bound to, where that is said.
        checked: Whether this is no run, but a look at whether there could be some.
        prune: Whether it is given up where it will not come near its level.
        halving: Whether it is given up where others are ahead.
    """

    program: Program
    problem: ProblemSource
    objective: str
    constraints: dict[str, Constraint]
    keys: tuple[RunKey, ...]
    folder: str
    fresh: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    device: str | None = None
    checked: bool = False
    prune: Prune | None = None
    halving: Halving | None = None

    @property
    def key(self) -> RunKey:
        """The run."""
        return self.keys[0]


@dataclass
class Finished:
    """The run of a job, what the user should know, what it read, and files that are to come home.

    Its model is a file of the program's own, that the run names: none is written for it, and none sent by itself.
    """

    runs: list[Run]
    notes: list[str] = field(default_factory=list)
    inputs: Inputs = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)


def do(job: Job, stopped: Callable[[], bool]) -> Finished | None:
    """Do a run; None where nobody waits for it any more.

    Args:
        job: The run.
        stopped: Whether nobody does.
    """
    try:
        with _places(job) as (folder, cwd, travels):
            run, notes, read = _done(job, Folder(folder), cwd, stopped)
            if not travels:
                return Finished([run], notes, read)
            there = run.model and str(Path(job.folder, Path(run.model).relative_to(folder)))
            return Finished([replace(run, model=there)], notes, read, _home(folder))
    except Stopped:
        return None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return Finished([_failed(job.key, f"the run's folder cannot be used: {error.strerror or error}{where}")])


@contextmanager
def _places(job: Job) -> Iterator[tuple[Path, str, bool]]:
    """The run's folder and the one to start in; where they are not to be seen here, folders for the while.

    Yields also whether what is in the run's folder has to travel.
    """
    if Path(job.folder).is_dir():
        yield Path(job.folder), job.program.folder, False
        return
    with tempfile.TemporaryDirectory(prefix="cpd-run-") as root:
        folder, cwd = Path(root, "run"), Path(root, "files")
        folder.mkdir()
        for name, content in job.files.items():
            path = cwd / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755)
        yield folder, str(cwd) if job.files else job.program.folder, True


def _called(job: Job, folder: Folder, resumed: bool, watch: Watcher) -> tuple[Run, list[str], Inputs]:
    """The run of a function, called here."""
    from cpd.external import functions

    env = _said(str(folder.path), resumed=resumed, checked=job.checked, device=job.device)
    started = time.monotonic()
    read: Inputs = {}
    try:
        with functions.alone, functions.printing_to(folder.log), functions.watched(lambda: watch(folder.path)):
            started = time.monotonic()  # others had their turn first
            returned, read = functions.call(job.problem, job.key, folder.path, env, job.program.timeout)
        if returned is not None or not (folder.path / RESULT).exists():  # it may have called cpd.result
            functions.write_values(folder.path / RESULT, returned, job.objective)
        folder.end(0, time.monotonic() - started, read)
        return (*_read(job, folder, time.monotonic() - started), read)
    except functions.GivenUp as given_up:
        return _pruned(job, folder, str(given_up), time.monotonic() - started), [], read
    except functions.TimedOut:
        error = too_long(job.program.timeout or 0.0, time.monotonic() - started)
    except MemoryError:
        folder.end(1, 0.0, {})
        raise
    except (functions.Refused, Unreadable) as refused:
        error = str(refused)
        folder.end(1, 0.0, {})
    except BaseException as raised:
        if not isinstance(raised, Exception | SystemExit) and not functions.in_worker():
            raise  # an interrupt of this process
        error = functions.own_traceback(raised)
        folder.end(1, 0.0, {})
    seconds = time.monotonic() - started
    return _failed(job.key, error, seconds), [], read


def _done(job: Job, folder: Folder, cwd: str, stopped: Callable[[], bool]) -> tuple[Run, list[str], Inputs]:
    with folder.locked(stopped) as lock:
        how = folder.how(job.fresh)
        if how == "done" and not unchanged(folder.inputs(), job.problem.folder):
            how = "anew"
        if how == "done":
            try:
                return (*_read(job, folder, folder.seconds()), folder.inputs())
            except Unreadable:
                how = "anew"  # what it left is no result: another attempt may leave one
        folder.begin(how)
        watch = watcher_of(job)
        if job.program.is_function:
            return _called(job, folder, how == "again", watch)
        words = words_for(job, str(folder.path))
        env = environment(str(folder.path), resumed=how == "again", checked=job.checked, device=job.device)
        timeout = job.program.timeout
        order = process.Order(words, cwd, env, str(folder.log), str(folder.ended), timeout)
        ended = process.run(order, lock, lambda: "stopped" if stopped() else watch(folder.path))
        if ended.why == "stopped":
            raise Stopped
        if ended.error is not None and ended.code == process.UNSTARTED:
            folder.not_begun()
        return (*_ended(job, folder, ended), {})


def words_for(job: Job, folder: str) -> list[str]:
    """The words of a run's command.

    Args:
        job: The run.
        folder: Its folder, as it is seen where the run is done.
    """
    return filled(job.program.words, _values(job, folder))


def _values(job: Job, folder: str) -> dict[str, str]:
    setting = {**job.problem.arguments, **job.key.hyperparameters}
    checked = {name: text_of(value) for name, value in job.program.check_with.items()} if job.checked else {}
    return {**values_for(job.key.method, setting, job.key.levels, job.key.seed, folder), **checked}


def environment(
    folder: str, *, resumed: bool = False, checked: bool = False, device: str | None = None
) -> dict[str, str]:
    """A program's environment: this process's, with what cpd says, and output that is not held back."""
    own = {name: value for name, value in os.environ.items() if name not in (FOLDER, RESUME, CHECK)}
    own.setdefault("PYTHONUNBUFFERED", "1")
    return own | _said(folder, resumed=resumed, checked=checked, device=device)


def _said(folder: str, *, resumed: bool, checked: bool, device: str | None) -> dict[str, str]:
    """What cpd says to a program in its environment."""
    flags = {name: "1" for name, is_so in {RESUME: resumed, CHECK: checked}.items() if is_so}
    return {FOLDER: folder, **flags, **({} if device is None else _visible(device, os.environ.get(VISIBLE)))}


def _visible(device: str, before: str | None) -> dict[str, str]:
    """The one device that a program sees; numbers are places among those that this process sees."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number.isdigit():
        return {}
    seen = before.split(",") if before else []
    return {VISIBLE: seen[int(number)].strip() if int(number) < len(seen) else number}


def _ended(job: Job, folder: Folder, ended: process.Ended) -> tuple[Run, list[str]]:
    """The run of a program that has ended, one way or another."""
    if ended.why is not None and ended.why != "timeout":
        return _pruned(job, folder, ended.why, ended.seconds), []
    why = _why(job, ended)
    if why is None:
        try:
            return _read(job, folder, ended.seconds)
        except Unreadable as error:
            why = str(error)
    return _failed(job.key, _with_log(why, folder, told=ended.code > 0), ended.seconds), []


def _pruned(job: Job, folder: Folder, why: str, seconds: float) -> Run:
    """A run that was given up, with what it recorded until then."""
    points = read_curves(folder.path)
    curves = curves_of(job.objective, list(job.constraints), points)
    steps = int(points[-1][STEP]) if points else 0
    return Run(job.key, Status.PRUNED, steps=steps, seconds=seconds, error=why, curves=curves)


def watcher_of(job: Job) -> Watcher:
    """What looks at whether a run is to be given up."""
    own = {**job.problem.arguments, **job.key.hyperparameters}.get(STEPS)
    steps = float(own) if isinstance(own, int | float) and not isinstance(own, bool) else None
    return Watcher(job.key, job.objective, job.constraints, job.prune, job.halving, steps)


def _with_log(why: str, folder: Folder, told: bool) -> str:
    """Why a run failed, and the last lines of its log: the reason comes first and last, for some look there alone.

    Args:
        why: In a line.
        folder: The run's.
        told: Whether the program will have said itself what went wrong, last of all.
    """
    if not (lines := last_lines(folder)):
        return why
    last = f": {lines.splitlines()[-1].strip()}" if told else ""
    return f"{why}{last}\n{lines}\n{why}"


def too_long(timeout: float, seconds: float = 0.0) -> str:
    """Why a run was ended that took too long; also where it could not be ended at once, after so many seconds."""
    late = f" after {seconds:.3g} s: it was not in Python before" if seconds > timeout + process.GRACE else ""
    return f"it took longer than timeout: {timeout:g} s, and was ended{late}"


def _why(job: Job, ended: process.Ended) -> str | None:
    """Why a program failed; None where it came to its end."""
    if ended.error is not None:
        return ended.error
    if ended.why == "timeout":
        return too_long(job.program.timeout or 0.0)
    if ended.code < 0:
        name = signal.Signals(-ended.code).name if -ended.code in set(signal.Signals) else f"signal {-ended.code}"
        more = ": out of memory, or from outside" if name == "SIGKILL" else ""
        return f"it was killed ({name}{more})"
    return f"it ended with exit code {ended.code}" if ended.code else None


def _read(job: Job, folder: Folder, seconds: float) -> tuple[Run, list[str]]:
    """The run that a program's result says.

    Raises:
        Unreadable: It left none.
    """
    values = read_result(folder)
    points = read_curves(folder.path)
    run, notes = finished(job.key, job.objective, job.constraints, values, points)
    if job.prune is not None and run.curves is not None and not watcher_of(job).knows_steps(points):
        notes = [*notes, NO_STEPS]
    model, why = _model(folder.path, values)
    return replace(run, seconds=seconds, model=model), [*notes, *why]


def _model(folder: Path, values: Values) -> tuple[str | None, list[str]]:
    """The file or folder of the model, where the result names one; else why it is none, where there is a reason."""
    written = values.get(MODEL)
    if written is None or written == "":
        return None, []
    if not isinstance(written, str):
        return None, [f"'{MODEL}' of a result is {written!r:.40}, and no path: no model is kept"]
    path = Path(os.path.normpath(folder / written))
    if not path.exists():
        return None, [f"'{MODEL}' of a result names '{written}', which is not there: no model is kept"]
    real, own = (Path(os.path.realpath(one)) for one in (path, folder))
    if real == own or real in [own / name for name in (LOG, RESULT, CURVES)] or real.is_relative_to(own / STATE):
        return None, [f"'{MODEL}' of a result is '{written}', which is not the model's alone: name its own file"]
    if not real.is_relative_to(own):
        return None, [f"'{MODEL}' of a result is '{written}', outside of the run's folder: write it to {{folder}}"]
    return str(path), []


def names_model(folder: Path) -> bool:
    """Whether a program that ended in a folder has named a model there, which may be gone since."""
    try:
        return bool(read_result(Folder(folder)).get(MODEL))
    except Unreadable:
        return False


def _failed(key: RunKey, error: str, seconds: float = 0.0) -> Run:
    return Run(key, Status.FAILED, error=error, seconds=seconds)


def _home(folder: Path) -> dict[str, bytes]:
    """What a run left in a folder that goes: its log, result and curves first, then all else that fits."""
    first = [folder / name for name in (RESULT, CURVES, LOG)]
    others = [path for path in sorted(folder.rglob("*")) if path not in first and STATE not in path.parts]
    found: dict[str, bytes] = {}
    room = MOST_HOME
    for path in [*first, *others]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= room:
            found[path.relative_to(folder).as_posix()] = content = path.read_bytes()
            room -= len(content)
    return found


def bring_home(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what came home into a run's folder, in place of what is there."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def remove(folder: Path) -> None:
    """Remove a run's folder."""
    shutil.rmtree(folder, ignore_errors=True)
