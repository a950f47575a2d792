"""Plain functions: ``train(setting, levels, seed, folder)``, called in a worker, whose return value is the result."""

from __future__ import annotations

import ctypes
import importlib
import inspect
import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from cpd.engine.importing import problem_module
from cpd.external.names import TIMED_OUT
from cpd.external.process import GRACE
from cpd.external.reporting import after, plain
from cpd.external.values import HITS, OF, SURROGATE
from cpd.outcome import RunKey
from cpd.spec.inputs import inputs
from cpd.spec.models import ProblemSource
from cpd.spec.watching import watching

GIVEN = ("setting", "levels", "seed", "folder")
"""What a function is called with, in this order, or by these names."""

OURS = str(Path(__file__).resolve().parents[1])

alone = threading.Lock()
"""Functions on threads of one process would share its generators, its output and its environment."""

Inputs = dict[str, tuple[str, tuple[int, ...]]]

_read: dict[str, Inputs] = {}
"""What each function was seen to read in this process: what it keeps in memory, its later runs depend on too."""


class TimedOut(BaseException):
    """A function took longer than it may."""


class GivenUp(BaseException):
    """A function is not to go on: why."""


class Refused(Exception):
    """A function cannot be called, or gave no values: why, in a line."""


def call(
    source: ProblemSource, key: RunKey, folder: Path, env: Mapping[str, str], timeout: float | None
) -> tuple[Any, Inputs]:
    """Call a function for a run, while nobody else holds :data:`alone`.

    Args:
        source: The function, and arguments that it is given besides.
        key: The run.
        folder: The run's own.
        env: Variables to set meanwhile.
        timeout: Seconds that it may take.

    Returns:
        What it returned, and the files that it was seen to read.

    Raises:
        TimedOut: It took longer.
        Refused: There is no such function, or it does not take what it is given.
    """
    with _variables(env), watching() as watch:
        try:
            function = _function(source)
            positional, named = _arguments(function, source, key, folder)
            seed_all(source, key.seed)
            with _put_back(), _limited(timeout):
                returned = function(*positional, **named)
        finally:
            name = f"{source.target} {source.path}"
            own = str(folder) + os.sep
            found = {path: was for path, was in inputs(watch, source).items() if not path.startswith(own)}
            _read.setdefault(name, {}).update(found)
    return returned, _read[name]


def _function(source: ProblemSource) -> Callable[..., Any]:
    name = source.target.rpartition(":")[2]
    function = getattr(problem_module(source), name, None)
    if inspect.isclass(function) or not callable(function):
        raise Refused(f"'{source.target}' is no function; a cpd.Problem needs train: {{steps: ...}}")
    if inspect.iscoroutinefunction(function):
        raise Refused(f"'{source.target}' is asynchronous; write def {name}(setting, levels, seed, folder):")
    return function  # type: ignore[no-any-return]


def _arguments(
    function: Callable[..., Any], source: ProblemSource, key: RunKey, folder: Path
) -> tuple[list[Any], dict[str, Any]]:
    """What a function is called with: by name those that it names, else in order."""
    given = dict(zip(GIVEN, (key.hyperparameters, dict(key.levels), key.seed, folder), strict=True))
    if "method" in _parameters(function):
        given["method"] = key.method
    named = [name for name in _parameters(function) if name in given]
    by_name = {**{name: given[name] for name in named}, **source.arguments}
    in_order = [given[name] for name in GIVEN]
    for positional, keywords in (([], by_name), (in_order, dict(source.arguments))):
        if named or positional:
            try:
                inspect.signature(function).bind(*positional, **keywords)
            except (TypeError, ValueError):
                continue
            return list(positional), keywords
    extra = "".join(f", {name}" for name in source.arguments)
    raise Refused(f"'{source.target}' does not take ({', '.join(GIVEN)}{extra})")


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return []
    return [name for name, one in found.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]


def seed_all(source: ProblemSource, seed: int) -> None:
    """Seed the generators that are in use: a run's numbers do not depend on those before it in its worker.

    A package that the function imports only when it is called is imported here, for it could not be seeded later.
    """
    random.seed(seed)
    seeders: dict[str, Callable[[Any], object]] = {
        "numpy": lambda numpy: numpy.random.seed(seed % 2**32),
        "torch": lambda torch: torch.manual_seed(seed),
    }
    texts = [source.source, *source.modules.values()]
    for name, seeder in seeders.items():
        if name in sys.modules or any(name in text for text in texts):
            with suppress(ImportError):
                seeder(importlib.import_module(name))


@contextmanager
def _variables(env: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _put_back() -> Iterator[None]:
    """The next run in this process finds its folder, variables and torch's default type as this one found them."""
    folder, variables = _current_folder(), dict(os.environ)
    torch = sys.modules.get("torch")
    dtype = None if torch is None else torch.get_default_dtype()
    try:
        yield
    finally:
        if folder is not None and folder != _current_folder():
            os.chdir(folder)
        for name in set(os.environ) - set(variables):
            del os.environ[name]
        os.environ.update(variables)
        if torch is not None:
            torch.set_default_dtype(dtype)


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return None


@contextmanager
def watched(why: Callable[[], str | None]) -> Iterator[None]:
    """Let a function end where it records values and is to be given up."""

    def look() -> None:
        if (found := why()) is not None:
            raise GivenUp(found)

    after.append(look)
    try:
        yield
    finally:
        after.remove(look)


@contextmanager
def _limited(timeout: float | None) -> Iterator[None]:
    """End what takes too long; a worker process that is stuck outside of Python ends itself a little later."""
    if timeout is None:
        yield
    elif threading.current_thread() is threading.main_thread():
        with _by_alarm(timeout):
            yield
    else:
        with _by_thread(timeout):
            yield


@contextmanager
def _by_alarm(timeout: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _raise_timed_out)
    watchdog = threading.Timer(timeout + GRACE, os._exit, [TIMED_OUT])
    watchdog.daemon = True
    watchdog.start()
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        watchdog.cancel()
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _by_thread(timeout: float) -> Iterator[None]:
    """On a thread that shares its process with others: ended once it is in Python, for all else would end them too."""
    own, over, turn = threading.get_ident(), False, threading.Lock()

    def end() -> None:
        with turn:
            if not over:
                _raise_in(own, TimedOut)

    timer = threading.Timer(timeout, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with turn:
            over = True
            _raise_in(own, None)  # what was sent and has not come is taken back
        timer.cancel()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in another thread, before its next step in Python."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def _raise_timed_out(number: int, frame: FrameType | None) -> None:
    raise TimedOut


@contextmanager
def printing_to(log: Path) -> Iterator[None]:
    """Let what is printed meanwhile go to a file: in a worker's main thread all of it, elsewhere what Python prints."""
    with log.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        if threading.current_thread() is not threading.main_thread():
            with redirect_stdout(file), redirect_stderr(file):
                yield
            return
        kept = [os.dup(number) for number in (1, 2)]
        try:
            _flush()
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            _flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def in_worker() -> bool:
    """Whether this is a worker process, which no interrupt concerns: the parent decides what it means."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def own_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the user's own code on (all of it if there is none)."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [k for k, frame in enumerate(frames) if not frame.filename.startswith(OURS)]
    kept = traceback.StackSummary.from_list(frames[own[0] :] if own else frames)
    lines = ["Traceback (most recent call last):\n", *kept.format(), *traceback.format_exception_only(error)]
    return "".join(lines)


def write_values(path: Path, returned: Any, objective: str) -> None:
    """Write what a function returned as a result.

    Raises:
        Refused: It returned no values.
    """
    path.write_text(json.dumps(values_of(returned, objective)))


def values_of(returned: Any, objective: str) -> dict[str, Any]:
    """The values of a mapping, or of a ``cpd.Evaluation``, as a result has them.

    Raises:
        Refused: It is neither.
    """
    try:
        if isinstance(returned, Mapping):
            return {str(name): _value(value) for name, value in returned.items()}
        if hasattr(returned, "objective") and hasattr(returned, "constraints"):
            return _evaluation(returned, objective)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Refused(f"it returned a value that is no number: {str(error).strip().splitlines()[0]}") from None
    raise Refused(f"it returned {type(returned).__name__}, and neither a dict nor a cpd.Evaluation")


def _evaluation(found: Any, objective: str) -> dict[str, Any]:
    strict = {**found.constraints, **(found.strict or {})}
    values = {**(found.metrics or {}), **strict, objective: found.objective}
    own = {SURROGATE: {name: _value(value) for name, value in found.constraints.items()}} if found.strict else {}
    return {name: _value(value) for name, value in values.items()} | own


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _value(inner) for name, inner in value.items()}
    if hasattr(value, "numerator") and hasattr(value, "denominator") and hasattr(value, "terms"):  # cpd.share
        return {HITS: plain(value.numerator), OF: plain(value.denominator)}
    if hasattr(value, "leaves") and hasattr(value, "value"):  # calculated from shares
        return plain(value.value)
    return plain(value)
