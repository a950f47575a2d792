"""``cpd.Task``: a task as a Python object, from keywords, a mapping, a file or a bundled name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any, Unpack

from cpd.errors import CpdError
from cpd.run.python_words import speaking
from cpd.spec import models
from cpd.spec.keywords import KEYS, TaskWords, check_names, keyword_layer, set_layers
from cpd.spec.layers import Layer, Layers, read_files
from cpd.spec.overrides import Overrides
from cpd.spec.reader import methods_in, read_layers
from cpd.spec.written import as_yaml, write_yaml

MOST_RUNS = Overrides().max_runs


class Words(TaskWords, total=False):
    """All that makes a task, as keywords.

    Attributes:
        search: What to search for: ``{"target": 0.5}``.
        set: Values by dotted key, over all else: ``{"train.optimizer.lr": 0.1, "penalized.coefficient": [0.1, 1]}``.
        max_runs: Refuse a task of more runs than this.
    """

    search: Any
    set: Mapping[str, Any]
    max_runs: int


class Task:
    """A problem, its constraints, its recipe and the settings to try; checked when it is made.

    ``print(task)`` writes it as YAML, :meth:`save` into a file that the command line reads. Two are equal where they
    mean the same runs.

    Args:
        task: A bundled name, a path, a mapping, another task, or the problem itself; default: keywords alone.
        words: The YAML's keys with Python's values, over those of ``task``; ``set`` and ``max_runs``.

    Raises:
        CpdError: The task is not valid; the message names the argument and the fix.

    Example:
        >>> task = cpd.Task("rate", seeds=range(3), train={"steps": 500})
        >>> task.name
        'rate'
    """

    def __init__(self, task: Any = None, /, **words: Unpack[Words]) -> None:
        with speaking("cpd.Task()"):
            self._begin(task, dict(words), "cpd.Task()")

    @classmethod
    def called(cls, task: Any, words: Mapping[str, Any], place: str, methods: Sequence[str] = ()) -> Task:
        """A task of what one of the commands was called with; errors name that call.

        Args:
            task: As for a task.
            words: Likewise.
            place: The call.
            methods: Those that are asked for by name.
        """
        made = cls.__new__(cls)
        made._begin(task, dict(words), place, tuple(methods))
        return made

    def changed(self, overrides: Overrides) -> models.Task:
        """The task with changes in the command line's words."""
        layers = (*overrides.layers(_constraints(self._layers), methods_in(self._layers)), *self._layers)
        return self._read(layers, replace(overrides, methods=(*self._asked, *overrides.methods)))

    def _begin(self, task: Any, words: dict[str, Any], place: str, methods: tuple[str, ...] = ()) -> None:
        check_names(words, (*KEYS, "set", "max_runs"), place)
        words |= _named(words, place)
        base = _base(task, words, place)
        self._asked = methods or _asked(words, place) or base.asked
        self._most = int(words.pop("max_runs", MOST_RUNS))
        assigned = words.pop("set", None) or {}
        self._given = words.pop("problem") if _is_given(words.get("problem")) else base.given
        own = {key: value for key, value in words.items() if value is not None}
        if "problem" in own:
            self._given = None
        self._keywords = keyword_layer(own, place) if own or not base.layers else None
        layers: list[Layer] = [*([] if self._keywords is None else [self._keywords]), *base.layers]
        self._layers: tuple[Layer, ...] = (
            *set_layers(assigned, _constraints(layers), methods_in(layers), place),
            *layers,
        )
        self._place, self._name = place, base.name
        self.spec = self.read()

    def read(self) -> models.Task:
        """The task as it is now, checked: a class, or what it uses, may be another one than when the task was made."""
        return self._read(self._layers, Overrides(methods=self._asked, max_runs=self._most))

    def _read(self, layers: tuple[Layer, ...], asked: Overrides) -> models.Task:
        name, notes = self._name, []
        if self._given is not None:
            from cpd.engine.live import problem_source, source_notes

            with speaking(self._place):
                source, notes = problem_source(self._given), source_notes(self._given)
            at = next((k for k, layer in enumerate(layers) if not layer.option), len(layers))
            layers = (*layers[:at], Layer(self._place, {"problem": source}), *layers[at:])
            name = name or source.target.rpartition(":")[2].rpartition(".")[2]
        merged = Layers(layers).merged()
        named = name or str(merged.get("problem", "task")).rpartition(":")[2]
        spec = read_layers(Layers(layers), asked, named)
        if self._given is not None and not isinstance(self._given, type) and merged.get("arguments"):
            hint = "give the class: an object has had its arguments"
            raise CpdError("a problem that is an object takes none", place=spec.at("arguments"), hint=hint)
        text = as_yaml(self._raw(spec), spec.description) if self._keywords is not None else spec.text
        return spec.model_copy(update={"notes": (*spec.notes, *notes), "text": text})

    @property
    def name(self) -> str:
        """Its name in tables.

        Example:
            >>> cpd.Task(**line).name
            'Line'
        """
        return self.spec.name

    def __str__(self) -> str:
        """The task as YAML."""
        return as_yaml(self._raw(self.spec), self.spec.description)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name} ({len(own)})" for name, own in self.spec.methods.items()) or "a search"
        return f"<cpd.Task {self.name}: {settings}; {len(self.spec.seeds)} seeds>"

    def __eq__(self, other: object) -> bool:
        return _meaning(self.spec) == _meaning(other.spec) if isinstance(other, Task) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the task into a file, from which the command line trains the same runs.

        Args:
            path: Ends in ``.yaml``; the problem's file is named from its folder.

        Raises:
            CpdError: The problem is in no file, or the file cannot be written.

        Example:
            >>> cpd.Task("rate", seeds=[1, 2]).save("twice.yaml")
            >>> cpd.Task("twice.yaml") == cpd.Task("rate", seeds=[1, 2])
            True
        """
        file = Path(path)
        name = self.spec.problem.target.rpartition(":")[2]
        with speaking("cpd.Task.save()"):
            if self.spec.problem.is_live:
                hint = "put the class into a file, and give its path or import it"
                raise CpdError(f"'{name}' is in no file, and a YAML file can only name one", place="problem", hint=hint)
            if source_state(self.spec):
                hint = "give the class with arguments={...}"
                raise CpdError("an object cannot be written into a file", place="problem", hint=hint)
            if (place := _elsewhere(self.spec, file)) is not None:
                hint = f"save it there: {place / file.name}"
                raise CpdError("a command starts in the folder of its task", place="command", hint=hint)
            write_yaml(file, as_yaml(self._raw(self.spec, file.resolve().parent), self.spec.description))

    def _raw(self, spec: models.Task, folder: Path | None = None) -> dict[str, Any]:
        """All keys as a file in a folder would have them."""
        raw = Layers(self._layers).merged()
        if spec.program is None or spec.program.is_function:
            raw["problem"] = _target(spec.problem, folder or Path.cwd())
        if self._asked:
            raw["methods"] = {name: raw["methods"][name] for name in self._asked}
        if "depends" in raw and folder is not None:
            beside = Layers(self._layers).folder("depends")
            raw["depends"] = [_moved(entry, beside, folder) for entry in raw["depends"]]
        return {key: value for key, value in raw.items() if value is not None}


def source_state(spec: models.Task) -> bool:
    """Whether a task's problem is an object of a file's class."""
    return "object" in spec.problem.depends and not spec.problem.is_live


def _elsewhere(spec: models.Task, file: Path) -> Path | None:
    """The folder in which a task's command starts, where a file is in another one."""
    if spec.program is None or spec.program.is_function:
        return None
    own = Path(spec.program.folder)
    return None if file.resolve().parent == own else own


class _Base:
    """What a task starts from."""

    def __init__(self, layers: Sequence[Layer] = (), name: str = "", given: Any = None, asked: Any = ()) -> None:
        self.layers, self.name, self.given, self.asked = tuple(layers), name, given, tuple(asked)


def _base(task: Any, words: dict[str, Any], place: str) -> _Base:
    if task is None:
        return _Base()
    if isinstance(task, Task):
        return _Base(task._layers, task._name, task._given, task._asked)
    if isinstance(task, models.Task):
        hint = "make it with cpd.Task()"
        raise CpdError("a task that was read already takes no keywords", place=place, hint=hint)
    if isinstance(task, str | os.PathLike):
        files = read_files(os.fspath(task))
        return _Base(files, Path(files[0].place).stem)
    if isinstance(task, Mapping):
        return _mapped(task, place)
    if "problem" in words:
        hint = "keep the first argument or problem"
        raise CpdError("the problem is given twice", place=f"{place}: problem", hint=hint)
    words |= _named({"problem": task}, place) or {"problem": task}
    return _Base()


def _named(words: Mapping[str, Any], place: str) -> dict[str, str]:
    """A plain function as its file and name: workers import it, and stored runs are found again by its text."""
    problem = words.get("problem")
    if not isinstance(problem, FunctionType):
        return {}
    file = Path(problem.__code__.co_filename)
    if problem.__module__ == "__main__" or problem.__qualname__ != problem.__name__ or not file.is_file():
        message = f"the function '{problem.__name__}' is no function of a module"
        hint = f'put it into a file, and write problem="mine.py:{problem.__name__}"'
        raise CpdError(message, place=f"{place}: problem", hint=hint)
    return {"problem": f"{file}:{problem.__name__}"}


def _mapped(task: Mapping[str, Any], place: str) -> _Base:
    """A mapping: a task, or, with the key ``task``, a sweep over one."""
    words = {str(key): value for key, value in task.items()}
    words |= _named(words, place)
    below = words.pop("task", None)
    check_names(words, KEYS, place)
    base = _base(below, {}, place)
    asked = _asked(words, place) or base.asked
    given = words.pop("problem") if _is_given(words.get("problem")) else None
    given = base.given if given is None and "problem" not in words else given
    return _Base([keyword_layer(words, place), *base.layers], base.name, given, asked)


def _is_given(problem: Any) -> bool:
    return problem is not None and not isinstance(problem, str | os.PathLike)


def _asked(words: dict[str, Any], place: str) -> tuple[str, ...]:
    """The methods that are asked for by name alone, taken out of what was given."""
    methods = words.get("methods")
    if methods is None or isinstance(methods, Mapping):
        return ()
    names = (words.pop("methods"),) if isinstance(methods, str) else tuple(words.pop("methods"))
    if wrong := [name for name in names if not isinstance(name, str)]:
        hint = 'write methods={"penalized": {"coefficient": [0.1, 1]}}'
        raise CpdError(f"{wrong[0]!r} is no method's name", place=f"{place}: methods", hint=hint)
    return names


def _constraints(layers: Sequence[Layer]) -> list[str]:
    own = [layer.raw.get("constraints") for layer in layers]
    return list(dict.fromkeys(str(n) for constraints in own if isinstance(constraints, dict) for n in constraints))


def _moved(entry: str, before: Path, folder: Path) -> str:
    """An entry of ``depends`` as a file in another folder has it."""
    return entry if entry.startswith("env:") else Path(os.path.relpath(before / entry, folder)).as_posix()


def _target(problem: models.ProblemSource, folder: Path) -> str:
    """The problem as a file in a folder names it."""
    module, _, name = problem.target.rpartition(":")
    if problem.is_live or problem.path is None:
        return problem.target
    if not module.endswith(".py") and problem.folder == folder:
        return problem.target
    return f"{Path(os.path.relpath(problem.path, folder)).as_posix()}:{name}"


def _meaning(spec: models.Task) -> dict[str, Any]:
    """All that two tasks of one meaning have alike: what trains, how it is judged, what tables call it."""
    found = spec.model_dump(exclude={"name", "place", "text", "notes", "places", "problem"})
    problem = spec.problem.model_dump(exclude={"target", "package"})
    if spec.program is not None and spec.program.is_function:
        found["program"] = {**found["program"], "folder": None}  # a function does not start in a folder
    return {**found, "problem": {**problem, "class": spec.problem.target.rpartition(":")[2]}}
