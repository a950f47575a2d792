"""The words that a shell completes: tasks, methods, sweeps, kinds, columns, keys of ``--set``. No torch.

A word that cannot be looked up, for the store is damaged or a file is no YAML, is not completed: a shell has no place
for a message.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import typer

from cpd.errors import CpdError

Words = list[str | tuple[str, str]]
"""Words, or words with what they mean."""

SPECS = (".yaml", ".yml")


def tasks(incomplete: str) -> Words:
    """Bundled tasks and sweeps, and the YAML files and folders of the path so far."""
    from cpd.spec.bundled import bundled

    return [*((one.name, one.description) for one in bundled()), *_files(incomplete, SPECS)]


def methods(ctx: typer.Context) -> Words:
    """The methods of the task that was typed, else all that there are."""
    from cpd.spec.words import methods

    return list(_block(ctx, "methods") or methods())


def tasks_and_methods(ctx: typer.Context, incomplete: str) -> Words:
    """What ``compare`` takes: a task first, then methods; or methods alone."""
    from cpd.spec.bundled import is_spec

    typed = _arguments(ctx)
    chosen = typed[1:] if typed and is_spec(typed[0]) else typed
    return [*(() if typed else tasks(incomplete)), *(word for word in methods(ctx) if word not in chosen)]


def sweeps(ctx: typer.Context) -> Words:
    """The stored sweeps: ``last``, the tasks that have one, and their ids."""
    from cpd.store.store import open_store

    stored: list[Any] = []
    with suppress(CpdError), open_store(ctx.params.get("store"), "read") as opened:
        stored = opened.sweeps()
    told = [(one.id, f"{one.command} {one.task}, {one.runs} runs") for one in stored]
    newest = {one.task: f"the newest of {one.task}" for one in stored if " " not in one.task}
    return [*([("last", "the newest sweep")] if stored else []), *newest.items(), *told]


def judgements(ctx: typer.Context) -> Words:
    """The names by which a sweep's models were judged."""
    from cpd.store import judgements
    from cpd.store.store import open_store

    with suppress(CpdError), open_store(ctx.params.get("store"), "read") as opened:
        name = opened.resolve(next(iter(_arguments(ctx)), None) or ctx.params.get("sweep") or "last")
        return [one.name for one in judgements.listed(opened, name)]
    return []


def kinds() -> Words:
    """The kinds of pictures."""
    from cpd.views.plots.draw import KINDS

    return list(KINDS)


def columns(incomplete: str) -> Words:
    """Columns that any table may have, after those that are there with a comma."""
    from cpd.views.tables.shape import KKT, NOTE

    return _after_comma(incomplete, (KKT, NOTE))


def settable(ctx: typer.Context) -> Words:
    """What ``--set`` sets: hyperparameters of the task's methods, and parts of the recipe."""
    from cpd.spec.words import hyperparameters, recipe

    wanted = {str(word) for word in methods(ctx)}
    own = [f"{method}.{name}=" for method, names in hyperparameters().items() if method in wanted for name in names]
    arguments = [f"arguments.{name}=" for name in _block(ctx, "arguments")]
    return [*own, *(f"train.{name}=" for name in recipe()), *arguments, "seeds=", "judge=", "held_out="]


def levels(ctx: typer.Context) -> Words:
    """The task's constraints."""
    return [f"{name}=" for name in _block(ctx, "constraints")]


def devices() -> Words:
    """Where one can train."""
    return ["cpu", "cuda", "mps"]


COMPLETED: dict[str, Callable[..., Words]] = {
    "methods": methods,
    "set": settable,
    "levels": levels,
    "columns": columns,
    "device": devices,
    "fuse": lambda: ["auto", "off"],
    "trackers": lambda: [("tensorboard:", "a folder of TensorBoard's")],
}
"""What completes the shared options, by their fields."""


def _files(incomplete: str, suffixes: Iterable[str]) -> Iterator[str]:
    """Files of these kinds that a path so far may become, and folders on the way."""
    folder, start = os.path.split(incomplete)
    with suppress(OSError):
        for entry in sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda one: one.name):
            if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
                continue
            if entry.is_dir():
                yield os.path.join(folder, entry.name, "")
            elif entry.name.lower().endswith(tuple(suffixes)):
                yield os.path.join(folder, entry.name)


def _after_comma(incomplete: str, words: Iterable[str]) -> Words:
    """Words for the last part of a list with commas, each behind the parts before it."""
    before, comma, _ = incomplete.rpartition(",")
    there = {part.strip() for part in before.split(",")}
    return [f"{before}{comma}{word}" for word in words if word not in there]


def _block(ctx: typer.Context, key: str) -> dict[str, Any]:
    """What the task that was typed, or the one below it, has under a key; empty where that cannot be read."""
    from cpd.spec.layers import Layers, read_files

    name = _task(ctx)
    if name is None or name == "-":
        return {}
    with suppress(CpdError, OSError):
        found = Layers(tuple(read_files(name))).merged().get(key)
        return found if isinstance(found, dict) else {}
    return {}


def _task(ctx: typer.Context) -> str | None:
    """The task on the line so far; behind the first word a method's name is the method, as ``geco`` is both."""
    from cpd.spec.bundled import is_spec
    from cpd.spec.words import methods

    given, (first, *others) = ctx.params.get("task"), _arguments(ctx) or [""]
    if given and "named" in ctx.params:
        return str(given)
    return next((word for word in (first, *(set(others) - set(methods()))) if word and is_spec(word)), given)


def _arguments(ctx: typer.Context) -> list[str]:
    """The words so far that are no options; typer leaves them aside where the last word is an option without value."""
    named = ctx.params.get("named")
    return [*(named or ()), *(ctx.args if not named else ())]
