"""The settings that a sampler may propose for a method, from its grids as they are written, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpd.errors import CpdError
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.samplers import start
from cpd.samplers.space import Block, Choice, Interval, Part, Point, Space
from cpd.spec.by_constraint import ByConstraint
from cpd.spec.grids import Range
from cpd.spec.hyperparameters import AnyGrid, Product, Sequenced
from cpd.spec.identity import settings_in
from cpd.spec.models import Task
from cpd.spec.settings import Setting

Numbers = Mapping[str, float]


def check_sampler(task: Task) -> None:
    """See before a training that the task's sampler can be used.

    Raises:
        CpdError: It needs what is not installed, or there is no method to give a budget to.
    """
    assert task.budget is not None
    start.check(task.budget.sampler, task.at("budget.sampler"))
    if not task.methods:
        raise CpdError("no method has settings to choose", place=task.at("budget"), hint="add methods")


class MethodSpace:
    """The space of a method's settings.

    Each grid over a hyperparameter, or over a value of the recipe or the arguments, is an interval where it is a range
    of numbers, and otherwise a choice of its values. What has one value only is fixed.

    Args:
        task: Has the grids.
        method: One of its methods.
    """

    def __init__(self, task: Task, method: str) -> None:
        self._dotted = {key: _Dotted(task, key) for key in task.grids}
        self._blocks = [
            {name: _Hyperparameter(task, method, name, grid) for name, grid in block.grids.items()} | self._dotted
            for block in task.written.blocks[method]
        ]
        counts = [block.count for block in task.written.blocks[method]]
        self.space: Space = tuple(
            Block({key: part for one in block.values() for key, part in one.parts().items()}, count)
            for block, count in zip(self._blocks, counts, strict=True)
        )

    def setting(self, point: Point) -> Setting:
        """The setting that a point means."""
        numbers = dict(point.values)
        return {name: one.value(numbers) for name, one in self._blocks[point.block].items()}


class GridSpace:
    """The settings of a method's grids alone: one choice among them."""

    def __init__(self, task: Task, method: str) -> None:
        self._settings: Sequence[Setting] = settings_in(task, method)
        self.space: Space = (Block({"setting": Choice(len(self._settings))}),)

    def setting(self, point: Point) -> Setting:
        """The setting that a point means."""
        return dict(self._settings[int(point.values[0][1])])


def space_of(task: Task, method: str) -> MethodSpace | GridSpace:
    """The space that the task's sampler draws from."""
    assert task.budget is not None
    return (GridSpace if task.budget.sampler == start.OF_THE_GRID else MethodSpace)(task, method)


class _Hyperparameter:
    """One hyperparameter's grid."""

    def __init__(self, task: Task, method: str, name: str, grid: AnyGrid) -> None:
        self._known = None if task.program is not None else REGISTRY[method].hyperparameters.get(name)
        self._name, self._grid = name, grid

    def parts(self) -> dict[str, Part]:
        """What of it varies, by name."""
        return parts_of(self._grid, self._name, self._known)

    def value(self, numbers: Numbers) -> Any:
        """Its value at these numbers."""
        return value_of(self._grid, self._name, numbers)


class _Dotted:
    """A grid over a value of the recipe or the arguments, whose values the task has checked."""

    def __init__(self, task: Task, key: str) -> None:
        self._key, self._values = key, task.grids[key]
        grid = task.written.dotted[key]
        self._range = grid if isinstance(grid, Range) else None

    def parts(self) -> dict[str, Part]:
        """As for a hyperparameter."""
        if self._range is None:
            return {self._key: Choice(len(self._values))}
        whole = all(isinstance(value, int) for value in self._values)
        return {self._key: Interval(self._range.low, self._range.high, self._range.log, whole)}

    def value(self, numbers: Numbers) -> Any:
        """As for a hyperparameter."""
        number = numbers[self._key]
        return self._values[int(number)] if self._range is None else number


def parts_of(grid: AnyGrid, name: str, known: Hyperparameter | None = None) -> dict[str, Part]:
    """What of a grid varies: each range, each list of values, by a name below its own; nothing of a single value.

    Args:
        grid: As it is written.
        name: Of what it is a grid over.
        known: How that is declared, where it is.
    """
    inner = _inner(grid)
    if inner is not None:
        # a mapping has hyperparameters of its own; in a list, or by constraint, each entry is the same one again
        fields = known.fields if known is not None and isinstance(grid, Product) else dict.fromkeys(inner, known)
        found = (parts_of(one, f"{name}.{key}", fields.get(key)) for key, one in inner.items())
        return {key: part for parts in found for key, part in parts.items()}
    if grid.count == 1:
        return {}
    if not isinstance(grid, Range):
        return {name: Choice(grid.count)}
    if grid.low == grid.high:
        return {}
    whole = (known is not None and known.whole) or all(isinstance(value, int) for value in grid.expand())
    return {name: Interval(grid.low, grid.high, grid.log, whole)}


def value_of(grid: AnyGrid, name: str, numbers: Numbers) -> Any:
    """The value of a grid at the numbers of its parts."""
    inner = _inner(grid)
    if inner is not None:
        values = {key: value_of(one, f"{name}.{key}", numbers) for key, one in inner.items()}
        if isinstance(grid, ByConstraint):
            return grid.listed(values)
        return grid.normal(values if isinstance(grid, Product) else list(values.values()))  # type: ignore[union-attr]
    if name not in numbers:
        return grid.expand()[0]
    return numbers[name] if isinstance(grid, Range) else grid.expand()[int(numbers[name])]


def _inner(grid: AnyGrid) -> Mapping[str, AnyGrid] | None:
    """The grids that a mapping or a list is made of; None of one that has its values itself."""
    if isinstance(grid, Product | ByConstraint):
        return grid.grids
    return {str(k): one for k, one in enumerate(grid.grids)} if isinstance(grid, Sequenced) else None
