"""The best setting of each task over all stored sweeps, and how to take its model out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cpd.results.headlines import Best, Headline
from cpd.results.listing import Listed
from cpd.results.moments import age
from cpd.verdict.choice import best_of
from cpd.verdict.document import Plain
from cpd.verdict.gap import GAP
from cpd.views.printable import one_line
from cpd.views.tables.numbers import measured, number
from cpd.views.tables.overall import BestLine

MOST_BOUNDS = 4
"""Constraints that a line names."""


@dataclass(frozen=True)
class Overall:
    """The best setting for a question: a task's constraints at their levels, on the same data.

    Attributes:
        sweep: That has it.
        best: The setting.
        compared: How many sweeps ask the same.
    """

    sweep: Listed
    best: Best
    compared: int

    @property
    def headline(self) -> Headline:
        """Of its sweep."""
        assert self.sweep.headline is not None, "it has a best setting"
        return self.sweep.headline


@dataclass(frozen=True)
class Compared:
    """What a comparison of all sweeps came to.

    Attributes:
        bests: One for each question that some sweep has an answer to, the newest task first.
        unanswered: Tasks none of whose sweeps has a useful setting.
        outdated: Sweeps that were left out, since the problem's code or what it depends on is another one by now.
    """

    bests: list[Overall]
    unanswered: list[str]
    outdated: list[Listed]


def overall(sweeps: Sequence[Listed], *, outdated: bool = False) -> Compared:
    """Compare sweeps.

    Settings are compared where they answer the same question: the same task, objective, constraints, levels and judged
    data. Numbers of another code of the problem mean something else, and count only where they are asked for.

    Args:
        sweeps: The newest first.
        outdated: Whether to compare those of an earlier code of their problem too.
    """
    newest: dict[str, str] = {}
    for one in sweeps:
        if one.headline is not None:
            newest.setdefault(one.info.task, one.headline.code)
    read = [(one, one.headline) for one in sweeps if one.headline is not None]
    old = [one for one, headline in read if headline.code != newest[one.info.task]]
    by_question: dict[str, list[tuple[Listed, Best]]] = {}
    for one, headline in read:
        if outdated or headline.code == newest[one.info.task]:
            for best in headline.bests:
                if best.sound:
                    by_question.setdefault(_question(one, headline, best), []).append((one, best))
    bests = [_overall(own) for own in by_question.values()]
    order = list(newest)
    bests = sorted(bests, key=lambda one: order.index(one.sweep.info.task))
    answered = {one.sweep.info.task for one in bests}
    return Compared(bests, [task for task in newest if task not in answered], [] if outdated else old)


def _question(one: Listed, headline: Headline, best: Best) -> str:
    bounds = {name: [bound["sense"], bound["tolerance"]] for name, bound in headline.constraints.items()}
    asked = [one.info.task, headline.objective, bounds, best.levels, headline.judge]
    return json.dumps(asked, sort_keys=True)


def _overall(own: Sequence[tuple[Listed, Best]]) -> Overall:
    candidates = [best.candidate for _, best in own]
    chosen = best_of(candidates, GAP)
    place = next(k for k, candidate in enumerate(candidates) if candidate is chosen)
    return Overall(*own[place], len({one.info.id for one, _ in own}))


def model_commands(found: Sequence[Overall], kept: Sequence[str], store: str | None) -> list[str | None]:
    """For each setting the command that takes its model out; None where its weights are not kept.

    Args:
        found: The settings.
        kept: Runs whose weights are kept.
        store: As the user named it.
    """
    there, commands, files = set(kept), list[str | None](), list[str]()
    for one in found:
        name = _file_name(one.sweep.info.task)
        files.append(name)
        number = f"-{files.count(name)}" if files.count(name) > 1 else ""  # of another level: not in the same file
        words = ["cpd", "model", one.sweep.info.id, *_named(one), "--to", f"{name}{number}.pt"]
        words += ["--store", store] if store is not None else []
        commands.append(shlex.join(words) if there & set(one.best.runs) else None)
    return commands


def _named(found: Overall) -> Iterator[str]:
    """Words that name the setting, as far as it is not the one that would be taken anyway."""
    levels = [best.levels for best in found.headline.bests]
    for name, level in found.best.levels.items():
        if any(own[name] != level for own in levels):
            yield from ("--level", f"{name}={level!r}")
    if found.headline.outcome not in (None, "solved"):
        yield from ("--method", found.best.method)
        for name, value in found.best.setting.items():
            if isinstance(value, int | float):
                yield from ("--set", f"{name}={value!r}")


def rows_of(found: Sequence[Overall], kept: Sequence[str], store: str | None) -> list[dict[str, Plain]]:
    """One record for each, in full."""
    return [
        {
            "task": one.sweep.info.task,
            "objective": one.headline.objective,
            "constraints": {
                name: {**bound, "level": one.best.levels.get(name, bound["level"])}
                for name, bound in one.headline.constraints.items()
            },
            "judge": one.headline.judge,
            "best_objective": one.best.objective,
            "method": one.best.method,
            "setting": dict(one.best.setting),
            "seeds": list(one.best.seeds),
            "reliable": one.best.reliable,
            "sweep": one.sweep.info.id,
            "started": one.sweep.info.started,
            "sweeps_compared": one.compared,
            "runs": list(one.best.runs),
            "model_command": command,
        }
        for one, command in zip(found, model_commands(found, kept, store), strict=True)
    ]


def lines_of(found: Sequence[Overall], kept: Sequence[str], store: str | None) -> list[BestLine]:
    """One line for each, for reading."""
    return [
        BestLine(
            task=one_line(one.sweep.info.task),
            subject=_subject(one),
            objective=one_line(one.headline.objective),
            best=measured(one.best.objective),
            setting=one_line(f"{one.best.method}, {one.best.varied}".removesuffix(", -")),
            sweep=one.sweep.info.id,
            age=age(one.sweep.info.started),
            doubt="" if one.best.reliable else "by luck",
            command=command or "",
        )
        for one, command in zip(found, model_commands(found, kept, store), strict=True)
    ]


def _subject(one: Overall) -> str:
    bounds = [
        f"{name} {bound['sense']} {number(one.best.levels.get(name, bound['level']))}"
        for name, bound in one.headline.constraints.items()
    ]
    more = [f"{len(bounds) - MOST_BOUNDS + 1} more"] if len(bounds) > MOST_BOUNDS else []
    judged = ", held out" if one.headline.judge == "held_out" else ""
    return one_line(", ".join(bounds if not more else [*bounds[: MOST_BOUNDS - 1], *more]) + judged)


def _file_name(task: str) -> str:
    """A task's name as a file's: a name may hold slashes and worse."""
    return re.sub(r"[^\w.-]+", "-", task).strip("-.")[:100] or "best"
