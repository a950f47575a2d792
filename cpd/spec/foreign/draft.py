"""A task with a command, as it is put together from another tool's file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpd.spec.foreign.grids import Grid, Span, Values, quoted
from cpd.spec.yaml import FLOAT, NOT_FINITE, WORDS

OWN = ("method", "seed", "folder", "python")
"""Placeholders that mean something in every command."""
SEEDS = re.compile(r"(?:^|[._-])(?:seed|random_seed|rng_seed|manual_seed|random_state|seed_everything)$", re.IGNORECASE)
WEIGHTS = re.compile(
    r"lambda|lmbda|coef|penalt|multiplier|trade_?off|dual|loss_weight|regulari[sz]|strength"
    r"|(?:^|[^a-z])(?:lam|reg|beta|mu|rho|eta_dual)(?:[^a-z]|$)",
    re.IGNORECASE,
)
NOT_WEIGHTS = re.compile(r"decay|adam|momentum|betas|optim", re.IGNORECASE)
MOST_SEEDS = 3
LARGEST_SEED = 2**63 - 1
LONGEST = 60
"""Characters of a name."""


@dataclass
class Swept:
    """A hyperparameter.

    Attributes:
        name: Its placeholder.
        key: As the other tool has it.
        grid: Its values.
        notes: What to say of it.
    """

    name: str
    key: str
    grid: Grid
    notes: list[str] = field(default_factory=list)

    @property
    def is_weight(self) -> bool:
        """Whether its name says that it weighs a term of the loss."""
        return bool(WEIGHTS.search(self.key)) and not NOT_WEIGHTS.search(self.key)


@dataclass
class Draft:
    """What a task is written from.

    Attributes:
        title: The first line.
        tool: Whose file it was.
        words: Of the command, with placeholders.
        objective: Its name; None where nothing says it.
        swept: The hyperparameters.
        seeds: Of the runs.
        methods: Names, where a parameter of the file says which there are.
        trials: How many settings the other tool tries; None where it does not say.
        grid: Whether it tries all of them.
        depends: What a run depends on, besides its command.
        about: What to say of the command.
        of_objective: What to say of the objective.
        of_seeds: What to say of the seeds.
        lost: What could not be carried over: what it was, and why.
        taken: The placeholders of parameters that were taken, by their names in the file.
    """

    title: str
    tool: str
    words: list[str] = field(default_factory=list)
    objective: str | None = None
    swept: list[Swept] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    trials: int | None = None
    grid: bool = False
    depends: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    of_objective: list[str] = field(default_factory=list)
    of_seeds: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)

    def take(self, key: str, grid: Grid, notes: Iterable[str] = ()) -> str:
        """Take a parameter, and return the name of its placeholder: the seed's, the method's or its own."""
        if key not in self.taken:
            self.taken[key] = self._taken(key, grid, notes)
        return self.taken[key]

    def lose(self, what: str, why: str) -> None:
        """Remember, once, what could not be carried over."""
        if (what, why) not in self.lost:
            self.lost.append((what, why))

    def _taken(self, key: str, grid: Grid, notes: Iterable[str]) -> str:
        if SEEDS.search(key) and not self.seeds and (seeds := seeds_of(grid)):
            self.seeds = seeds
            if isinstance(grid, Span) and not grid.every:
                self.of_seeds.append(f"{key} is drawn from {grid.low:g} to {grid.high:g} there.")
            return "seed"
        if key == "method" and isinstance(grid, Values) and all(map(_is_name, grid.values)):
            self.methods = [str(value) for value in grid.values]
            return "method"
        name = self._free(re.sub(r"\W+", "_", key).strip("_")[:LONGEST] or "parameter")
        self.swept.append(Swept(name, key, grid, list(notes)))
        return name

    def _free(self, name: str) -> str:
        taken = {*OWN, *(one.name for one in self.swept)}
        while name in taken:
            name += "_"
        return name

    @property
    def ordered(self) -> list[Swept]:
        """The hyperparameters, the one first along which settings are judged: a weight, else a range of numbers."""

        def rank(one: Swept) -> int:
            numbers = isinstance(one.grid, Span) or all(is_number(value) for value in one.grid.values)
            return (0 if numbers else 3) if one.is_weight else 1 if numbers else 2

        return sorted(self.swept, key=rank)


def seeds_of(grid: Grid) -> list[int]:
    """The seeds that a grid stands for; none where they are no whole numbers from 0 on."""
    if isinstance(grid, Span):
        many = grid.many if grid.whole else None
        first = int(grid.low)
        if many is None or not 0 <= first <= LARGEST_SEED - many:
            return []
        return [first + k for k in range(many if grid.every else min(MOST_SEEDS, many))]
    values = grid.values
    fine = all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= LARGEST_SEED for v in values)
    return list(dict.fromkeys(values)) if fine else []


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None and len(value) <= LONGEST


def is_number(value: Any) -> bool:
    """Whether a value is a number; a truth is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def escaped(word: str) -> str:
    """A word that is meant as it stands."""
    return word.replace("{", "{{").replace("}", "}}")


def _means(line: str) -> bool:
    """Whether a plain line would be no text in YAML: a number, a truth."""
    return line in WORDS or FLOAT.fullmatch(line) is not None or NOT_FINITE.fullmatch(line) is not None


def command_text(words: Sequence[str]) -> str:
    """A command as a task has it: in one line where a shell would need no quotes, else a list of words."""
    if all(re.fullmatch(r"[^\s'\"\\#]+", word) for word in words):
        line = " ".join(words)
        if re.match(r"[A-Za-z_./]", line) and ": " not in line and not line.endswith(":") and not _means(line):
            return line
    return f"[{', '.join(quoted(word) for word in words)}]"
