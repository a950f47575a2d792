"""From another tool's file to the text of a task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cpd.errors import CpdError
from cpd.spec.foreign.hydra import hydra_draft
from cpd.spec.foreign.reading import WANDB, read
from cpd.spec.foreign.wandb import wandb_draft
from cpd.spec.foreign.writing import task_text

_REQUIREMENT = re.compile(r"\s*([^\s<>=]+)\s*(<=|>=|==)\s*(\S+)\s*")


def imported(file: str, folder: Path, program: str | None = None, constraints: Sequence[str] = ()) -> str:
    """Return the task that another tool's file is written as.

    Args:
        file: A sweep of Weights & Biases, or a config of Hydra.
        folder: Of the task, where its command will run.
        program: Instead of the one that the file names.
        constraints: What must hold, as ``size_mb <= 20``.

    Raises:
        CpdError: The file cannot be read, or is of neither tool; a constraint does not fit.
    """
    named = [_requirement(one) for one in constraints]
    kind, raw, text = read(Path(file), file)
    if kind == WANDB:
        draft = wandb_draft(raw, Path(file).stem, folder, program, file)
    else:
        draft = hydra_draft(raw, text, Path(file), folder, program)
    return task_text(draft, named)


def _requirement(text: str) -> tuple[str, str]:
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        raise CpdError(f"expected NAME<=LEVEL, got '{text}'", place="--constraint", hint="write e.g. 'size_mb <= 20'")
    return match[1], f"{match[2]} {match[3]}"
