"""What the end of a search means, and which command to try."""

from __future__ import annotations

import re
import shlex

from cpd.methods.registry import CONSTRAINED
from cpd.search.ending import Outcome
from cpd.search.several_ending import Ending
from cpd.spec.models import Search, Task
from cpd.spec.searched import DEFAULT
from cpd.verdict.document import SearchBlock
from cpd.verdict.searching import reported, searched_name

FEW = 4
"""Levels that a command names."""


def advice(task: Task, search: Search, block: SearchBlock, end: Outcome | Ending | None) -> str | None:
    """Say what the end of a search means and which command to try; None where there is nothing to add.

    Args:
        task: Aimed at the search's target.
        search: What was searched.
        block: What it came to.
        end: What the search for the coefficient alone came to; None where it ended before.
    """
    if end is None:
        return "The search ended before its outcome."
    if block["outcome"] == "solved":
        return None
    method = _constrained(task, search)
    levels = [_level(search)] if not search.is_several else [_words(n, a.target) for n, a in search.targets.items()]
    tried = f"Try: cpd sweep {_typed(task)} --method {method} --levels {' --levels '.join(levels)}" if method else ""
    tried = "" if len(levels) > FEW else tried
    if block["outcome"] == "infeasible":
        return f"{_infeasible(task, block)} {tried}".strip()
    text = f"{end.sentence} {end.hint[:1].upper()}{end.hint[1:]}."
    one_side = not search.is_several and search.low > 0 and all(c.sense == "==" for c in task.constraints.values())
    if end.kind == "not_bracketed" and one_side:
        text += f" An equality may need a coefficient below 0: --low {-search.high:g} --high {-search.low:g}."
    text = _in_its_words(text, searched_name(block))
    return f"{text} {tried}".strip() if end.kind == "unattainable" else text


def _in_its_words(text: str, name: str) -> str:
    """What is said of coefficients, said of the hyperparameter that was searched."""
    if name == "coefficient":
        return text
    return re.sub(r"\b[Cc]oefficient(s?)\b", lambda found: f"values of {name}" if found[1] else name, text)


def _infeasible(task: Task, block: SearchBlock) -> str:
    seeds = len(task.seeds)
    best = reported(block, seeds)
    assert best is not None, "what is infeasible has met the target"
    name = searched_name(block)
    at = f"{name[:1].upper()}{name[1:]} {best['coefficient']!r} brings {block['constraint']} to {block['target']:g}"
    if "coefficients" in best:
        of = len(best["coefficients"])
        theirs = "constraint to its target" if of == 1 else "constraints to their targets"
        at = f"Iteration {best['iteration']} brings {of} {theirs}"
    if not (broken := best.get("violated")):
        return f"{at}, but {seeds - best.get('seeds', seeds)} of {seeds} seeds did not complete there."
    several = "do" if len(broken) > 1 else "does"
    bounds = " and ".join(f"{n} {task.constraints[n].sense} {task.constraints[n].level:g}" for n in broken)
    alike = ": one coefficient weighs all constraints alike" if "coefficients" not in best else ""
    return f"{at}, but {bounds} {several} not hold there{alike}. A constrained method finds a multiplier for each."


def _constrained(task: Task, search: Search) -> str | None:
    """A method to try instead; of a program, another one that it has, if any."""
    if task.program is not None:
        own = (search.hyperparameter or str(DEFAULT)).partition(".")[0]
        return next((shlex.quote(name) for name in task.methods if name != own), None)
    return next((m for m in CONSTRAINED if m in task.methods), "lagrangian")


def _level(search: Search) -> str:
    return _words(search.constraint or "", search.target)


def _words(name: str, target: float | None) -> str:
    return shlex.quote(f"{name}={target!r}")


def _typed(task: Task) -> str:
    """The word to type for a task: a bundled one's name, else its path."""
    bundled = task.place in (f"tasks/{task.name}.yaml", f"sweeps/{task.name}.yaml")
    return task.name if bundled else shlex.quote(task.place)
