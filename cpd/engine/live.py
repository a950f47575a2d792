"""Problems that are given as they are: a class or an object, of a module, of a script or of a notebook's cell."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from cpd.engine.importing import enter, leave, problem_module
from cpd.engine.live_content import Content, Untold, importable
from cpd.engine.live_copy import packed, unpacked
from cpd.errors import CpdError, SpecError
from cpd.problem import Problem
from cpd.spec.finding import is_installed_file
from cpd.spec.identity import digest
from cpd.spec.local_modules import local_modules
from cpd.spec.models import ProblemSource
from cpd.spec.source import find_source

REMEMBERED = 8
"""Problems of this process that are remembered, so that what is stored of them can be used again."""

STATE = "object"
"""Under this name a problem that is an object depends on its state."""

PLACE = "problem"

_given: OrderedDict[str, Any] = OrderedDict()
"""The classes and objects that were given last, by the key of their source."""


def problem_source(given: Any) -> ProblemSource:
    """Where a class or an object comes from: its module, or, where none has it, its own source and what that uses.

    Args:
        given: A class derived from ``cpd.Problem``, or an object of one.

    Raises:
        CpdError: It is none, or its content cannot be told.
    """
    leave()  # a class is found by the names that the host's own modules have
    kind = given if isinstance(given, type) else type(given)
    if not issubclass(kind, Problem):
        message = f"{_shown(given)} is no problem"
        raise CpdError(
            message, place=PLACE, hint="give a class derived from cpd.Problem, an object of one, or its path"
        )
    if kind is Problem:
        raise CpdError("cpd.Problem itself has no model", place=PLACE, hint="derive a class from it")
    source = _of_module(given, kind) if importable(kind) and "." not in kind.__qualname__ else _of_its_own(given, kind)
    _given[given_key(source)] = given
    _given.move_to_end(given_key(source))
    while len(_given) > REMEMBERED:
        _given.popitem(last=False)
    return source


def source_notes(given: Any) -> list[str]:
    """What the user should know of how a class is known again."""
    kind = given if isinstance(given, type) else type(given)
    if importable(kind) and "." not in kind.__qualname__:
        return []
    content, _ = _content(given, kind)
    if not content.unread:
        return []
    names = ", ".join(dict.fromkeys(content.unread))
    return [f"the source of {names} is not known: runs are stored under a hash of the bytecode, of this Python alone"]


def is_given(source: ProblemSource) -> bool:
    """Whether a problem is not to be had from its file alone."""
    return source.is_live or STATE in source.depends or source.pickled is not None


def made(source: ProblemSource) -> Any:
    """The class or the object of a problem that was given, a copy of this process's own.

    Raises:
        CpdError: It is not here any more, or has changed.
    """
    content = carried(source).pickled or b""
    enter(source)
    modules = {} if source.is_live else _standing_for(source)
    return unpacked(content, f"live_{given_key(source)[:16]}", modules)


def carried(source: ProblemSource) -> ProblemSource:
    """A problem as it travels to other processes: with its class or object in it, where no file has that.

    Raises:
        CpdError: It is not here any more, has changed, or cannot be pickled.
    """
    if source.pickled is not None or not is_given(source):
        return source
    given = _given.get(given_key(source))
    name = source.target.rpartition(":")[2]
    if given is None:
        message = f"'{name}' was defined in a program or a notebook, and is not here"
        raise SpecError(message, place=PLACE, hint=f"define it here and name it: problem={name}")
    now = problem_source(given)
    if given_key(now) != given_key(source):
        message = f"'{name}', or what it uses, has changed since"
        raise SpecError(message, place=PLACE, hint="make the task anew")
    content, _ = _content(given, given if isinstance(given, type) else type(given))
    try:
        return source.model_copy(update={"pickled": packed(given, content.files)})
    except Exception as error:
        message = f"'{name}' cannot be copied: {type(error).__name__}: {error}"
        hint = "make what cannot be pickled in data() or model(), or put the class into a file of its own"
        raise SpecError(message, place=PLACE, hint=hint) from error


def given_key(source: ProblemSource) -> str:
    """Hash of all that makes a class or an object that was given; equal for one with other arguments."""
    own = [source.target, source.path, source.source, source.modules, source.depends.get(STATE, "")]
    return digest(own)


def _of_module(given: Any, kind: type) -> ProblemSource:
    """A problem of a module, as if its file had been named."""
    module = sys.modules[kind.__module__]
    file = Path(str(module.__file__))
    target, folder = f"{kind.__module__}:{kind.__name__}", Path()
    if not is_installed_file(str(file)) and kind.__module__.partition(".")[0] != "cpd":
        above = kind.__module__.count(".") + (file.name == "__init__.py")
        folder = file.resolve().parents[above]
        target = target if above else f"{file.name}:{kind.__name__}"
    source = find_source(target, {}, folder, PLACE)
    if isinstance(given, type):
        return source
    content = Content()
    state = _told(content, given, kind)
    told = hashlib.sha256(f"{state}\n{content.text('')}".encode()).hexdigest()
    return source.model_copy(update={"depends": {STATE: told}})


def _of_its_own(given: Any, kind: type) -> ProblemSource:
    """A problem that no module has."""
    content, state = _content(given, kind)
    content.add(f"the problem: {state}")
    if (dtype := torch.get_default_dtype()) is not torch.float32:
        content.add(f"numbers are {dtype} where nothing is said")
    text = content.text(f"{kind.__qualname__}, and what it uses")
    folder = _folder()
    return ProblemSource(
        target=f"__main__:{kind.__qualname__}",
        path=str(folder / "__main__.py"),
        source=text,
        modules=local_modules(text, "", [folder]),
    )


def _content(given: Any, kind: type) -> tuple[Content, str]:
    content = Content()
    return content, _told(content, given, kind)


def _told(content: Content, given: Any, kind: type) -> str:
    try:
        return content.of(given, kind.__qualname__ if given is kind else "self")
    except Untold as error:
        message = f"{error.name} is a {error.kind}, and two of them cannot be told apart"
        hint = "give a class with arguments={...}, and make it in __init__(), data() or model()"
        raise CpdError(message, place=PLACE, hint=hint) from None
    except RecursionError:
        raise CpdError(f"'{kind.__qualname__}' uses what is nested too deep", place=PLACE) from None


def _folder() -> Path:
    """Where a program's own imports are looked for: the script's folder, or the current one."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).resolve().parent if file and os.path.isfile(file) else Path.cwd()


def _standing_for(source: ProblemSource) -> dict[str, ModuleType]:
    """The problem's own module, under the name that the host has it by."""
    module = source.target.rpartition(":")[0]
    own = problem_module(source)
    return {Path(module).stem if module.endswith(".py") else module: own}


def _shown(value: Any) -> str:
    named = getattr(value, "__qualname__", None)
    return f"'{named}'" if named else f"an object of the class {type(value).__qualname__}"
