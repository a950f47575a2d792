"""From a problem's source text to a problem object and its data, once per process."""

from __future__ import annotations

import inspect
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from cpd.engine.datasets import collate_of
from cpd.engine.examples import as_tensors, on_device
from cpd.engine.generators import HELD_OUT_SEED, seed_all
from cpd.engine.held_out import Parts, check_given, has_entry, shared_examples, split
from cpd.engine.importing import enter, forget, module_key, problem_module
from cpd.engine.items import Stream
from cpd.engine.live import is_given, made
from cpd.engine.tracebacks import user_traceback as user_traceback
from cpd.errors import CpdError, SpecError, UserCodeRaised, closest, last_line
from cpd.problem import Problem
from cpd.spec.held_out import Split
from cpd.spec.identity import digest
from cpd.spec.inputs import Inputs, inputs, unchanged
from cpd.spec.models import ProblemSource
from cpd.spec.watching import watching

_problems: dict[str, Problem] = {}
_data: dict[tuple[str, str, str, torch.dtype], Examples] = {}
_notes: dict[str, list[str]] = {}
_loaders: dict[str, DataLoader[Any] | None] = {}
_inputs: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {}
"""What each problem has read, by its key."""
_of_module: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {}
"""What was read where the module was imported, and modules that were imported later: once for all its problems."""


class ProblemRaised(UserCodeRaised):
    """The user's own code raised before training began; its traceback is kept.

    Args:
        where: The method that raised, e.g. ``"Rate.data()"``.
        error: The exception as raised.
    """

    def __init__(
        self, where: str, error: BaseException | str, *, place: str | None = None, hint: str | None = None
    ) -> None:
        self.where = where
        self.traceback = error if isinstance(error, str) else user_traceback(error)
        super().__init__(f"{where} raised {last_line(self.traceback)}", place=place, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilt from its text: the exception itself may not cross a process border."""
        return (_raised_again, (self.where, self.traceback, self.place, self.hint))


def _raised_again(where: str, text: str, place: str | None, hint: str | None) -> ProblemRaised:
    return ProblemRaised(where, text, place=place, hint=hint)


def load_problem(source: ProblemSource) -> Problem:
    """Build the problem object of a task, once per process and content of the files that it reads.

    Raises:
        CpdError: The module cannot be imported, the class is missing or no ``cpd.Problem``, or the arguments do not
            fit its ``__init__``.
        ProblemRaised: ``__init__`` raised.
    """
    name = problem_key(source)
    if name in _problems and not unchanged(inputs_of(source), source.folder):
        _forget(name, source)
    if name in _problems:
        enter(source)
    else:
        _inputs[name] = {}
        _problems[name] = _made(source)
    return _problems[name]


def _made(source: ProblemSource) -> Problem:
    with watching() as watch:
        kind = _given(source) if is_given(source) else _problem_class(source)
    _of_module.setdefault(module_key(source), {}).update(inputs(watch, source))
    if isinstance(kind, Problem):
        return kind
    _check_arguments(kind, source)
    try:
        with reading(source):
            return kind(**source.arguments)
    except CpdError as error:
        raise _of_the_spec(error) from error
    except Exception as error:
        raise ProblemRaised(f"{kind.__name__}({_shown(source.arguments)})", error, place=source.target) from error


@contextmanager
def reading(source: ProblemSource) -> Iterator[None]:
    """Take note of the files that a problem reads meanwhile."""
    with watching() as watch:
        yield
    found = inputs(watch, source)
    _inputs[problem_key(source)] |= found
    _of_module[module_key(source)] |= {path: was for path, was in found.items() if path.endswith(".py")}


def inputs_of(source: ProblemSource) -> Inputs:
    """The files that a problem has read in this process, and what was in them."""
    return {**_of_module.get(module_key(source), {}), **_inputs.get(problem_key(source), {})}


def _forget(name: str, source: ProblemSource) -> None:
    """Let a problem be made anew, and its data be read again."""
    del _problems[name]
    for key in [key for key in _data if key[0] == name]:
        del _data[key]
    _of_module.pop(module_key(source), None)
    forget(source)


def problem_key(source: ProblemSource) -> str:
    """Hash of all that makes the problem: where it is, its text and its arguments."""
    return digest(source.model_dump())[:16]


class Examples(NamedTuple):
    """What the runs of a problem see.

    Attributes:
        data: Of ``data()``, and what is held out of it or ``held_out()`` gives.
        constraint_data: Of ``constraint_data()``, likewise.
    """

    data: Parts
    constraint_data: Parts


def load_examples(source: ProblemSource, how: Split | None, device: torch.device, dtype: torch.dtype) -> Examples:
    """Return a problem's examples on the device, in memory or as streams, read once per process.

    Args:
        source: Of the problem.
        how: Which part of them is held out; None for what ``held_out()`` gives.
        device: Where they go.
        dtype: Of their floating-point numbers.

    Raises:
        CpdError: The constraints' are a stream; what is held out is not usable, or is asked for in two ways.
    """
    name = (problem_key(source), "" if how is None else how.model_dump_json(), str(device), dtype)
    if name not in _data:
        notes: list[str] = []
        own = _held(source, _split(source, how, notes), how, notes)
        parts = (Parts(*(on_device(part, device, dtype) for part in each)) for each in own)
        _data[name] = Examples(*parts)
        if shared := shared_examples(*_data[name].data):
            notes.append(f"{shared:,} of the held-out examples are equal to examples that are trained on")
        _notes[problem_key(source)] = notes
    return _data[name]


def _split(source: ProblemSource, how: Split | None, notes: list[str]) -> Examples:
    """What ``data()`` and ``constraint_data()`` give, in two parts where some of it is to be held out."""
    data, second = _read(source, "data", notes), _read(source, "constraint_data", notes)
    if isinstance(second, Stream):
        message, place = "gives examples that are read while they are trained on", f"{source.target}.constraint_data()"
        raise CpdError(message, place=place, hint="return tensors, or a Dataset that fits into memory")
    if how is None:
        return Examples(Parts(data), Parts(second))
    parts, places = split(data, how, f"{source.target}.data()")
    if second is None:
        return Examples(parts, Parts(None))
    if how.stratify is not None and not has_entry(second, how.stratify):
        how = how.model_copy(update={"stratify": None})
    return Examples(parts, split(second, how, f"{source.target}.constraint_data()", places)[0])


def _held(source: ProblemSource, own: Examples, how: Split | None, notes: list[str]) -> Examples:
    """With what ``held_out()`` gives, where there is one."""
    problem = load_problem(source)
    method: Any = problem.held_out
    place = f"{source.target}.held_out()"
    if not callable(method):
        message, hint = f"is {type(method).__name__}, and no method", "give the attribute another name"
        raise CpdError(message, place=f"{source.target}.held_out", hint=hint)
    if getattr(method, "__func__", None) is Problem.held_out:
        return own
    seed_all(HELD_OUT_SEED)
    found = _read(source, "held_out", notes)
    if found is None:
        return own
    if how is not None:
        message = f"{place} gives examples, and a share of data() is to be held out too"
        raise SpecError(message, place="held_out", hint="keep one of the two")
    if own.constraint_data.training is not None:
        message = "has no examples of constraint_data(), on which the constraints are measured"
        raise CpdError(message, place=place, hint="write held_out: 0.2 in the YAML instead, which splits both")
    check_given(found, own.data.training, place)
    return own._replace(data=Parts(own.data.training, found))


def _read(source: ProblemSource, method: str, notes: list[str]) -> Any:
    """What a method of the problem gives: a tree of tensors, a stream, or None."""
    problem = load_problem(source)
    try:
        with reading(source):
            raw = getattr(problem, method)()
            data = as_tensors(raw, f"{source.target}.{method}()", notes, collate_of(problem))
    except CpdError as error:
        raise _of_the_spec(error) from error
    except Exception as error:
        where = f"{type(problem).__name__}.{method}()"
        raise ProblemRaised(where, error, place=source.target, hint=_no_children(error)) from error
    if method == "data":
        _loaders[problem_key(source)] = raw if isinstance(raw, DataLoader) else None
    return data


def data_notes(source: ProblemSource) -> list[str]:
    """What the user should know of the data that was read."""
    return list(_notes.get(problem_key(source), ()))


def check_batch_size(source: ProblemSource, batch_size: int | None) -> None:
    """Refuse a recipe whose minibatches are not those of the DataLoader that ``data()`` returned.

    Raises:
        SpecError: It returned one that says otherwise.
    """
    loader = _loaders.get(problem_key(source))
    if loader is None or loader.batch_size in (1, batch_size):  # 1 is what a DataLoader has where nobody says
        return
    said = "all" if batch_size is None else str(batch_size)
    message, hint = f"is {said}, and the DataLoader of data() has {loader.batch_size}", f"{loader.batch_size}"
    if loader.batch_size is None:
        message, hint = f"is {said}, and each item of the DataLoader of data() is a batch", "all"
    raise SpecError(message, place="train.batch_size", hint=f"write batch_size: {hint}")


def _no_children(error: Exception) -> str | None:
    """The fix where a worker of a Dask cluster may not start the processes of a DataLoader."""
    daemonic = "daemonic processes" in str(error)
    return "return the Dataset itself, or use a DataLoader with num_workers=0" if daemonic else None


def _problem_class(source: ProblemSource) -> type[Problem]:
    place, _, name = source.target.rpartition(":")
    module = module_of(source, place)
    kind = getattr(module, name, None)
    if kind is None:
        classes = [n for n, c in vars(module).items() if inspect.isclass(c) and issubclass(c, Problem)]
        raise SpecError(f"no class '{name}' in '{place}'", place="problem", hint=closest(name, classes))
    if not (inspect.isclass(kind) and issubclass(kind, Problem)):
        message = f"'{name}' in '{place}' is not a cpd.Problem"
        raise SpecError(message, place="problem", hint=f"write class {name}(cpd.Problem): there")
    return kind


def _given(source: ProblemSource) -> Any:
    """The class or the object that was given; importing what it needs may raise."""
    try:
        return made(source)
    except CpdError:
        raise
    except Exception as error:
        message = f"'{source.target}' cannot be made here: {type(error).__name__}: {error}"
        raise SpecError(message, place="problem", hint="see that what it imports is here too") from error


def module_of(source: ProblemSource, place: str) -> types.ModuleType:
    """The module of a problem.

    Raises:
        SpecError: It cannot be imported.
    """
    try:
        return problem_module(source)
    except (CpdError, KeyboardInterrupt):
        raise
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        line = error.lineno if isinstance(error, SyntaxError) else last.lineno
        raise SpecError(
            f"'{place}' cannot be imported: {type(error).__name__}: {error} (line {line} of {Path(last.filename).name})"
            if not isinstance(error, SyntaxError)
            else f"'{place}' cannot be imported: {type(error).__name__}: {error.msg} (line {line})",
            place="problem",
            hint=_hidden(error, source) or "fix the file, or install what it needs",
        ) from error


def _hidden(error: BaseException, source: ProblemSource) -> str | None:
    """The fix where a file beside the problem has the name of an installed module, which is what is imported."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    own = [folder / f"{name}.py" for folder in source.folders if name and (folder / f"{name}.py").is_file()]
    return f"'{name}' is an installed module, not the file {own[0].name}: rename that" if own else None


def _check_arguments(kind: type[Problem], source: ProblemSource) -> None:
    try:
        signature = inspect.signature(kind)
    except ValueError:
        return
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in source.arguments:
        if name not in signature.parameters and not takes_any:
            raise SpecError(
                f"{kind.__name__} takes no argument '{name}'",
                place=f"arguments.{name}",
                hint=closest(name, signature.parameters),
            )
    for name, parameter in signature.parameters.items():
        required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if required and name not in source.arguments:
            message = f"{kind.__name__} needs the argument '{name}'"
            raise SpecError(message, place="arguments", hint=f"add arguments: {{{name}: VALUE}}")


def _of_the_spec(error: CpdError) -> CpdError:
    """An error that a problem raises about one of its arguments is one about the spec."""
    is_argument = (error.place or "").startswith("arguments.")
    return SpecError(error.message, place=error.place, hint=error.hint) if is_argument else error


def _shown(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
