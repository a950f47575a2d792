"""What somebody meant who typed a word that cpd has not: what other tools call it, or a slip of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cpd.errors import closest, nearest

COMMANDS = {
    "runs": ("list", "ls", "history", "log", "logs", "sweeps", "status"),
    "sweep": ("train", "fit", "run", "start", "grid", "launch", "resume", "continue"),
    "bisect": ("search", "tune", "optimize", "optimise"),
    "show": ("view", "display", "print", "table", "results", "result", "summary", "cat", "open"),
    "plot": ("draw", "figure", "figures", "picture", "graph", "chart"),
    "report": ("html", "page"),
    "export": ("csv", "save", "dump", "download"),
    "rm": ("delete", "remove", "del", "drop"),
    "gc": ("clean", "prune", "clear", "cleanup"),
    "check": ("validate", "verify", "lint", "test", "dry-run"),
    "tasks": ("examples", "problems"),
    "judge": ("eval", "evaluate", "score"),
    "model": ("models", "weights", "load"),
    "--help": ("help",),
    "--version": ("version",),
}
"""Commands, and words that other tools have for them."""

FORMATS = ("json", "csv", "markdown", "latex", "table")

OPTIONS = {
    "--to": ("out", "output", "o", "file", "save"),
    "--jobs": ("workers", "num-workers", "n-jobs", "processes", "n", "parallel"),
    "--device cuda": ("gpu", "cuda"),
    "--device": ("accelerator",),
    "--seeds": ("seed", "random-state", "random-seed"),
    "--max-trainings": ("max-iterations", "iterations", "n-trials", "trials", "budget"),
    "--no-store": ("dry", "no-save"),
    "--fresh": ("force", "overwrite", "no-cache", "rerun"),
    "--quiet": ("silent",),
    "--yes": ("force",),
    "--store": ("db", "database", "storage"),
    "--keep-models": ("save-models", "models"),
    "--levels": ("level",),
    "--version": ("V",),
}
"""Options, and words that other tools have for them; the first that a command has is meant."""

RECIPE = (
    "steps",
    "epochs",
    "batch-size",
    "batch",
    "lr",
    "learning-rate",
    "optimizer",
    "momentum",
    "weight-decay",
    "dtype",
)
"""Words for parts of the recipe, which ``--set`` sets."""

IN_RECIPE = {
    "batch": "batch_size",
    "lr": "optimizer.lr",
    "learning-rate": "optimizer.lr",
    "optimizer": "optimizer.name",
    "momentum": "optimizer.momentum",
    "weight-decay": "optimizer.weight_decay",
}
"""Their keys in ``train``, where they are called otherwise."""


def command_meant(word: str, known: Sequence[str]) -> str:
    """A hint at the command that was meant, with all that there are."""
    meant = [command for command, words in COMMANDS.items() if word in words]
    there = [command for command in meant if command in known or command.startswith("--")]
    if there:
        listed = " or ".join(f"'cpd {command}'" for command in there)
        return f"did you mean {listed}? Valid: {', '.join(known)}"
    return closest(word, known)


def option_meant(option: str, context: Any) -> str | None:
    """What was meant by an option that a command has not; None where that is not known.

    Args:
        option: As it was typed, ``--json``.
        context: Typer's, of the command.
    """
    word, parameters = option.lstrip("-"), context.command.params
    known = {name for one in parameters for name in one.opts if name.startswith("-")}
    if word in FORMATS and "--format" in known:
        return f"write --format {word}"
    if word in ("no-color", "no-colour"):
        return "write NO_COLOR=1 before the command"
    if word == "task" and any(one.metavar == "TASK" for one in parameters):
        return f"the task comes first: {context.command_path} TASK"
    for meant, words in OPTIONS.items():
        if word in words and meant.partition(" ")[0] in known:
            return f"did you mean '{meant}'?"
    if "--set" in known and (key := _settable(word)):
        return f"write --set {key}=VALUE"
    near = nearest(word, [name.lstrip("-") for name in known if name.startswith("--")])
    return f"did you mean '--{near}'?" if near else None


def _settable(word: str) -> str | None:
    """The key of the spec that an option's name is a word for."""
    if word in RECIPE:
        return f"train.{IN_RECIPE.get(word, word.replace('-', '_'))}"
    from cpd.spec.words import hyperparameters

    name = word.replace("-", "_")
    methods = [method for method, names in hyperparameters().items() if name in names]
    return f"{methods[0]}.{name}" if methods else None
