"""From a problem's source text to a problem object and its data, once per process."""

from __future__ import annotations

import importlib
import inspect
import linecache
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import torch

from cpd.errors import CpdError, SpecError, closest
from cpd.problem import Problem
from cpd.spec.identity import digest
from cpd.spec.models import ProblemSource

_INSIDE = (str(Path(__file__).parent), str(Path(torch.__file__).parent), "<frozen")
"""Where frames of a traceback are that say nothing about the user's code."""

_problems: dict[str, Problem] = {}
_imported: dict[str, str] = {}
"""What this process has imported of problems' own modules: a hash of their folder and texts, by name."""
_data: dict[tuple[str, str, torch.dtype], Any] = {}


class ProblemRaised(CpdError):
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
        super().__init__(f"{where} raised {self.traceback.strip().splitlines()[-1]}", place=place, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilt from its text: the exception itself may not cross a process border."""
        return (_raised_again, (self.where, self.traceback, self.place, self.hint))


def _raised_again(where: str, text: str, place: str | None, hint: str | None) -> ProblemRaised:
    return ProblemRaised(where, text, place=place, hint=hint)


def user_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the user's own code on (all of it if there is none)."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [k for k, frame in enumerate(frames) if not frame.filename.startswith(_INSIDE)]
    kept = traceback.StackSummary.from_list(frames[own[0] :] if own else frames)
    lines = ["Traceback (most recent call last):\n", *kept.format(), *traceback.format_exception_only(error)]
    return "".join(lines)


def load_problem(source: ProblemSource) -> Problem:
    """Build the problem object of a task, once per process.

    Raises:
        CpdError: The module cannot be imported, the class is missing or no ``cpd.Problem``, or the arguments do not
            fit its ``__init__``.
        ProblemRaised: ``__init__`` raised.
    """
    name = problem_key(source)
    if name not in _problems:
        kind = _problem_class(source)
        _check_arguments(kind, source)
        try:
            _problems[name] = kind(**source.arguments)
        except CpdError as error:
            raise _of_the_spec(error) from error
        except Exception as error:
            raise ProblemRaised(f"{kind.__name__}({_shown(source.arguments)})", error, place=source.target) from error
    return _problems[name]


def problem_key(source: ProblemSource) -> str:
    """Hash of all that makes the problem: where it is, its text and its arguments."""
    return digest(source.model_dump())[:16]


def load_data(source: ProblemSource, device: torch.device, dtype: torch.dtype) -> Any:
    """Return ``problem.data()`` as a tuple of tensors on the device, read into memory once per process, or None."""
    name = (problem_key(source), str(device), dtype)
    if name not in _data:
        problem = load_problem(source)
        place = f"{source.target}.data()"
        try:
            raw = problem.data()
        except CpdError as error:
            raise _of_the_spec(error) from error
        except Exception as error:
            where = f"{type(problem).__name__}.data()"
            raise ProblemRaised(where, error, place=source.target, hint=_no_children(error)) from error
        _data[name] = _on_device(_as_tensors(raw, place), device, dtype)
    return _data[name]


def _no_children(error: Exception) -> str | None:
    """The fix where a worker of a Dask cluster may not start the processes of a DataLoader."""
    daemonic = "daemonic processes" in str(error)
    return "return the Dataset itself, or use a DataLoader with num_workers=0" if daemonic else None


def _problem_class(source: ProblemSource) -> type[Problem]:
    place, _, name = source.target.rpartition(":")
    module = _module(source, place)
    kind = getattr(module, name, None)
    if kind is None:
        classes = [n for n, c in vars(module).items() if inspect.isclass(c) and issubclass(c, Problem)]
        raise SpecError(f"no class '{name}' in '{place}'", place="problem", hint=closest(name, classes))
    if not (inspect.isclass(kind) and issubclass(kind, Problem)):
        message = f"'{name}' in '{place}' is not a cpd.Problem"
        raise SpecError(message, place="problem", hint=f"write class {name}(cpd.Problem): there")
    return kind


def _module(source: ProblemSource, place: str) -> types.ModuleType:
    _forget_edited(source, place)
    try:
        if source.path is None and not place.endswith(".py"):
            module = _installed(place, source)
            if module is not None:
                return module
        return _from_text(source, place)
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
            hint="fix the file, or install what it needs",
        ) from error


def _forget_edited(source: ProblemSource, place: str) -> None:
    """Let modules that the user has edited since, or that are another problem's of the same name, be imported anew."""
    texts: dict[str, list[tuple[str, str]]] = {}
    for path, text in sorted(source.modules.items()):
        texts.setdefault(path.partition("/")[0].removesuffix(".py"), []).append((path, text))
    if not place.endswith(".py"):  # its package may hold others' problems, and cpd's own: they stay as they are
        texts.setdefault(place, []).append((place, source.source))
    for module, found in texts.items():
        seen = digest([str(source.folder), found])
        if _imported.get(module, seen) != seen:
            for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
                del sys.modules[name]
        _imported[module] = seen


def _installed(place: str, source: ProblemSource) -> types.ModuleType | None:
    """The module as this process imports it; None where it is not installed or is another version of the text."""
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and place.startswith(error.name):
            return None
        raise
    same = not source.source or inspect.getsource(module) == source.source
    return module if same else None


def _from_text(source: ProblemSource, place: str) -> types.ModuleType:
    """Run the source text that travelled with the sweep as a module of its own."""
    filename = source.path or f"{place}"
    # Two copies of a file are two modules: each reads what is beside it.
    name = f"cpd_problem_{digest([filename, source.source, source.modules])[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    folder = source.folder
    if folder is not None and folder.is_dir():  # before those of other problems, which may have modules of these names
        sys.path[:] = [str(folder), *(place for place in sys.path if place != str(folder))]
    module = types.ModuleType(name)
    module.__file__ = filename
    linecache.cache[filename] = (len(source.source), None, source.source.splitlines(keepends=True), filename)
    sys.modules[name] = module
    try:
        exec(compile(source.source, filename, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


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


def _as_tensors(raw: Any, place: str) -> tuple[torch.Tensor, ...] | None:
    if raw is None:
        return None
    if isinstance(raw, torch.Tensor):
        raw = (raw,)
    if isinstance(raw, torch.utils.data.Dataset):
        raw = _read_dataset(raw, place)
    if not isinstance(raw, tuple | list) or not raw or not all(isinstance(t, torch.Tensor) for t in raw):
        raise CpdError(
            f"returned {type(raw).__name__}", place=place, hint="return a tuple of tensors, a torch Dataset, or None"
        )
    sizes = [tuple(t.shape) for t in raw]
    if any(not shape for shape in sizes) or len({shape[0] for shape in sizes}) != 1 or sizes[0][0] == 0:
        raise CpdError(
            f"tensors of shapes {', '.join(map(str, sizes))} do not hold the same number of examples",
            place=place,
            hint="the first dimension of each is the examples",
        )
    return tuple(raw)


def _read_dataset(dataset: Any, place: str) -> tuple[torch.Tensor, ...]:
    """Read a map-style dataset into memory: workers and fused runs index tensors, they start no loader processes."""
    if isinstance(dataset, torch.utils.data.TensorDataset):
        return tuple(dataset.tensors)
    if isinstance(dataset, torch.utils.data.IterableDataset) or not hasattr(dataset, "__len__"):
        raise CpdError(
            "an iterable Dataset has no length and no order",
            place=place,
            hint="return a map-style Dataset or a tuple of tensors",
        )
    first = torch.utils.data.default_collate([dataset[0]])
    first = first if isinstance(first, tuple | list) else (first,)
    size = sum(t.element_size() * t.numel() for t in first if isinstance(t, torch.Tensor)) * len(dataset)
    free = _free_memory()
    if size > free / 2:
        raise CpdError(
            f"the Dataset needs {size / 2**30:.1f} GiB in memory and {free / 2**30:.1f} GiB are free",
            place=place,
            hint="return fewer or smaller examples (e.g. uint8 images, cast in evaluate)",
        )
    read = torch.utils.data.default_collate([dataset[k] for k in range(len(dataset))])
    return tuple(read) if isinstance(read, tuple | list) else (read,)


def _free_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 2**34
    kib = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 2**24)
    return kib * 1024


def _on_device(data: tuple[torch.Tensor, ...] | None, device: torch.device, dtype: torch.dtype) -> Any:
    if data is None:
        return None
    return tuple(t.to(device, dtype if t.is_floating_point() else None) for t in data)
