"""One finished run as Python has it: what it was, what it came to, and its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpd.outcome import Recorded
from cpd.verdict.document import ConstraintRow, HeldOutRow, RunRow
from cpd.views.printable import one_line
from cpd.views.tables.lines import error_line, setting_text
from cpd.views.tables.numbers import measured

if TYPE_CHECKING:
    from torch.nn import Module


MOST_NUMBERS = 6
"""Numbers of a run that its line shows."""


@dataclass(frozen=True, repr=False)
class FinishedRun:
    """One training and the verdict on it, in the words of ``--format json``.

    Attributes:
        id: Of the run, None where nothing is stored.
        setting: Hyperparameters, and by dotted keys the values of grids over the recipe and the arguments.
        levels: Of every constraint.
        status: ``completed``, ``diverged`` or ``failed``.
        feasible: Whether its constraints hold on the data that decide.
        objective: On the training data, as ``constraints`` and ``metrics`` are.
        constraints: By name: ``value`` (the strict one), ``surrogate``, ``violation``, ``multiplier`` ...
        held_out: The same on held-out examples; None where there are none.
        error: Why it failed.
        model: The file of its weights; None where they are not kept.
        curves: Its recorded points.

    Example:
        >>> best = cpd.sweep(**line).best("lagrangian")
        >>> best
        <lagrangian, dual_lr 0.1, seed 0: feasible; ...>
        >>> best.load()
        Linear(in_features=2, out_features=1, bias=True)
    """

    id: str | None
    method: str
    setting: Mapping[str, Any]
    levels: Mapping[str, float]
    seed: int
    status: str
    feasible: bool
    objective: float | None
    constraints: Mapping[str, ConstraintRow]
    metrics: Mapping[str, float | None]
    held_out: HeldOutRow | None
    steps: int
    seconds: float | None
    diagnosis: str | None
    error: str | None
    model: Path | None
    curves: Recorded | None
    _load: Callable[[], Module] = field(compare=False)

    def load(self) -> Module:
        """The problem's module with this run's weights, in ``eval()`` mode.

        Raises:
            CpdError: Its weights are not kept, or the file is not as it was written.
        """
        return self._load()

    def __repr__(self) -> str:
        """A line: ``lagrangian, dual_lr 0.1, seed 1: feasible; f 0.351, x 0.998``."""
        shown = _numbers(self.objective, {name: row["value"] for name, row in self.constraints.items()})
        if self.held_out is not None:
            values = {name: row["value"] for name, row in self.held_out["constraints"].items()}
            shown += f"; held out: {_numbers(self.held_out['objective'], values)}"
        verdict = "feasible" if self.feasible else "not feasible"
        verdict = verdict if self.status == "completed" else f"{self.status}: {error_line(self.error or '')[:200]}"
        who = ", ".join([one_line(self.method), setting_text(self.setting), f"seed {self.seed}"])
        return f"<{who}: {verdict}; {shown}>"


def finished_run(row: RunRow, model: str | None, curves: Recorded | None, load: Callable[[], Module]) -> FinishedRun:
    """A run of a document.

    Args:
        row: The run there.
        model: The file of its weights.
        curves: Its recorded points.
        load: Makes its module.
    """
    return FinishedRun(
        id=row["id"],
        method=row["method"],
        setting=row["setting"],
        levels=row["levels"],
        seed=row["seed"],
        status=row["status"],
        feasible=row["feasible"],
        objective=row["objective"],
        constraints=row["constraints"],
        metrics=row["metrics"],
        held_out=row.get("held_out"),
        steps=row["steps"],
        seconds=row["seconds"],
        diagnosis=row["diagnosis"],
        error=row["error"],
        model=None if model is None else Path(model),
        curves=curves,
        _load=load,
    )


def _numbers(objective: float | None, values: Mapping[str, object]) -> str:
    named = {"objective": objective, **values}
    return ", ".join(f"{one_line(name)} {_text(value)}" for name, value in list(named.items())[:MOST_NUMBERS])


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value[:4]))}{', ...' if len(value) > 4 else ''}]"
    return measured(value if isinstance(value, float) else None)
