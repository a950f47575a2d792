"""The first word of ``compare``: a task, or a method."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.errors import nearest
from cpd.spec.bundled import bundled, is_spec
from cpd.spec.words import methods


def task_and_methods(named: Sequence[str], task: str | None = None) -> tuple[str, list[str]]:
    """The task and the methods that words mean: the task comes first, or is given; methods alone are those of ``rate``.

    A first word that is both, as ``geco`` is, is the task. One that is neither is a slip: of a method where that is
    near, or where what follows is no method either.
    """
    if task is not None:
        return task, list(named)
    if not named:
        return "rate", []
    first, *others = named
    known = methods()
    if first in known and all(first != one.name for one in bundled()):
        return "rate", list(named)
    slip = nearest(first, known) is not None or any(other not in known for other in others)
    return ("rate", list(named)) if slip and not is_spec(first) else (first, others)
