"""What ``cpd.sweep`` and its like take in Python: keywords, classes and objects beside names and paths."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, Unpack

from cpd.errors import CpdError, closest
from cpd.run import commands
from cpd.run.events import Sink
from cpd.run.options import Options
from cpd.run.python_words import speaking
from cpd.run.target import SEVERAL, with_target
from cpd.run.task import Task
from cpd.run.watching import listening
from cpd.spec import models
from cpd.spec.first_word import task_and_methods
from cpd.spec.keywords import KEYS, TaskWords, check_names
from cpd.spec.models import Search
from cpd.spec.option import Option
from cpd.spec.overrides import Overrides
from cpd.spec.plain import plain
from cpd.spec.validation import InvalidError, shown

if TYPE_CHECKING:
    from cpd.problem import Problem
    from cpd.results.checks import Checks
    from cpd.results.result import Result
    from cpd.trackers import Tracker

TaskLike = Union[str, "os.PathLike[str]", Mapping[str, Any], Task, models.Task, "type[Problem]", "Problem"]
"""A bundled name, a path, a mapping, a task, or the problem itself: a class or an object."""

OWN = ("set", "max_runs", "progress", "callbacks")
"""Keywords besides a task's keys and the fields of ``Options``."""

SEARCHED = ("target", "tolerance", "low", "high", "max_trainings", "strategy")
"""Keywords of a search, which may also be in a mapping: ``search={"target": 0.5}``."""


class CommonWords(TaskWords, total=False):
    """Keywords of every command that trains: a task's keys, and the fields of :class:`cpd.Options`.

    Attributes:
        set: Values by dotted key, over all else: ``{"train.optimizer.lr": 0.1, "penalized.coefficient": [0.1, 1]}``.
        max_runs: Refuse a task of more runs than this.
        progress: Whether to show how far the runs are: bars in a terminal and in a notebook, where they are the
            default, and lines elsewhere.
        callbacks: Trackers that are told of the runs: objects of :class:`cpd.Tracker`.
    """

    set: Mapping[str, Any]
    max_runs: int
    progress: bool | None
    callbacks: Sequence[Tracker]
    device: Any
    devices: str | Sequence[Any]
    jobs: int | None
    backend: Literal["local", "dask", "ray"]
    address: str | None
    engine: Literal["auto", "eager", "captured", "compiled"]
    fuse: int | Literal["auto", "off"] | None
    loader_workers: int | None
    store: str | os.PathLike[str] | None
    keep: bool
    fresh: bool
    checkpoint_every: float
    prune: bool
    retries: int
    stall_timeout: float
    fail_fast: bool
    gap: Any
    confidence: Any
    keep_models: Literal["best", "feasible", "all", "none"] | None
    trackers: str | Sequence[str]


class SweepWords(CommonWords, total=False):
    """Those of a sweep and a comparison.

    Attributes:
        search: What to search for: ``{"target": 0.5}``; a sweep with one is a search.
    """

    search: Any


class BisectWords(CommonWords, total=False):
    """Those of a search.

    Attributes:
        target: The value to reach, or ``{constraint: value}`` where a task has several; of several constraints each is
            brought to its own by a coefficient of its own.
        tolerance: How close to it is close enough.
        low: The smallest coefficient.
        high: The largest.
        max_trainings: Coefficients after which the search gives up.
        strategy: How the next one is chosen.
    """

    target: Any
    tolerance: float
    low: float
    high: float
    max_trainings: int
    strategy: Literal["bisection", "illinois", "coordinates", "simplex"]


class CheckWords(TaskWords, total=False):
    """Those of a check."""

    search: Any
    set: Mapping[str, Any]
    max_runs: int


def sweep(
    task: TaskLike | None = None,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Sink | None = None,
    **words: Unpack[SweepWords],
) -> Result:
    """Train every run of a task, or do its search if it has one.

    Args:
        task: A bundled name, a path, a mapping, a :class:`cpd.Task`, or the problem itself: a class or an object.
        overrides: Changes in the command line's words.
        options: Where and how to run.
        listener: Called with every event of :mod:`cpd.run.events`.
        words: The YAML's keys with Python's values, over those of ``task``; and the fields of :class:`cpd.Options`.

    Raises:
        CpdError: The task, the problem or the device is not usable; the message names the argument.

    Example:
        >>> result = cpd.sweep("concave", seeds=range(2), train={"steps": 50}, keep=False)
    """
    with speaking(call := "cpd.sweep()"):
        given = _Given(call, dict(words), overrides, options)
        return commands.sweep(given.task(task), None, given.options, _listener(given, listener))


def compare(
    *named: TaskLike,
    task: TaskLike | None = None,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Sink | None = None,
    **words: Unpack[SweepWords],
) -> Result:
    """Train several methods, each over its own settings, and put them side by side.

    Args:
        named: The methods' names, behind the task's if it comes first; default: all that the task has settings for.
        task: As for :func:`sweep`; default: ``rate``, where no problem and no command is given.
        overrides: As for :func:`sweep`.
        options: As for :func:`sweep`.
        listener: As for :func:`sweep`.
        words: As for :func:`sweep`.

    Raises:
        CpdError: As for :func:`sweep`.

    Example:
        >>> result = cpd.compare("penalized", "lagrangian", task="concave", train={"steps": 50}, keep=False)
    """
    with speaking(call := "cpd.compare()"):
        methods: Sequence[str] = [name for name in named if isinstance(name, str)]
        if others := [one for one in named if not isinstance(one, str)]:
            if task is not None or others[1:]:
                raise CpdError("the task is given twice", place=call, hint="give methods by name, and task=...")
            task = others[0]
        chosen: TaskLike | None = task
        if task is None and not {"problem", "command"} & words.keys():
            chosen, methods = task_and_methods(methods)
        given = _Given(call, dict(words), overrides, options, tuple(methods))
        return commands.compare(task=given.task(chosen), options=given.options, listener=_listener(given, listener))


def bisect(
    task: TaskLike | None = None,
    search: Search | Mapping[str, Any] | None = None,
    *,
    overrides: Overrides | None = None,
    options: Options | None = None,
    listener: Sink | None = None,
    parallel: int = 1,
    **words: Unpack[BisectWords],
) -> Result:
    """Search the penalty coefficient that brings a constraint's value to a target.

    Args:
        task: As for :func:`sweep`; default: ``sparsity``, where no problem and no command is given.
        search: Target, ends, tolerance and strategy; default: the task's own. Each is a keyword too.
        overrides: As for :func:`sweep`.
        options: As for :func:`sweep`.
        listener: As for :func:`sweep`.
        parallel: Coefficients to train at once in each round.
        words: As for :func:`sweep`, and ``target``, ``tolerance``, ``low``, ``high``, ``max_trainings``, ``strategy``.

    Raises:
        CpdError: As for :func:`sweep`.

    Example:
        >>> cpd.bisect(**line, target=1, tolerance=0.01, low=1, high=4, jobs=1).search["outcome"]
        'solved'
    """
    with speaking(call := "cpd.bisect()"):
        given = _Given(call, dict(words), overrides, options, extra=SEARCHED)
        chosen = "sparsity" if task is None and not {"problem", "command"} & words.keys() else task
        told = _listener(given, listener)
        own = search if isinstance(search, Search) else None
        if isinstance(chosen, models.Task) and given.extra:
            chosen = with_target(chosen, _target(given.extra, call))
        elif own is None:
            asked = {**(search if isinstance(search, Mapping) else {}), **_searched(given.extra, call)}
            given.words |= {"search": asked} if asked else {}
        with _of_a_search(call, given.extra):
            loaded = given.task(chosen)
            return commands.bisect(loaded, own, options=given.options, listener=told, parallel=parallel)


@contextmanager
def _of_a_search(call: str, extra: Mapping[str, Any]) -> Iterator[None]:
    """Let errors name a keyword of a search as it was given."""
    try:
        yield
    except CpdError as error:
        key = (error.place or "").rpartition("search.")[2]
        error.place = f"{call}: {key}" if key in extra else error.place
        raise


def _searched(extra: Mapping[str, Any], call: str) -> dict[str, Any]:
    """The keywords of a search as the task has them; a target may name its constraint."""
    found = dict(extra)
    if isinstance(target := found.get("target"), Mapping):
        if len(target) > 1 or found.get("strategy") in SEVERAL:
            found["targets"] = dict(_named(found.pop("target"), call))
        else:
            ((found["constraint"], found["target"]),) = _named(target, call).items()
    return found


def _named(target: Mapping[str, Any], call: str) -> Mapping[str, Any]:
    if not target:
        raise CpdError(f"{shown(dict(target))} is no target", place=f"{call}: target", hint='write {"NAME": VALUE}')
    return target


def check(
    task: TaskLike | None = None,
    overrides: Overrides | None = None,
    device: Any = "cpu",
    **words: Unpack[CheckWords],
) -> Checks:
    """Check a task without training: one evaluation, names, shapes, gradients, whether runs can be fused.

    Args:
        task: As for :func:`sweep`.
        overrides: As for :func:`sweep`.
        device: Where to evaluate.
        words: A task's keys, as for :func:`sweep`.

    Returns:
        What was found, a list that prints as the command's table; ``ok`` says whether all is well.

    Raises:
        CpdError: The task or the problem is not valid.

    Example:
        >>> cpd.check("concave").ok
        True
    """
    from cpd.results.checks import Checks

    with speaking(call := "cpd.check()"):
        given = _Given(call, dict(words), overrides, None)
        return Checks(commands.check(given.task(task), None, str(device)))


class _Given:
    """What a command was called with, each in its place."""

    def __init__(
        self,
        call: str,
        words: dict[str, Any],
        overrides: Overrides | None,
        options: Options | None,
        methods: tuple[str, ...] = (),
        extra: Sequence[str] = (),
    ) -> None:
        trains = call != "cpd.check()"
        own = [f.name for f in fields(Options) if f.name not in ("command_line", *KEYS)] if trains else []
        mine = OWN if trains else OWN[:2]
        valid = (*KEYS, *own, *mine, *extra)
        check_names(words, valid, call)
        self.call, self.overrides, self.methods = call, overrides, methods
        self.extra = {name: words.pop(name) for name in extra if name in words}
        self.options = _options(options, {name: words.pop(name) for name in own if name in words}, call)
        self.watched = {name: words.pop(name, None) for name in ("progress", "callbacks")}
        self.words = words

    def task(self, task: Any) -> models.Task:
        """The task that is meant, checked."""
        if isinstance(task, models.Task) and not self.words:
            return task
        if self.overrides is not None:
            return self._overridden(task, self.overrides)
        return Task.called(task, self.words, self.call, self.methods).spec

    def _overridden(self, task: Any, overrides: Overrides) -> models.Task:
        """With changes in the command line's words, over the keywords."""
        if isinstance(task, str | os.PathLike) and not self.words:
            named = replace(overrides, methods=(*self.methods, *overrides.methods))
            return commands.load(os.fspath(task), named)
        made = Task.called(task, self.words, self.call, self.methods)
        return made.changed(overrides)


def _listener(given: _Given, listener: Sink | None) -> Sink | None:
    """Who is told of the runs: progress and callbacks besides the listener."""
    return listening(given.watched["progress"], given.watched["callbacks"] or (), listener)


def _target(extra: Mapping[str, Any], call: str) -> dict[str, Any]:
    """The keywords of a search in the command line's words."""
    found = {name: _plain(name, value, call) for name, value in extra.items()}
    if isinstance(target := found.get("target"), dict):
        found["target"] = [f"{name}={value}" for name, value in _named(target, call).items()]
    return found


def _options(options: Options | None, given: Mapping[str, Any], call: str) -> Options:
    """The options, with the keywords over them.

    Raises:
        CpdError: A value that is none of an option's.
    """
    hints = typing.get_type_hints(Options, include_extras=True)
    found = {name: _option(name, value, hints[name], call) for name, value in given.items()}
    return replace(options or Options(), **found)


def _option(name: str, value: Any, hint: Any, call: str) -> Any:
    kind, option = hint.__origin__, next(one for one in hint.__metadata__ if isinstance(one, Option))
    place = f"{call}: {name}"
    if name == "store" and (value is None or isinstance(value, str | os.PathLike)):
        return value if value is None else Path(value)
    if option.read is not None and isinstance(value, str):
        return _said(option.read, value, place)
    value = _plain(name, value, call)
    if typing.get_origin(kind) is tuple:
        return (value,) if isinstance(value, str) else tuple(map(str, value))
    choices = typing.get_args(kind) or (kind,)
    words = [word for one in choices if typing.get_origin(one) is Literal for word in typing.get_args(one)]
    words += [word for word in choices if isinstance(word, str)]
    if words and value not in [*words, *([None] if type(None) in choices else [])]:
        raise CpdError(f"{shown(value)} is not a valid choice", place=place, hint=closest(str(value), words))
    if not words:
        _check_kind(value, choices, option.least, place)
    return value


def _check_kind(value: Any, kinds: Sequence[Any], least: float | None, place: str) -> None:
    """Refuse what is not of an option's type, or too small."""
    kinds = [*kinds, *([int] if float in kinds else [])]
    plain_kinds = tuple(kind for kind in kinds if isinstance(kind, type))
    if plain_kinds and (not isinstance(value, plain_kinds) or (isinstance(value, bool) and bool not in plain_kinds)):
        names = {bool: "True or False", int: "an integer", float: "a number", str: "a word", type(None): "None"}
        wanted = " or ".join(dict.fromkeys(names[kind] for kind in plain_kinds if kind in names))
        raise CpdError(f"{shown(value)} does not fit", place=place, hint=f"give {wanted}")
    if least is not None and isinstance(value, int | float) and value < least:
        raise CpdError(f"{value} is out of range", place=place, hint=f"give a number from {least:g} on")


def _plain(name: str, value: Any, call: str) -> Any:
    try:
        return plain(value)
    except InvalidError as error:
        raise CpdError(error.message, place=f"{call}: {name}{error.key}", hint=error.hint) from None


def _said(read: Callable[[str], Any], text: str, place: str) -> Any:
    try:
        return read(text)
    except CpdError as error:
        raise CpdError(error.message, place=place, hint=error.hint) from None
