"""The one orchestrator: spec -> settings -> minus what is stored -> batches -> executor -> store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cpd.engine import checking
from cpd.engine.batch import Batch
from cpd.engine.checking import Checked
from cpd.errors import CpdError, SpecError, closest
from cpd.results.result import Result
from cpd.run.bisection import keys_at, searched
from cpd.run.execution import Session
from cpd.run.options import Listener, Options
from cpd.run.recording import Kind
from cpd.spec.identity import runs as expand
from cpd.spec.models import Search, Task
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task
from cpd.spec.schema import file_schema

__all__ = [
    "Listener",
    "Options",
    "Overrides",
    "Result",
    "aim",
    "bisect",
    "check",
    "compare",
    "load",
    "schema",
    "sweep",
]


def load(task: str | Task, overrides: Overrides | None = None) -> Task:
    """Read a task or sweep by name or path and check it.

    Raises:
        CpdError: The spec is not valid; the message names the place and the mend.
    """
    if isinstance(task, Task):
        return task
    return load_task(task, overrides)


def sweep(
    task: str | Task,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Listener | None = None,
) -> Result:
    """Train every run of a task or sweep, or do its search if it has one.

    Args:
        task: A bundled name, a path, or a loaded task.
        overrides: Methods, hyperparameters, levels and seeds in the command line's words.
        options: Where and how to run.
        listener: Told what happens.

    Raises:
        CpdError: The spec, the problem or the device is not usable.
    """
    task = load(task, overrides)
    if task.search is not None:
        return bisect(task, options=options, listener=listener)
    return _sweep("sweep", task, options, listener)


def compare(
    *methods: str,
    task: str | Task = "rate",
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Listener | None = None,
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
    return _sweep("compare", task, options, listener)


def _sweep(kind: Kind, task: Task, options: Options | None, listener: Listener | None) -> Result:
    options = options or Options()
    with Session(kind, task, options, listener or Listener()) as session:
        runs = session.train(expand(task))
        result = _ended(session, session.result(runs))
    return result


def _ended(session: Session, result: Result) -> Result:
    """The result, once the store knows that it is complete, or with why it could not be told."""
    session.end(result.exit_code, result.search)
    error = session.storing.error
    return result if error is result.store_error else replace(result, store_error=error)


def bisect(
    task: str | Task = "sparsity",
    search: Search | None = None,
    *,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Listener | None = None,
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
    task = _aimed(task, search)
    with Session("bisect", task, options or Options(), listener or Listener()) as session:
        result = _ended(session, searched(session, parallel))
    return result


def _aimed(task: Task, search: Search) -> Task:
    """The task with its constraint's level at the target, judged with the search's tolerance."""
    names = list(task.constraints)
    name = search.constraint or (names[0] if len(names) == 1 else None)
    if name is None:
        raise CpdError(
            f"{task.name} has {len(names)} constraints", place="--target", hint=f"write --target-{names[0]} VALUE"
        )
    if name not in task.constraints:
        raise CpdError(f"no constraint '{name}'", place=f"--target-{name}", hint=closest(name, names))
    aimed = task.constraints[name].model_copy(update={"level": search.target, "tolerance": search.tolerance})
    search = search.model_copy(update={"constraint": name})
    return task.model_copy(update={"constraints": {**task.constraints, name: aimed}, "search": search, "levels": {}})


def aim(task: str, words: Mapping[str, Any], overrides: Overrides | None = None) -> Task:
    """Read a task for a search, with the command line's ``--target`` and the like over the task's own search.

    Args:
        task: A bundled name or a path.
        words: ``target`` (``VALUE`` or ``NAME=VALUE``), ``tolerance``, ``low``, ``high``, ``max_trainings``,
            ``strategy``; None where not given.
        overrides: As for :func:`sweep`.
    """
    given = {name: value for name, value in words.items() if value is not None}
    name, _, text = str(given.pop("target", "")).rpartition("=")
    place = f"--target-{name}" if name else "--target"
    if text:
        try:
            given["target"] = float(text)
        except ValueError:
            raise CpdError(f"'{text}' is not a number", place=place, hint="give a number, e.g. 0.5") from None
    loaded = load(task, overrides)
    own = loaded.search.model_dump() if loaded.search else {}
    fields = {**own, **given, **({"constraint": name} if name else {})}
    if "target" not in fields:
        raise CpdError("no target", place="--target", hint=f"write --target-{next(iter(loaded.constraints))} VALUE")
    if not math.isfinite(fields["target"]):
        raise CpdError(f"{text} is not finite", place=place, hint="give a finite number")
    low, high = fields.get("low", 1e-3), fields.get("high", 1.0)
    for option, value in (("--low", low), ("--high", high), ("--tolerance", fields.get("tolerance", 0.01))):
        if not 0 < value < math.inf:
            raise CpdError(f"{value:g} is out of range", place=option, hint="write a finite number above 0")
    if fields.get("max_trainings", 2) < 2:
        hint = "write a whole number from 2 on: both ends are trained"
        raise CpdError(f"{fields['max_trainings']} is too few", place="--max-trainings", hint=hint)
    if high <= low:
        raise CpdError(f"{high:g} is not above --low, {low:g}", place="--high", hint="swap them")
    search = Search.model_validate(fields)
    return _aimed(loaded, search)


def _work(task: Task, runs: int) -> str:
    """What a sweep of a task would do."""
    if task.search is not None:
        return f"search for {task.search.constraint or 'the'} value {task.search.target:g}"
    return f"{', '.join(task.methods)}; {runs:,} runs"


def schema() -> dict[str, Any]:
    """The JSON Schema of task and sweep files, for editors."""
    return file_schema()


def check(task: str, overrides: Overrides | None = None, device: str = "cpu") -> list[Checked]:
    """Check a task without training.

    Raises:
        CpdError: The spec or the problem is not valid.
    """
    loaded = load(task, overrides)
    runs = expand(loaded)
    first = runs[0] if runs else keys_at(loaded, [1.0])[0]
    batch = Batch(loaded.problem, loaded.constraints, loaded.train, (first,), device)
    spec = f"{loaded.name}: {_work(loaded, len(runs))}"
    try:
        return [Checked("spec", True, spec), *checking.check(batch)]
    except SpecError as error:
        raise error.located(loaded.at) from error
