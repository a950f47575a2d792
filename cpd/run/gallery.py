"""The gallery: every task with every method at its default grid, a comparison of each task after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from cpd.errors import CpdError, StoreError
from cpd.methods.default_grid import default_grid
from cpd.methods.registry import REGISTRY
from cpd.run import commands
from cpd.run.events import Sink
from cpd.run.options import Options
from cpd.spec.bundled import bundled
from cpd.spec.layers import Layer, Layers, read_files
from cpd.spec.models import Task
from cpd.spec.overrides import Overrides
from cpd.spec.reader import read_layers
from cpd.verdict.gallery import GalleryRow, rows_of, unfit

LONG = ("sparsity-mnist",)
"""Bundled tasks that take hours, or fetch what they learn: only where they are named."""

PLACE = "default grid"
"""Where the settings come from, in errors."""

_NAMED = re.compile(r" \([^()]*\)")

OWN_METHODS = "its program has methods of its own"


Done = TypeVar("Done")


class Exhibit(NamedTuple):
    """One task with the methods that fit it, and why the others do not.

    Attributes:
        name: Of the task.
        task: With the default grids; None where no method fits.
        unfit: By method, why it does not.
        methods: All that were asked for, in order.
    """

    name: str
    task: Task | None
    unfit: dict[str, str]
    methods: tuple[str, ...]

    def without(self, method: str, reason: str) -> Exhibit:
        """The same less a method that does not fit."""
        assert self.task is not None
        left = {name: settings for name, settings in self.task.methods.items() if name != method}
        task = self.task.model_copy(update={"methods": left}) if left else None
        return self._replace(task=task, unfit={**self.unfit, method: reason})


class Hung(NamedTuple):
    """The rows of one task, and how many of its runs failed."""

    rows: list[GalleryRow]
    failures: int


def names_of(asked: Sequence[str]) -> list[str]:
    """The tasks that are meant: those that are asked for, else all bundled ones but those that take hours."""
    every = [one.name for one in bundled() if one.kind == "task" and one.name not in LONG]
    return list(dict.fromkeys(asked)) or every


def exhibits(names: Sequence[str], overrides: Overrides) -> list[Exhibit]:
    """Read every task, with each method at its default grid; nothing is trained.

    Args:
        names: Bundled tasks or paths.
        overrides: The command line's words; its methods are those that are shown.

    Raises:
        CpdError: A task or a word is not valid, whatever the method.
    """
    methods = tuple(dict.fromkeys(overrides.methods)) or tuple(REGISTRY)
    for method in methods:
        if method not in REGISTRY:
            commands.load("rate", Overrides(methods=(method,)))  # says what is valid
    replace(overrides, methods=methods).layers()  # refuses words of methods that are not shown
    return [_exhibit(name, methods, overrides) for name in names]


def _exhibit(name: str, methods: Sequence[str], overrides: Overrides) -> Exhibit:
    base = _base(name, overrides)
    if base.search is not None:
        raise CpdError("is a search", place=base.place, hint="name a task, see cpd tasks")
    if base.program is not None:
        return Exhibit(base.name, None, dict.fromkeys(methods, OWN_METHODS), tuple(methods))
    reasons: dict[str, str] = {}
    for method in methods:
        try:
            _read(name, (method,), overrides)
        except CpdError as error:
            reasons[method] = _NAMED.sub("", error.message)  # of all tasks alike
    fitting = [method for method in methods if method not in reasons]
    if not fitting:
        return Exhibit(base.name, None, reasons, tuple(methods))
    return Exhibit(base.name, _read(name, fitting, overrides), reasons, tuple(methods))


def _base(name: str, overrides: Overrides) -> Task:
    """A task with its own settings; a program's without changes of a recipe, which it does not have."""
    try:
        return _read(name, (), overrides)
    except CpdError:
        found = _read(name, (), replace(overrides, set=()))
        if found.program is None:
            raise
        return found


def _read(name: str, methods: Sequence[str], overrides: Overrides) -> Task:
    """A task with these methods at their default grids; with its own ones where none is named."""
    files = read_files(name)
    layers = tuple(files)
    if methods:
        grids = {method: default_grid(method) for method in methods}
        layers = (Layer(PLACE, {"methods": grids}), *files)
    own = [file.raw.get("constraints") for file in files]
    constraints = dict.fromkeys(str(n) for block in own if isinstance(block, dict) for n in block)
    shown = [word for word in overrides.set if word.partition(".")[0] in methods or not _of_a_method(word)]
    words = replace(overrides, methods=(), set=tuple(shown))
    called = _called(files)
    return read_layers(Layers((*words.layers(constraints), *layers)), words, called)


def _called(files: Sequence[Layer]) -> str:
    place = files[0].place.replace("\\", "/").rpartition("/")[2]
    return place.rpartition(".")[0] or place


def _of_a_method(word: str) -> bool:
    return word.partition("=")[0].strip().partition(".")[0] in REGISTRY


def hang(exhibit: Exhibit, options: Options, listener: Sink) -> Hung:
    """Train what is not stored of one task, and judge it.

    A task that cannot be trained here is a row of notes, not the end of the gallery.

    Args:
        exhibit: The task.
        options: Where and how to run.
        listener: Called with every event of :mod:`cpd.run.events`.

    Raises:
        StoreError: The store cannot be read or written.
    """
    failures = 0
    found: dict[str, GalleryRow] = {}
    try:
        exhibit, result = tried(exhibit, lambda task: commands.compare(task=task, options=options, listener=listener))
    except StoreError:
        raise
    except CpdError as error:
        reasons = dict.fromkeys(exhibit.methods, error.message)
        exhibit = exhibit._replace(unfit=reasons | exhibit.unfit)
        failures = 1
    else:
        if result is not None and result.store_error is not None:
            raise result.store_error
        if result is not None:
            found = {row["method"]: row for row in rows_of(result.document, exhibit.name)}
            failures = len(result.failures)
    rows = found | {method: unfit(exhibit.name, method, reason) for method, reason in exhibit.unfit.items()}
    return Hung([rows[method] for method in exhibit.methods], failures)


def tried(exhibit: Exhibit, call: Callable[[Task], Done]) -> tuple[Exhibit, Done | None]:
    """What a call gives for a task, less the methods that are refused only once its model is there.

    Raises:
        CpdError: It is no method that is refused.
    """
    while exhibit.task is not None:
        try:
            return exhibit, call(exhibit.task)
        except CpdError as error:
            method = (error.place or "").rpartition("methods.")[2].partition(".")[0]
            if method not in exhibit.task.methods:
                raise
            exhibit = exhibit.without(method, error.message)
    return exhibit, None
