"""A draft as the text of a task, with what only the user can say left to fill in."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from cpd.methods.registry import REGISTRY
from cpd.spec.foreign.draft import Draft, Swept, command_text
from cpd.spec.foreign.grids import Span, count, points_of, text, written
from cpd.spec.overrides import Overrides
from cpd.spec.yaml import UNPRINTABLE

WIDTH = 110
OBJECTIVE = "loss"
PENALTY = next(name for name, method in REGISTRY.items() if method.multipliers is None)
"""What runs are called that a weight is swept of."""
TUNED = "tuned"
"""What other runs are called: the program knows what they are."""
EXAMPLE = 'size_mb: "<= 20"'


def task_text(draft: Draft, constraints: Sequence[tuple[str, str]] = ()) -> str:
    """The YAML of a task.

    Args:
        draft: What the other tool's file says.
        constraints: Name and requirement of those that the user has named already: ``("size_mb", "<= 20")``.
    """
    opening = (_head(draft, constraints), _command(draft), _objective(draft), _constraints(constraints))
    parts = (*opening, _seeds(draft), _methods(draft, constraints), _lost(draft))
    return "".join(f"{line}\n" for part in parts for line in part)


def _comment(said: str, indent: str = "") -> Iterator[str]:
    lead = f"{indent}# "
    yield from textwrap.wrap(
        _one_line(said), WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False
    )


def _one_line(said: str) -> str:
    """A text that stays in its comment, whatever the other file has put into it."""
    return UNPRINTABLE.sub("?", " ".join(said.split()))


def _head(draft: Draft, constraints: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from _comment(draft.title)
    fill = "" if constraints else " Fill in what it could not say: the constraints."
    yield from _comment(f"Made by cpd import, from {draft.tool}.{fill}")


def _command(draft: Draft) -> Iterator[str]:
    yield from (line for said in draft.about for line in _comment(said))
    yield f"command: {command_text(draft.words)}"
    if draft.depends:
        yield f"depends: [{', '.join(map(text, draft.depends))}]"


def _objective(draft: Draft) -> Iterator[str]:
    named = draft.objective or OBJECTIVE
    yield from (line for said in draft.of_objective for line in _comment(said))
    yield from _comment(
        "The program says what it came to: import cpd; cpd.result(...), a result.json in its folder, or a last line "
        f'that is a JSON object: {{"{named}": 0.31, "CONSTRAINT": 0.48}}.'
    )
    yield f"objective: {text(named)}"


def _constraints(constraints: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "constraints:"
    for name, requirement in constraints:
        yield f"  {text(name)}: {text(requirement)}"
    if not constraints:
        yield from _comment(
            "FILL IN what must hold, which the other file does not say: the name of a value that the program writes, "
            "and its level, one a line. Until then no run starts.",
            "  ",
        )
        yield f"  # {EXAMPLE}"


def _seeds(draft: Draft) -> Iterator[str]:
    yield from (line for said in draft.of_seeds for line in _comment(said))
    if draft.seeds:
        yield f"seeds: [{', '.join(map(str, draft.seeds))}]"
    else:
        yield from _comment(
            "The command takes no seed. Where the program has one, add {seed} to the command and seeds: [0, 1] here: "
            "a setting is feasible where it is so for every seed."
        )


def _methods(draft: Draft, constraints: Sequence[tuple[str, str]]) -> Iterator[str]:
    ordered = draft.ordered
    points = points_of([one.grid for one in ordered], draft.trials)
    names = draft.methods or [PENALTY if ordered and ordered[0].is_weight else TUNED]
    total = math.prod(count(one.grid, own) for one, own in zip(ordered, points, strict=True)) * len(names)
    yield from (line for said in _of_grids(draft, ordered, total) for line in _comment(said))
    yield "methods:"
    for name in names:
        yield f"  {text(name)}:" if ordered else f"  {text(name)}: {{}}"
        for one, own in zip(ordered, points, strict=True):
            yield from (line for said in one.notes for line in _comment(said, "    "))
            yield f"    {text(one.name)}: {written(one.grid, own)}"
    if ordered:
        yield from _search(names[0], ordered[0], constraints)


def _of_grids(draft: Draft, ordered: Sequence[Swept], total: int) -> Iterator[str]:
    if not ordered:
        yield "Nothing is swept there. Name a hyperparameter and its values here, and add it to the command: {coef}."
        return
    first = ordered[0]
    why = "its name is that of a weight" if first.is_weight else "no name is that of a penalty's weight"
    yield (
        f"{first.key} comes first ({why}): settings are ordered and decades counted along it. Where another one "
        "decides whether the constraints hold, put that first."
    )
    if not draft.grid and any(isinstance(one.grid, Span) for one in ordered):
        many = f"Up to {draft.trials} settings" if draft.trials else "Settings"
        yield f"{many} are drawn there, one after the other; here is a grid of {total:,}, all of which are trained."
    if total * max(1, len(draft.seeds)) > Overrides().max_runs:
        yield "That is more than cpd trains unasked: fix what matters little in the command, or take fewer values."


def _search(method: str, one: Swept, constraints: Sequence[tuple[str, str]]) -> Iterator[str]:
    if isinstance(one.grid, Span):
        low, high = one.grid.low, one.grid.high
    else:
        numbers = [v for v in one.grid.values if isinstance(v, int | float) and not isinstance(v, bool)]
        low, high = (min(numbers), max(numbers)) if numbers else (0, 0)
    if 0 < low < high:
        yield from _comment("With a search, cpd bisect finds the value at which a constraint is met:")
        ends = f"low: {text(low)}, high: {text(high)}"
        name, requirement = constraints[0] if constraints else ("NAME", "<= LEVEL")
        aim = f"constraint: {text(name)}, target: {requirement.split()[-1]}"
        yield f"# search: {{hyperparameter: {method}.{one.name}, {aim}, {ends}}}"


def _lost(draft: Draft) -> Iterator[str]:
    if draft.lost:
        yield "# Not carried over:"
    for what, why in draft.lost:
        lead = "#   "
        yield from textwrap.wrap(
            _one_line(f"{what}: {why}"),
            WIDTH,
            initial_indent=lead,
            subsequent_indent=lead + "  ",
            break_on_hyphens=False,
        )
