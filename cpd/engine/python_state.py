"""What user code keeps in Python between two evaluations: a counter on ``self``, a list, a generator of its own.

It is remembered where it can be found: in the attributes of the problem and of its model's modules, in those of their
classes and in the globals of the files that define them. Tensors that modules register are not Python's: a run has its
own, see :class:`cpd.engine.stacked.Models`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from cpd.engine.iterators import copied_iterator, is_iterator
from cpd.engine.kept import Kept, Looker, Names
from cpd.engine.spaces import ClassSpace, GlobalSpace, Space, is_foreign, is_foreign_module
from cpd.engine.steppers.torch_private import is_batched
from cpd.problem import Problem

_TORCHS = frozenset(vars(nn.Module()))
"""Attributes in which a module keeps what it registers."""
_RECURRENT = frozenset(["_flat_weights", "_flat_weight_refs"])
"""Attributes in which a recurrent layer has its parameters once more: it renews them where they have changed."""


class PythonState:
    """What user code keeps in Python, as it stood.

    Args:
        problem: The user's problem.
        model: A model of it, if there is one yet; what it registers is not kept.
    """

    def __init__(self, problem: Problem, model: nn.Module | None = None) -> None:
        looker = Looker()
        looker.seen[id(problem)] = Kept(problem)
        modules = dict(model.named_modules()) if model is not None else {}
        for module in modules.values():
            looker.seen[id(module)] = Kept(module)
        for tensor in [*model.parameters(), *model.buffers()] if model is not None else []:
            looker.seen[id(tensor)] = Kept(tensor)
        self.parts: dict[str, Kept] = {"self": Names(problem, Space(vars(problem)), looker, "{0}.{1}")}
        for name, module in modules.items():
            where = f"model.{name}" if name else "model"
            self.parts[where] = Names(module, Space(module.__dict__, _registered(module)), looker, "{0}.{1}")
        kinds = _classes([type(problem), *map(type, modules.values())])
        for kind in kinds:
            self.parts[kind.__name__] = Names(kind, ClassSpace(kind), looker, "{0}.{1}")
        for home in _homes(tuple(kinds)):
            self.parts[f"module {home.__name__}"] = Names(home, GlobalSpace(vars(home)), looker, "{1}")

    def changes(self) -> list[str]:
        """Names of what has changed since, as the user would write them: ``self.calls``, ``model.0.seen``."""
        return [name for where, kept in self.parts.items() for name in kept.changes(where)]

    def changed_items(self) -> Iterator[tuple[str, Any, Any, bool]]:
        """What has changed since: its part, its key, its value now, and whether it is gone."""
        for part, kept in self.parts.items():
            assert isinstance(kept, Names), "each part is a space of names"
            now = dict(kept.space.items())
            for key in kept.changed_keys(now):
                yield part, key, now.get(key), key not in now

    def stood(self, part: str, key: Any) -> Kept | None:
        """What stood under a name; None where there was nothing."""
        kept = self.parts[part]
        return kept.items.get(key) if isinstance(kept, Names) else None

    def space(self, part: str) -> Space:
        """Where the names of a part are."""
        kept = self.parts[part]
        assert isinstance(kept, Names), "each part is a space of names"
        return kept.space

    def restore(self) -> None:
        """Set everything back."""
        for kept in self.parts.values():
            kept.restore()

    def alike(self, other: PythonState) -> bool:
        """Whether the same was kept at another time, of another model of the same architecture."""
        return self.parts.keys() == other.parts.keys() and all(k.alike(other.parts[n]) for n, k in self.parts.items())


def stuck_names(problem: Problem, model: nn.Module) -> list[str]:
    """Where user code keeps iterators that nothing can set back."""
    found = _leaves(problem, model)
    return [name for name, value in found if is_iterator(value) and copied_iterator(value) is None]


def batched_names(problem: Problem, model: nn.Module) -> list[str]:
    """Where an evaluation under ``vmap`` has left tensors of several runs."""
    return [n for n, value in _leaves(problem, model) if isinstance(value, Tensor) and is_batched(value)]


def _leaves(problem: Problem, model: nn.Module) -> Iterator[tuple[str, Any]]:
    """All that user code keeps in Python, by name."""
    for where, kept in PythonState(problem, model).parts.items():
        yield from kept.leaves(where)


def _registered(module: nn.Module) -> frozenset[str]:
    """Attributes of a module of the model that are torch's: what it registers, and weights that hooks make of that."""
    made = {n.removesuffix(end) for n in module._parameters for end in ("_orig", "_g") if n.endswith(end)}
    return _TORCHS | made | (_RECURRENT if isinstance(module, nn.RNNBase) else frozenset())


def _classes(kinds: list[type]) -> list[type]:
    """The user's own among these classes and those they are made from, each once."""
    return [kind for kind in dict.fromkeys(k for each in kinds for k in each.__mro__) if not is_foreign(kind)]


@lru_cache(maxsize=32)
def _homes(kinds: tuple[type, ...]) -> tuple[ModuleType, ...]:
    """The user's modules that define these classes, and those that these import, whole or in part."""
    found: dict[str, ModuleType] = {}
    waiting = [kind.__module__ for kind in kinds]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if name in found or module is None or is_foreign_module(name):
            continue
        found[name] = module
        for value in list(vars(module).values()):
            waiting.append(value.__name__ if isinstance(value, ModuleType) else str(getattr(value, "__module__", "")))
    return tuple(found.values())
