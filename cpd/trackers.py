"""Trackers: what happens in a sweep, told to TensorBoard or to a class of the user's (``--log``)."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest

__all__ = ["TensorBoard", "Tracker", "Trackers", "open_trackers"]

Plain = Mapping[str, Any]

FORM = "tensorboard:DIR or package.module:Class"


class Tracker:
    """Told what happens in a sweep; override what you need. All calls come from one process and one thread.

    A method that raises never stops a sweep: the tracker is told nothing more, and one line says so.
    """

    def sweep_start(self, sweep: Plain) -> None:
        """A sweep begins.

        Args:
            sweep: ``id`` (None without a store), ``command``, ``task``, ``objective``, ``constraints`` (level, sense
                and tolerance by name) and ``runs``, how many are to be trained (None for a search: it is seen as it
                goes).
        """

    def run_start(self, run: Plain) -> None:
        """A run is about to be handed to a worker.

        Args:
            run: ``id``, ``method``, ``setting``, ``levels`` and ``seed``.
        """

    def points(self, run: Plain, points: Plain) -> None:
        """A run has ended: its recorded points, all at once.

        Args:
            run: As for :meth:`run_start`.
            points: ``steps`` (``[points]``), ``objective`` (``[points]``), and ``constraints`` and ``multipliers`` by
                name (``[points]``, or ``[points][k]`` for a vector constraint); None where a number is missing.
        """

    def run_end(self, run: Plain) -> None:
        """A run has ended.

        Args:
            run: One entry of ``runs`` of what ``--format json`` prints: status, feasible, objective, constraints ...
        """

    def sweep_end(self, document: Plain) -> None:
        """The sweep has ended, or was stopped.

        Args:
            document: What ``--format json`` prints.
        """


class TensorBoard(Tracker):
    """Writes every run's points and hyperparameters as one TensorBoard run.

    Args:
        folder: Of the event files; each run gets a folder of its own in it.

    Raises:
        CpdError: tensorboard is not installed.
    """

    def __init__(self, folder: str) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise CpdError("needs tensorboard", place="--log", hint="pip install 'cpd[tensorboard]'") from None
        self._folder = Path(folder)
        self._task = "sweep"
        self._writers: dict[str, Any] = {}

    def sweep_start(self, sweep: Plain) -> None:
        """Name the sweep's folder."""
        self._task = folder_name(sweep["task"])

    def points(self, run: Plain, points: Plain) -> None:
        """Write each curve under ``objective``, ``constraints/NAME`` and ``multipliers/NAME``."""
        writer = self._open(run)
        for tag, values in curves(points):
            for step, value in zip(points["steps"], values, strict=True):
                if value is not None:
                    writer.add_scalar(tag, value, step)

    def run_end(self, run: Plain) -> None:
        """Write the hyperparameters and what came of them."""
        from torch.utils.tensorboard.summary import hparams

        writer = self._open(run)
        values = {"method": run["method"], "seed": run["seed"], **run["setting"]}
        values |= {f"level of {name}": level for name, level in run["levels"].items()}
        results = {"objective": run["objective"], "feasible": float(run["feasible"]), **run["metrics"]}
        shown = {f"final/{name}": value for name, value in results.items() if value is not None}
        for summary in hparams({name: _hyperparameter(value) for name, value in values.items()}, shown):
            writer.file_writer.add_summary(summary)
        for tag, value in shown.items():
            writer.add_scalar(tag, value, run["steps"])
        writer.close()
        del self._writers[run_name(run)]

    def sweep_end(self, document: Plain) -> None:
        """Close what is still open, of runs that did not end."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _open(self, run: Plain) -> Any:
        name = run_name(run)
        if name not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            self._writers[name] = SummaryWriter(str(self._folder / self._task / name))
        return self._writers[name]


def curves(points: Plain) -> Iterator[tuple[str, list[float | None]]]:
    """Each curve of a run's points with its name; a vector's components are ``constraints/NAME/0`` and so on."""
    yield "objective", points["objective"]
    for kind in ("constraints", "multipliers"):
        for name, values in points[kind].items():
            size = max((len(value) for value in values if isinstance(value, list)), default=0)
            if not size:
                yield f"{kind}/{name}", values
            for k in range(size):
                yield f"{kind}/{name}/{k}", [value[k] if isinstance(value, list) else None for value in values]


def run_name(run: Plain) -> str:
    """A run's name: method, setting, levels and seed, and its id if it has one, so that no two are the same."""
    setting = [f"{name}={_hyperparameter(value)}" for name, value in run["setting"].items()]
    levels = [f"{name}={value:g}" for name, value in run["levels"].items()]
    name = folder_name("-".join([run["method"], *setting, *levels, f"seed={run['seed']}"]))
    return name + (f"-{folder_name(run['id'].rpartition(':')[2])}" if run["id"] else "")


def folder_name(text: str) -> str:
    """Text as the name of a folder anywhere: other characters than letters, digits and ``=._-`` become ``_``."""
    return re.sub(r"[^A-Za-z0-9=._-]", "_", text).lstrip(".")[:180] or "_"


def _hyperparameter(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)


class Trackers(Tracker):
    """Several trackers as one; one that raises is told nothing more.

    Args:
        named: What the user wrote of each, and the tracker.
        say: Shows one line to the user.
    """

    def __init__(self, named: Sequence[tuple[str, Tracker]], say: Callable[[str], None]) -> None:
        self._named = list(named)
        self._say = say

    @property
    def active(self) -> bool:
        """Whether anyone listens."""
        return bool(self._named)

    def sweep_start(self, sweep: Plain) -> None:
        """Tell all."""
        self._tell("sweep_start", sweep)

    def run_start(self, run: Plain) -> None:
        """Tell all."""
        self._tell("run_start", run)

    def points(self, run: Plain, points: Plain) -> None:
        """Tell all."""
        self._tell("points", run, points)

    def run_end(self, run: Plain) -> None:
        """Tell all."""
        self._tell("run_end", run)

    def sweep_end(self, document: Plain) -> None:
        """Tell all."""
        self._tell("sweep_end", document)

    def _tell(self, what: str, *values: Plain) -> None:
        for name, tracker in list(self._named):
            try:
                with redirect_stdout(sys.stderr):  # stdout is for data
                    getattr(tracker, what)(*values)
            except (Exception, SystemExit) as error:
                self._named.remove((name, tracker))
                self._say(failure(name, what, error))


def failure(name: str, what: str, error: BaseException) -> str:
    """One line on a tracker that raised."""
    first = next(iter(str(error).splitlines()), "")
    said = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return f"--log {name}: {what} raised {said}; it is told nothing more, the sweep goes on"


def open_trackers(texts: Sequence[str], say: Callable[[str], None]) -> Trackers:
    """Make the trackers that the user asked for.

    Args:
        texts: Each ``tensorboard:DIR`` or ``package.module:Class``; modules in the current folder are found too.
        say: Shows one line to the user, e.g. that a tracker's constructor raised, so that it is left out.

    Raises:
        CpdError: Another form, no such module or class, not a :class:`Tracker`, or tensorboard is not installed.
    """
    named = []
    for text in texts:
        make = _maker(text)
        try:
            with redirect_stdout(sys.stderr):
                named.append((text, make()))
        except CpdError:
            raise
        except (Exception, SystemExit) as error:
            say(failure(text, "making it", error))
    return Trackers(named, say)


def _maker(text: str) -> Callable[[], Tracker]:
    head, colon, rest = text.partition(":")
    if head == "tensorboard" and rest:
        return lambda: TensorBoard(rest)
    named = all(part.isidentifier() for part in head.split(".")) and rest.isidentifier()
    if not colon or not named:
        raise CpdError(f"expected {FORM}, got '{text}'", place="--log")
    return _class(text, head, rest)


def _class(text: str, module_name: str, class_name: str) -> type[Tracker]:
    with _current_folder():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            message = f"'{module_name}' cannot be imported: {type(error).__name__}: {error}"
            raise CpdError(
                message, place=f"--log {text}", hint="install it, or put it in the current folder"
            ) from error
    found = getattr(module, class_name, None)
    if found is None:
        trackers = [name for name, value in vars(module).items() if _is_tracker(value) and value is not Tracker]
        hint = closest(class_name, trackers)
        raise CpdError(f"no class '{class_name}' in '{module_name}'", place=f"--log {text}", hint=hint)
    if not _is_tracker(found):
        hint = "derive it from cpd.trackers.Tracker"
        raise CpdError(f"'{class_name}' is not a tracker", place=f"--log {text}", hint=hint)
    tracker: type[Tracker] = found
    return tracker


def _is_tracker(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Tracker)


@contextmanager
def _current_folder() -> Iterator[None]:
    """Look for modules in the current folder too, after all other places: the ``cpd`` command does not."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
