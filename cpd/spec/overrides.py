"""What the command line changes in a spec, in its own words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cpd.errors import CpdError, closest
from cpd.spec.option import Option

if TYPE_CHECKING:  # the command line declares these options at its start, when nobody has asked for a spec yet
    from cpd.spec.layers import Layer

SETTABLE = (
    "arguments",
    "budget",
    "constraints",
    "held_out",
    "judge",
    "levels",
    "objective",
    "search",
    "seeds",
    "timeout",
    "train",
    "transfer",
)
"""Top-level keys that ``--set`` may begin with, besides the methods' names."""

SWEPT = ("methods", "levels")
"""Keys of which each value is a number, a word or a grid of them."""

GRIDDED = ("train", "arguments")
"""Keys whose values may be anything, and grids of it."""


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in a spec, in its own words: what each field is, it says itself.

    Example:
        >>> few = ("train.steps=5", "lagrangian.dual_lr=0.1,1")
        >>> words = cpd.Overrides(set=few, methods=("lagrangian",), seeds="0:2")
        >>> len(cpd.sweep("rate", words, keep=False).runs)
        4
    """

    methods: Annotated[
        tuple[str, ...], Option("Only this method; may be given again.", ("--method", "-m"), metavar="METHOD")
    ] = ()
    set: Annotated[
        tuple[str, ...],
        Option(
            "A hyperparameter or another value of the spec, e.g. penalized.coefficient=1e-3:1e1:9:log or "
            "train.steps=500; may be given again.",
            metavar="NAME=VALUE",
        ),
    ] = ()
    levels: Annotated[
        tuple[str, ...], Option("Constraint levels to sweep, e.g. class0_rate=0.6,0.7.", metavar="NAME=VALUE,...")
    ] = ()
    seeds: Annotated[str | None, Option("Seeds: 0:5 (half-open) or 1,2,7 [default: the task's].", metavar="SEEDS")] = (
        None
    )
    max_runs: Annotated[int, Option("Refuse a sweep of more runs than this.", least=1, metavar="N")] = 100_000
    transfer: Annotated[
        str | None,
        Option(
            "What the best setting of one case of the grids costs in another: hidden=8:64, with commas between "
            "several, or all, for the first and the last values of arguments.",
            metavar="NAME=FROM:TO",
        ),
    ] = None
    budget: tuple[tuple[str, Any], ...] = ()
    """Keys of ``budget``; options of ``compare`` alone."""

    def layers(self, names: Iterable[str] = (), methods: Iterable[str] = ()) -> list[Layer]:
        """One layer for each assignment, the last one given on top.

        Args:
            names: Of the constraints that there are: they may hold dots.
            methods: That the files have, which may be a program's own.

        Raises:
            CpdError: A word that is not NAME=VALUE, or of something that cannot be set.
        """
        from cpd.spec.layers import Layer
        from cpd.spec.transfer import words_of

        own = sorted(names, key=len, reverse=True)
        words = [*(self._set(word, own, methods) for word in self.set), *(_level(word) for word in self.levels)]
        if self.seeds is not None:
            words.append(Layer("--seeds", {"seeds": self.seeds}, option="seeds"))
        if self.transfer is not None:
            words.append(Layer("--transfer", {"transfer": words_of(self.transfer, "--transfer")}, option="transfer"))
        for key, value in self.budget:
            option = "--budget" if key == "trainings" else f"--{key}"
            words.append(Layer(option, {"budget": {key: value}}, option=f"budget.{key}"))
        return words[::-1]

    def _set(self, assignment: str, names: Sequence[str], methods: Iterable[str]) -> Layer:
        from cpd.methods.registry import REGISTRY

        key, text = _split(assignment, "--set")
        place = f"--set {key}"
        first = key.split(".")[0]
        known = dict.fromkeys((*REGISTRY, *methods))
        if first in known:
            if self.methods and first not in self.methods:
                hint = f"add --method {first}, or leave this out"
                raise CpdError(f"'{first}' is not among the methods asked for", place=place, hint=hint)
            key = f"methods.{key}"
        elif first not in SETTABLE:
            hint = closest(first, (*known, *SETTABLE))
            raise CpdError(f"'{first}' is neither a method nor a key that can be set", place=place, hint=hint)
        return _assigned(parts_of(key, names, text), text, place)


def _level(assignment: str) -> Layer:
    name, equals, text = (part.strip() for part in assignment.rpartition("="))  # a name may hold "=", a level cannot
    if not equals or not text or not name:
        raise CpdError(f"expected NAME=VALUE, got '{assignment}'", place="--levels")
    return _assigned(["levels", name], text, f"--levels {name}")


def _split(assignment: str, option: str) -> tuple[str, str]:
    key, equals, text = (part.strip() for part in assignment.partition("="))
    if not equals or not text or not all(key.split(".")):
        raise CpdError(f"expected NAME=VALUE, got '{assignment}'", place=option)
    return key, text


def parts_of(key: str, names: Sequence[str], text: str) -> list[str]:
    """A dotted key in parts, the name of a constraint as one of them; the longest names come first.

    Args:
        key: The key.
        names: Of the constraints.
        text: What is assigned.
    """
    first, _, below = key.partition(".")
    if first == "levels":
        for name in names:
            if below == name or below in (f"{name}.from", f"{name}.to", f"{name}.over"):
                return [first, name, *([below[len(name) + 1 :]] if below != name else [])]
    if first == "constraints":
        for name in names:
            if below == name or below.startswith(f"{name}."):
                rest = below[len(name) + 1 :]
                return [first, name, *(rest.split(".") if rest else [])]
    if key.startswith("train.groups."):  # a pattern may hold dots
        below = key.removeprefix("train.groups.")
        pattern, dot, option = below.rpartition(".")
        return ["train", "groups", *([pattern, option] if dot and not text.startswith("{") else [below])]
    if first == "methods" and (named := _of_a_constraint(key)) is not None:
        return named
    return key.split(".")


def _of_a_constraint(key: str) -> list[str] | None:
    """``methods.NAME.HYPERPARAMETER.CONSTRAINT`` in four parts: the last one, or its pattern, may hold dots."""
    from cpd.methods.registry import REGISTRY

    parts = key.split(".", 3)
    known = REGISTRY[parts[1]].hyperparameters.get(parts[2]) if len(parts) == 4 and parts[1] in REGISTRY else None
    return parts if known and known.per_constraint and parts[3].partition(".")[0] not in known.fields else None


def _assigned(parts: Sequence[str], text: str, place: str) -> Layer:
    from cpd.spec.layers import Layer, nested
    from cpd.spec.yaml import parse_value

    if parts[0] in SWEPT and len(parts) < 2 + (parts[0] == "methods"):
        raise CpdError(f"'{parts[-1]}' is no single value", place=place, hint=f"write {parts[-1]}.NAME=VALUE")
    reads = grid_words if parts[0] in SWEPT or (parts[0] in GRIDDED and _gridded(text)) else parse_value
    value = reads(text, place)
    return Layer(place, nested(parts, value), option=".".join(parts))


def _gridded(text: str) -> bool:
    """Whether a word for any value is a grid: it has commas, or is a range between numbers; quotes hide both."""
    if text.startswith(("'", '"')):
        return False
    low, _, rest = text.partition(":")
    return "," in text or (":" in rest and all(map(_is_number, (low, rest.partition(":")[0]))))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def grid_words(text: str, place: str) -> Any:
    """Read ``min:max:num[:scale]``, ``a,b,c`` or one value, as a spec would write it.

    Raises:
        CpdError: Neither of these.
    """
    from cpd.spec.yaml import parse_value

    if text.startswith(("[", "{", "'", '"')):
        return parse_value(text, place)
    if ":" in text:
        parts = [parse_value(part, place) for part in text.split(":")]
        if len(parts) not in (3, 4) or None in parts:
            raise CpdError(f"'{text}' is no range", place=place, hint="write MIN:MAX:NUM or MIN:MAX:NUM:log")
        return dict(zip(("min", "max", "num", "scale"), parts, strict=False))
    parts = [parse_value(part, place) for part in text.split(",")]
    if None in parts:
        raise CpdError(f"'{text}' has an empty entry", place=place, hint="write e.g. 0.1,0.2")
    return parts[0] if len(parts) == 1 else {"values": parts}
