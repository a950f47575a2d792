"""Check a task of anyone's program: it is run once, told that this is a check."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpd.engine.importing import leave
from cpd.external.job import Job, do, words_for
from cpd.external.process import close_guard
from cpd.outcome import Number, Run, RunKey, Status
from cpd.run.external import check_start
from cpd.run.options import Options
from cpd.spec.models import Program, Task
from cpd.spec.recipes import problem_of

SLOW = 90
"""Seconds from which a time is told in minutes."""


@dataclass(frozen=True)
class Checked:
    """What was looked at, whether it is well, and what was found."""

    check: str
    ok: bool
    found: str


def check(task: Task, program: Program, keys: Sequence[RunKey], device: str) -> list[Checked]:
    """Run the first run of a task once, in a folder that is removed, and say what was found.

    Args:
        task: Of a program.
        program: The program.
        keys: All runs, one at least.
        device: What it is bound to.

    Raises:
        CpdError: There is no such program.
    """
    options = Options(device=device)
    check_start(program, task.place, options)
    bound = None if device == "cpu" else device
    with tempfile.TemporaryDirectory(prefix="cpd-check-") as folder:
        problem = problem_of(task.problem, keys[0].setting)
        job = Job(
            program, problem, task.objective, dict(task.constraints), (keys[0],), folder, device=bound, checked=True
        )
        before = _state(Path(program.folder))
        try:
            done = do(job, lambda: False)
        finally:
            close_guard()
            leave()
        assert done is not None, "nobody stops a check"
        (run,) = done.runs
        said = "" if program.is_function else shlex.join(words_for(job, "FOLDER"))
        found = [Checked("command", True, said)] if said else []
        found += [*_lists(keys), Checked("depends", True, _depends(task)), *_ended(task, run)]
        found += [Checked("note", True, note) for note in done.notes]
        found += _beside(before, Path(program.folder), program)
        return found


def _lists(keys: Sequence[RunKey]) -> Iterator[Checked]:
    """A list is one value, where several may have been meant."""
    names = dict.fromkeys(
        name for key in keys for name, value in key.hyperparameters.items() if isinstance(value, list)
    )
    for name in names:
        yield Checked("note", True, f"{name} is a list, and one value: for a setting each write {{values: [...]}}")


def _depends(task: Task) -> str:
    names = list(task.problem.depends)
    if task.program is not None and task.program.is_function:
        names = [task.problem.target.rpartition(":")[0], *task.problem.modules, *names]
    return ", ".join(names) if names else "no file: stored runs stay whatever changes; name some under depends"


def _ended(task: Task, run: Run) -> Iterator[Checked]:
    """What the program came to."""
    if run.status is Status.FAILED:
        lines = [line for line in (run.error or "failed").splitlines() if line.strip()]
        first = lines[-1] if lines[0].startswith("Traceback") else lines[0]
        yield Checked("result", False, first)
        yield from (Checked("log", False, line) for line in lines if not first.startswith(line))
        return
    values = [(task.objective, run.objective), *((n, o.value) for n, o in run.constraints.items())]
    shown = ", ".join(f"{name} {_shown(value)}" for name, value in values)
    metrics = f"; metrics: {', '.join(run.metrics)}" if run.metrics else ""
    yield Checked("result", run.error is None, f"{shown}{metrics}" + (f"; {run.error}" if run.error else ""))
    if run.held_out is not None:
        held = ", ".join(f"{name} {_shown(o.value)}" for name, o in run.held_out.constraints.items())
        yield Checked("held out", True, f"{task.objective} {_shown(run.held_out.objective)}, {held}")
    if run.curves is not None:
        yield Checked("curves", True, f"{len(run.curves.steps)} points up to step {run.steps:,}")
    if run.model is not None:
        yield Checked("model", True, Path(run.model).name)
    yield Checked("time", True, _time(run.seconds))


def _shown(value: Number) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return "not finite" if value is None else f"{value:.6g}"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < SLOW else f"{seconds / 60:.0f} min"


def _state(folder: Path) -> dict[str, int]:
    """What is in a folder, and when each of it was changed."""
    try:
        return {entry.name: entry.stat().st_mtime_ns for entry in folder.iterdir() if _counts(entry)}
    except OSError:
        return {}


def _counts(entry: Path) -> bool:
    return entry.name not in ("__pycache__", ".cpd") and entry.exists()


def _beside(before: dict[str, int], folder: Path, program: Program) -> Iterator[Checked]:
    """What the program wrote beside itself, where runs that go on at once would overwrite each other's."""
    new = [name for name, changed in _state(folder).items() if before.get(name) != changed]
    if new and not program.is_function:
        what = f"wrote {', '.join(sorted(new))} into its own folder"
        yield Checked("files", True, f"{what}: runs at once overwrite each other's; write into {{folder}}")
