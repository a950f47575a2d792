"""The training recipe of R runs: its structure, and its numbers as tensors that a step reads."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.clipping import clipped
from cpd.engine.closures import nothing_kept
from cpd.engine.matrix_rules import MATRIX_RULES
from cpd.engine.optimizers import RULES, Kept, Moment, full_options, scalar_dtype
from cpd.engine.options import Options, told_apart
from cpd.engine.schedules import scheduled
from cpd.engine.stacked import Gradients
from cpd.errors import CpdError, SpecError
from cpd.spec.models import Optimizer, Train

SHOWN = 3
"""Names that an error gives."""
LEAST_ROWS = 1024
"""Rows of a table, at least, and from there powers of two: a program depends on them, not on the number of steps."""


class Place(NamedTuple):
    """The options of the parameters of one group.

    Attributes:
        words: As they are.
        leaves: Where its numbers stand among the recipe's, by option: ``lr`` at ``groups.0.lr``.
        some: Numbers that are not zero for some run.
        every: Numbers that are not zero for any run.
    """

    words: Mapping[str, Any]
    leaves: Mapping[str, str]
    some: frozenset[str]
    every: frozenset[str]


class Recipe:
    """The optimizer of R runs that differ in its numbers alone.

    Args:
        recipes: One for each run.
        parameters: The models' parameters ``[R, ...]``.
        steps: Of the training.
        steps_per_epoch: Of them in one pass over the data.

    Attributes:
        start: Its numbers by name, ``[R]`` or a scalar for all runs: ``lr``, ``groups.0.lr``, ``clip.norm``. Of an
            option that a schedule changes, the column of its table.
        tables: By option, its value at every step: ``[rows, columns]``, rows beyond the last step like that one.
        rule: Of the optimizer; None for one that evaluates several times a step.
        closure: The options of such a one, of the one run.
        window: How many minibatches make a step.
        averages: Whether the mean of some run's last parameters is judged.

    Raises:
        SpecError: The optimizer, a group or a schedule refuses its options; a pattern matches no parameter.
    """

    def __init__(
        self, recipes: Sequence[Train], parameters: Mapping[str, Tensor], steps: int, steps_per_epoch: int
    ) -> None:
        first = recipes[0]
        if any(_structure(one) != _structure(first) for one in recipes):
            raise _not_alike()
        self.name = first.optimizer.name
        self.rule = {**RULES, **MATRIX_RULES}.get(self.name)
        self.closure = _closure_options(recipes) if self.name == "LBFGS" else None
        if self.name == "Muon":
            _refuse_vectors(parameters)
        self.group_of = _groups_of(first, list(parameters))
        self.clip = first.clip
        self.window = first.accumulate
        self.averages = any(one.average is not None for one in recipes)
        self.start: Tensors = {}
        self.tables: Tensors = {}
        self.places: list[Place] = []
        self._device = next(iter(parameters.values())).device
        texts = [one.model_dump_json() for one in recipes]
        distinct = dict(zip(texts, recipes, strict=True))
        index = {text: k for k, text in enumerate(distinct)}
        self._which = torch.tensor([index[text] for text in texts])
        self._place(list(distinct.values()), steps, steps_per_epoch)
        self._place_others(list(distinct.values()), steps)

    @property
    def tensors(self) -> list[Tensor]:
        """All that a step reads of it besides its state."""
        return list(self.tables.values())

    @property
    def structure(self) -> str:
        """What decides which operations a step consists of."""
        places = [
            (sorted(p.words.items()), sorted(p.leaves.items()), sorted(p.some), sorted(p.every)) for p in self.places
        ]
        clip = None if self.clip is None else (self.clip.norm is None, self.clip.type)
        return str((self.name, places, self.group_of, list(self.tables), clip, self.window, self.averages))

    def initial(self, parameters: Mapping[str, Tensor]) -> dict[str, Kept]:
        """What the optimizer keeps before the first step, by parameter."""
        if self.closure is not None:
            return nothing_kept(parameters, self.closure)
        assert self.rule is not None
        options = self.options(self.start, torch.zeros((), dtype=torch.long, device=self._device))
        init = self.rule.init
        return {n: init(p.detach(), options[self.group_of[n]]) for n, p in parameters.items()}

    def numbers(self, leaves: Tensors, step: Tensor) -> Tensors:
        """The recipe's numbers at a step, by name.

        Args:
            leaves: As :attr:`start` has them, of some of the runs.
            step: Steps done.
        """
        rows = {n: t.index_select(0, step.clamp(max=len(t) - 1).view(1)).squeeze(0) for n, t in self.tables.items()}
        return {n: _columns(rows[o], t) if (o := _option(n)) in rows else t for n, t in leaves.items()}

    def options(self, leaves: Tensors, step: Tensor) -> list[Options]:
        """Each group's options at a step."""
        now = self.numbers(leaves, step)
        return [
            Options(p.words, {option: now[leaf] for option, leaf in p.leaves.items()}, p.some, p.every)
            for p in self.places
        ]

    def clipped(self, gradients: Gradients, leaves: Tensors) -> Gradients:
        """The gradients ``[R, ...]`` as the recipe cuts them, each run's by itself."""
        if self.clip is None:
            return gradients
        return clipped(gradients, leaves.get("clip.norm"), leaves.get("clip.value"), float(self.clip.type))

    def moved(self, at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
        """A parameter after the optimizer's step, and what the optimizer keeps of it."""
        at = at._replace(g=-at.g) if at.o.word("maximize") else at
        assert self.rule is not None, "one that evaluates once a step"
        moved: tuple[Tensor, Kept] = self.rule.update(at, kept)
        return moved

    def _place(self, distinct: Sequence[Train], steps: int, steps_per_epoch: int) -> None:
        """Find the words and numbers of each group of parameters."""
        own = [_by_group(one) for one in distinct]
        apart = [[told_apart(full_options(*each)) for each in groups] for groups in own]
        changing = _scheduled(distinct, own, steps, steps_per_epoch)
        options = list(dict.fromkeys(n for _, numbers in apart[0] for n in numbers))
        given = {n: [[numbers.get(n, 0.0) for _, numbers in groups] for groups in apart] for n in options}
        series = {n: _series(given[n], changing.get(n)) for n in options}
        self.tables = {n: _padded(s.table, self._device) for n, s in series.items() if s.table is not None}
        for k, (words, numbers) in enumerate(apart[0]):
            if any(groups[k][0] != words or groups[k][1].keys() != numbers.keys() for groups in apart):
                raise _not_alike()
            named = {n for one in distinct for n in one.groups[k - 1].options} if k else set(_bare(numbers))
            leaves = {n: f"groups.{k - 1}.{n}" if k and _bare([n])[0] in named else n for n in numbers}
            for option in (n for n in numbers if _bare([n])[0] in named):
                self.start[leaves[option]] = self._rows(series[option].at[:, k], each=option == "lr")
            some, every = (frozenset(n for n in numbers if sign[n][k]) for sign in _signs(series))
            self.places.append(Place(words, leaves, some, every))

    def _place_others(self, distinct: Sequence[Train], steps: int) -> None:
        """The numbers of what is no option of the optimizer."""
        if self.clip is not None:
            name = "norm" if self.clip.value is None else "value"
            values = torch.tensor([getattr(one.clip, name) for one in distinct], dtype=torch.float64)
            self.start[f"clip.{name}"] = self._rows(values)
        if self.averages:
            shares = (one.average for one in distinct)
            starts = [steps - (0 if share is None else max(1, round(share * steps))) for share in shares]
            self.start["average.start"] = self._rows(torch.tensor(starts))

    def _rows(self, values: Tensor, *, each: bool = False) -> Tensor:
        """Values of distinct recipes as those of the runs ``[R]``; or one for all, unless ``each`` is set."""
        dtype = scalar_dtype(self._device) if values.dtype.is_floating_point else values.dtype
        values = values[self._which].to(self._device, dtype)
        return values if each or bool((values != values[0]).any()) else values[0].clone()


def _structure(one: Train) -> tuple[Any, ...]:
    """What runs of one program share of a recipe, besides the words among its options."""
    clip = None if one.clip is None else (one.clip.norm is None, one.clip.type)
    return one.optimizer.name, [group.pattern for group in one.groups], clip, one.accumulate


def _closure_options(recipes: Sequence[Train]) -> dict[str, Any]:
    """The options of the one run, without those that are no option of the optimizer's own."""
    (one,) = recipes
    full = full_options(one.optimizer)
    return {name: value for name, value in full.items() if name not in ("decoupled_weight_decay", "weight_decay")}


def _refuse_vectors(parameters: Mapping[str, Tensor]) -> None:
    for name, p in parameters.items():
        if p.dim() != 3:
            message = f"Muon takes matrices alone, and {name} is {list(p.shape[1:])}"
            raise SpecError(message, place="train.optimizer", hint="use another optimizer, e.g. AdamW")


def _not_alike() -> CpdError:
    return CpdError("runs of one program differ in more than the numbers of their recipes", place="train")


class Series(NamedTuple):
    """An option of U recipes and K groups of parameters.

    Attributes:
        table: Its values at every step, ``[steps, columns]``; None where none of them changes.
        at: Those that there are, ``[U, K]``: numbers, or columns of the table.
        some: Groups where some number is not zero, ``[K]``.
        every: Groups where none is.
    """

    table: Tensor | None
    at: Tensor
    some: list[bool]
    every: list[bool]


def _series(given: Sequence[Sequence[float]], changing: Tensor | None) -> Series:
    """An option as it is given ``[U, K]``, and as schedules change it ``[steps, U, K]``."""
    values = torch.tensor(given, dtype=torch.float64)[None] if changing is None else changing
    some, every = (values != 0).flatten(0, 1).any(0).tolist(), (values != 0).flatten(0, 1).all(0).tolist()
    if bool((values == values[0]).all()):
        return Series(None, values[0], some, every)
    table, column = torch.unique(values.flatten(1), dim=1, return_inverse=True)
    return Series(table, column.view(values.shape[1:]), some, every)


def _signs(series: Mapping[str, Series]) -> tuple[dict[str, list[bool]], dict[str, list[bool]]]:
    return {n: s.some for n, s in series.items()}, {n: s.every for n, s in series.items()}


def _columns(row: Tensor, columns: Tensor) -> Tensor:
    """What a row of a table has in these columns, ``[R]`` or one for all."""
    return row.index_select(0, columns.view(-1)).view(columns.shape)


def _padded(table: Tensor, device: torch.device) -> Tensor:
    """With the last row again up to so many rows that programs seldom depend on the number of steps."""
    rows = max(LEAST_ROWS, 2 ** len(table).bit_length())
    whole = torch.cat([table, table[-1:].expand(rows - len(table), -1)])
    return whole.to(device, scalar_dtype(device)).contiguous()


def _bare(names: Iterable[str]) -> list[str]:
    """Options without the place in a pair: ``betas.0`` is one of ``betas``."""
    return [name.partition(".")[0] for name in names]


def _option(leaf: str) -> str:
    """The option whose number stands at a name: ``groups.0.lr`` is one of ``lr``."""
    return leaf.split(".", 2)[2] if leaf.startswith("groups.") else leaf


def _by_group(one: Train) -> list[tuple[Optimizer, str]]:
    """The optimizer as each group of parameters has it, and where it stands; the first is that of all others."""
    base = one.optimizer
    groups = [
        (Optimizer(name=base.name, options={**base.options, **group.options}), f"train.groups.{group.pattern}")
        for group in one.groups
    ]
    return [(base, "train.optimizer"), *groups]


def _scheduled(
    distinct: Sequence[Train], own: Sequence[Sequence[tuple[Optimizer, str]]], steps: int, steps_per_epoch: int
) -> Tensors:
    """What schedules make of the options that they change, ``[steps, U, K]`` by option."""
    if all(one.schedule is None for one in distinct):
        return {}
    by_schedule: dict[str, list[int]] = {}
    for k, one in enumerate(distinct):
        by_schedule.setdefault(str(one.schedule), []).append(k)
    found: dict[int, Tensors] = {}
    for same in by_schedule.values():
        schedule = distinct[same[0]].schedule or ()
        groups = [optimizer.options for k in same for optimizer, _ in own[k]]
        made = scheduled(schedule, distinct[0].optimizer.name, groups, steps, steps_per_epoch)
        for place, k in enumerate(same):
            found[k] = {n: values.unflatten(1, (len(same), -1))[:, place] for n, values in made.items()}
    return {n: torch.stack([found[k][n] for k in range(len(distinct))], 1) for n in found[0]}


def _groups_of(recipe: Train, names: Sequence[str]) -> dict[str, int]:
    """The group of each parameter by name, 0 for those of none.

    Raises:
        SpecError: A pattern matches no parameter, or none that is not matched before it.
    """
    patterns = [group.pattern for group in recipe.groups]
    matches = {name: [k for k, p in enumerate(patterns) if fnmatch.fnmatchcase(name, p)] for name in names}
    for k, pattern in enumerate(patterns):
        place = f"train.groups.{pattern}"
        before = [patterns[found[0]] for found in matches.values() if k in found]
        if not before:
            raise SpecError("matches no parameter that is trained", place=place, hint=_near(pattern, names))
        if pattern not in before:
            message = f"every parameter that it matches is matched by '{before[0]}' before"
            raise SpecError(message, place=place, hint="the first match wins: write it above")
    return {name: found[0] + 1 if found else 0 for name, found in matches.items()}


def _near(pattern: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern.strip("*"), names, n=SHOWN, cutoff=0.3) or list(names[:SHOWN])
    return f"there are {', '.join(near)}{', ...' if len(near) < len(names) else ''}"
