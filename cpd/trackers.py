"""Trackers: what happens in a sweep, told to TensorBoard or to a class of the user's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, install

Plain = Mapping[str, Any]


NOTHING: Plain = {"steps": [], "objective": []}
"""Points where nothing was recorded."""


class Tracker:
    """Told what happens in a sweep; override what you need. All calls come from one process and one thread.

    A method that raises never stops a sweep: the tracker is told nothing more, and one line says so.

    Example:
        >>> class Ends(cpd.Tracker):
        ...     def sweep_start(self, sweep):
        ...         print(sweep["runs"], "to train")
        ...     def run_start(self, run):
        ...         self.started = run["setting"]
        ...     def points(self, run, points):
        ...         self.recorded = len(points["steps"])
        ...     def run_end(self, run):
        ...         print(run["method"], run["setting"], run["status"])
        ...     def sweep_end(self, document):
        ...         print(len(document["runs"]), "runs")
        >>> result = cpd.sweep(**line, callbacks=[Ends()], keep=False)
        3 to train
        penalized {'coefficient': 1.0} completed
        penalized {'coefficient': 4.0} completed
        lagrangian {'dual_lr': 0.1} completed
        3 runs
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
                ``measured`` has ``steps``, ``objective``, ``constraints``, ``surrogates`` and ``metrics`` of what was
                measured along the way, likewise; None where nothing was.
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
            raise CpdError("needs tensorboard", place="--log", hint=install("tensorboard")) from None
        self._folder = Path(folder)
        self._task = "sweep"
        self._writers: dict[str, Any] = {}

    def sweep_start(self, sweep: Plain) -> None:
        """Name the sweep's folder."""
        self._task = folder_name(sweep["task"])

    def points(self, run: Plain, points: Plain) -> None:
        """Write each curve under ``objective``, ``constraints/NAME`` and ``multipliers/NAME``, or ``measured/...``."""
        writer = self._open(run)
        measured = points.get("measured") or NOTHING
        held_out = measured.get("held_out") or NOTHING
        for prefix, part in (("", points), ("measured/", measured), ("measured/held_out/", held_out)):
            for tag, values in curves(part):
                for step, value in zip(part["steps"], values, strict=True):
                    if value is not None:
                        writer.add_scalar(prefix + tag, value, step)

    def run_end(self, run: Plain) -> None:
        """Write the hyperparameters and what came of them."""
        from torch.utils.tensorboard.summary import hparams

        writer = self._open(run)
        values = {"method": run["method"], "seed": run["seed"], **run["setting"]}
        values |= {f"level of {name}": level for name, level in run["levels"].items()}
        results = {"objective": run["objective"], "feasible": float(run["feasible"])}
        results |= {f"metric {name}" if name in results else name: value for name, value in run["metrics"].items()}
        if (held_out := run.get("held_out")) is not None:
            results |= {"held_out objective": held_out["objective"]}
            results |= {f"held_out {name}": value for name, value in held_out["metrics"].items()}
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
    for kind in ("constraints", "multipliers", "surrogates", "metrics"):
        for name, values in points.get(kind, {}).items():
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
