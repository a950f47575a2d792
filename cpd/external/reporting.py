"""``cpd.log`` and ``cpd.result``: how a Python program tells cpd of its values. Nothing heavy is imported.

Both write into the run's folder, which cpd names in the environment; elsewhere they do nothing. Of the processes of a
distributed training only the first one writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, SupportsInt

from cpd.external.names import CURVES, RESULT

FOLDER, RESUME, CHECK = "CPD_FOLDER", "CPD_RESUME", "CPD_CHECK"
"""Variables of a program's environment: its folder; ``1`` where it was killed and goes on; ``1`` in ``cpd check``."""

after: list[Callable[[], None]] = []
"""Called after a value was recorded, in this process."""


def log(step: SupportsInt, /, **values: Any) -> None:
    """Record values at a step: a line of ``curves.jsonl`` in the run's folder.

    Args:
        step: Steps done.
        values: By the names of the task: the objective, constraints, metrics. Numbers, or what gives one (a tensor).

    Example:
        >>> cpd.log(100, loss=0.4, density=0.52, steps=1000)  # outside of a sweep it does nothing
    """
    if (folder := _folder()) is None:
        return
    line = json.dumps({"step": int(step), **{name: plain(value, said) for name, value in values.items()}}) + "\n"
    descriptor = os.open(os.path.join(folder, CURVES), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
    for told in after:
        told()


def result(values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
    """Say what the run came to: ``result.json`` in the run's folder, whole or not at all; the last one counts.

    Args:
        values: By the names of the task; or give them by keyword.
        named: The objective, each constraint, metrics; shares as ``{"hits": 270, "of": 300}``; ``held_out`` a mapping
            of the same; ``model`` the path of a file in the folder.

    Example:
        >>> cpd.result(loss=0.31, recall={"hits": 270, "of": 300}, model="best.ckpt")  # outside of a sweep likewise
    """
    if (folder := _folder()) is None:
        return
    path = os.path.join(folder, RESULT)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({str(name): plain(value, said) for name, value in {**(values or {}), **named}.items()}, file)
    os.replace(f"{path}.new", path)


def _folder() -> str | None:
    return os.environ.get(FOLDER) if os.environ.get("RANK", "0") == "0" else None


def said(value: Any) -> float | str:
    """A number, or else text: what a program says beside its numbers must not end it."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)


def plain(value: Any, other: Callable[[Any], Any] = float) -> Any:
    """A value as JSON has it: numpy's and torch's numbers and arrays as Python's, paths as text.

    Args:
        value: Any.
        other: What becomes of all else.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(inner, other) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, other) for inner in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist(), other)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value if value is None or isinstance(value, bool | int | float | str) else other(value)
