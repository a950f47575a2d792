"""The commands that train, from a task to its result. A task is read and checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cpd.errors import CpdError, SpecError
from cpd.methods.registry import by_velocities, looks_ahead
from cpd.run.events import Sink, TaskRead, nobody
from cpd.run.options import Options
from cpd.run.spaces import check_sampler
from cpd.run.target import aimed
from cpd.spec.identity import runs as expand
from cpd.spec.models import Program, Search, Task
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task
from cpd.spec.validation import shown

if TYPE_CHECKING:
    from cpd.engine.batch import Batch
    from cpd.engine.checking import Checked as Found
    from cpd.results.checks import Finding
    from cpd.results.result import Result
    from cpd.run.trainer import Kind

MOST_CHECKED = 8
"""Programs of a task that are checked: each is evaluated."""


def load(task: str | Task, overrides: Overrides | None = None) -> Task:
    """Read a task or sweep by name or path and check it.

    Raises:
        CpdError: The spec is not valid; the message names the place and the fix.
    """
    return task if isinstance(task, Task) else load_task(task, overrides)


def sweep(
    task: str | Task,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Sink | None = None,
) -> Result:
    """Train every run of a task or sweep, or do its search if it has one.

    Args:
        task: A bundled name, a path, or a loaded task.
        overrides: Methods, hyperparameters, levels and seeds in the command line's words.
        options: Where and how to run.
        listener: Called with every event of :mod:`cpd.run.events`.

    Raises:
        CpdError: The spec, the problem or the device is not usable.
    """
    task = load(task, overrides)
    if task.search is not None:
        return bisect(task, options=options, listener=listener)
    return _trained("sweep", task, options, listener)


def compare(
    *methods: str,
    task: str | Task = "rate",
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Sink | None = None,
) -> Result:
    """Train each method over its own settings and put them side by side.

    Args:
        methods: Two or more methods' names.
        task: As for :func:`sweep`.
        overrides: As for :func:`sweep`.
        options: As for :func:`sweep`.
        listener: As for :func:`sweep`.
    """
    if not isinstance(task, Task):
        words = overrides or Overrides()
        task = load(task, replace(words, methods=(*methods, *words.methods)))
    return _trained("compare", task, options, listener)


def _trained(kind: Kind, task: Task, options: Options | None, listener: Sink | None) -> Result:
    task = decided(task, options)
    if task.budget is not None:
        check_sampler(task)
    (listener or nobody)(TaskRead(task))

    from cpd.run.execution import session
    from cpd.run.tuning import tuned

    with session(kind, task, options or Options(), listener or nobody) as opened:
        result = opened.result(opened.train(expand(task))) if task.budget is None else tuned(opened, task.budget)
    return result


def decided(task: Task, options: Options | None) -> Task:
    """A task with the data that decide, where the options say which."""
    if options is None or options.judge is None:
        return task
    return task.model_copy(update={"judge": options.judge, "places": {**task.places, "judge": "--judge"}})


def bisect(
    task: str | Task = "sparsity",
    search: Search | None = None,
    *,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Sink | None = None,
    parallel: int = 1,
) -> Result:
    """Search the penalty coefficient that brings a constraint's value to a target.

    Args:
        task: As for :func:`sweep`.
        search: Target, ends, tolerance and strategy; default: the task's own.
        overrides: As for :func:`sweep`.
        options: As for :func:`sweep`.
        listener: As for :func:`sweep`.
        parallel: Coefficients to train at once in each round.
    """
    task = load(task, overrides)
    search = search or task.search
    if search is None:
        raise CpdError("has no search", place=task.place, hint="give a target: --target VALUE")
    task = decided(aimed(task, search), options)
    assert task.search is not None
    (listener or nobody)(TaskRead(task))

    from cpd.run.execution import session
    from cpd.run.searching import searched

    with session("bisect", task, options or Options(), listener or nobody) as opened:
        result = searched(opened, task.search, parallel)
    return result


def check(task: str | Task, overrides: Overrides | None = None, device: str = "cpu") -> Sequence[Finding]:
    """Check a task without training.

    Raises:
        CpdError: The spec or the problem is not valid.
    """
    loaded = load(task, overrides)
    if loaded.program is not None:
        return _checked_program(loaded, loaded.program, device)

    from cpd.engine import checking
    from cpd.engine.importing import leave
    from cpd.run.batches import Batches
    from cpd.run.bisection import keys_at
    from cpd.run.foresight import foretold
    from cpd.run.programs import Programs

    runs = expand(loaded)
    if loaded.search is not None:
        aimed(loaded, loaded.search)
    programs = Programs(loaded)
    telling, options = programs.telling(runs), Options(device=device)
    alike = list(programs.by_structure(runs or keys_at(loaded, [1.0])).values())
    batches = [Batches("sweep", loaded, options, None, pruning=False).of((own[0],)) for own in alike]
    found = [checking.Checked("spec", True, f"{loaded.name}: {_work(loaded, len(runs), len(alike), telling)}")]
    try:
        for number, (batch, own) in enumerate(zip(batches[:MOST_CHECKED], alike, strict=False)):
            say = partial(foretold, own, options, share_seeds=batch.train.batch_size is None)
            of_one = checking.check(batch, len(own), say)
            found += of_one if not number else _others(batch, of_one, found, telling)
    except SpecError as error:
        raise error.located(loaded.at) from error
    finally:
        leave()
    return found


def _checked_program(task: Task, program: Program, device: str) -> Sequence[Finding]:
    """The same of a program, which is run once."""
    from cpd.run.bisection import keys_at
    from cpd.run.external_check import Checked, check

    runs = expand(task)
    aim = task if task.search is None else aimed(task, task.search)
    found = [Checked("spec", True, f"{task.name}: {_work(task, len(runs), 1, [])}")]
    return [*found, *check(task, program, runs or keys_at(aim, [task.search.low if task.search else 1.0]), device)]


def _others(batch: Batch, checked: list[Found], first: list[Found], telling: list[str]) -> list[Found]:
    """What was found of another program than the first, where that is otherwise, with what tells it apart."""
    setting, method = batch.keys[0].setting, batch.keys[0].method
    said = [f"{name.rpartition('.')[2]} {shown(setting[name])}" for name in telling if name in setting]
    if "method" in telling:
        said = [method if looks_ahead(method) or by_velocities(method) else "other methods", *said]
    which = ", ".join(said)
    return [replace(one, check=f"{one.check} ({which})") for one in checked if one not in first]


def _work(task: Task, runs: int, programs: int, telling: list[str]) -> str:
    """Say what a sweep of a task would do."""
    from cpd.run.bisection import searched_of

    if task.search is not None and task.search.is_several:
        return f"search for one {searched_of(task)} of each constraint, by {task.search.strategy}"
    if task.search is not None:
        return f"search for {task.search.constraint or 'the'} value {task.search.target:g}"
    several = f" in {programs:,} programs, by {', '.join(telling)}" if programs > 1 else ""
    unchecked = f" (the first {MOST_CHECKED} are checked)" if programs > MOST_CHECKED else ""
    return f"{', '.join(task.methods)}; {runs:,} runs{several}{unchecked}"
