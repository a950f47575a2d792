"""A sweep of Weights & Biases as a draft."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cpd.errors import CpdError
from cpd.spec.foreign.distributions import Fixed, Lost, read_distribution
from cpd.spec.foreign.draft import Draft, escaped, is_number
from cpd.spec.foreign.grids import Grid, Values, text

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
PROGRAM = "PROGRAM.py"
"""Stands for a program that nothing names."""
ARGS = "args"
STYLES = (ARGS, "args_no_hyphens", "args_no_equals", "args_no_boolean_flags", "args_json", "args_json_file")
KNOWN = {"program", "command", "method", "metric", "parameters", "name", "description", "run_cap", "early_terminate"}
ELSEWHERE = {
    "project": "cpd keeps its runs in a store of its own, .cpd/runs.sqlite",
    "entity": "cpd keeps its runs in a store of its own, .cpd/runs.sqlite",
    "controller": "settings are chosen by cpd itself",
    "job": "runs are processes of this machine, or of a cluster of Dask or Ray: --backend",
    "image_uri": "runs are processes of this machine, or of a cluster of Dask or Ray: --backend",
    "queue": "runs are processes of this machine, or of a cluster of Dask or Ray: --backend",
}
_ENVIRONMENT = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


class _Style(NamedTuple):
    """How a value is written: as Python does, or as JSON."""

    dump: Callable[[Any], str]
    quote: str


PYTHON, JSON = _Style(repr, "'"), _Style(lambda value: json.dumps(value, ensure_ascii=False), '"')


def wandb_draft(raw: Mapping[str, Any], stem: str, folder: Path, program: str | None, place: str) -> Draft:
    """Return what a sweep says.

    Args:
        raw: The sweep.
        stem: Of its file's name.
        folder: Of the task, where the command will run.
        program: Instead of the sweep's own.
        place: The file as the user typed it.

    Raises:
        CpdError: It has no parameters, or no command.
    """
    title = str(raw.get("description") or raw.get("name") or f"{stem}: a sweep of a program")
    draft = Draft(title, "a sweep of Weights & Biases", grid=raw.get("method") == "grid")
    cap = raw.get("run_cap")
    draft.trials = cap if isinstance(cap, int) and cap > 0 and not draft.grid else None
    _objective(draft, raw.get("metric"))
    flags = _Flags(draft, _parameters(raw, place))
    draft.words = list(_words(draft, raw, program or raw.get("program"), flags, place))
    if not draft.words:
        raise CpdError("it comes to no word", place=f"{place}: command", hint="write - ${program} and - ${args}")
    if draft.grid and isinstance(cap, int):
        draft.lose(f"run_cap: {cap}", "a grid is trained as a whole; make it shorter here")
    _early(draft, raw.get("early_terminate"))
    own = [word for word in draft.words if word.endswith((".py", ".sh", ".R", ".jl"))]
    if own and not (folder / own[0]).is_file() and own[0] != PROGRAM:
        draft.about.append(f"{own[0]} is looked for from the folder of this file, where it was not when this was made.")
    for key in raw:
        if key not in KNOWN:
            draft.lose(key, ELSEWHERE.get(key, "cpd has no such key"))
    return draft


def _parameters(raw: Mapping[str, Any], place: str) -> dict[str, Any]:
    found = raw.get("parameters")
    if not isinstance(found, dict) or not found:
        raise CpdError("there are none", place=f"{place}: parameters", hint="give each values, or min and max")
    for name, spec in found.items():
        if not isinstance(spec, dict):
            hint = (
                f"write {name}: {{value: {text(spec)}}}"
                if not isinstance(spec, list)
                else f"write {name}: {{values: [...]}}"
            )
            raise CpdError(f"'{text(spec)[:40]}' is no parameter", place=f"{place}: parameters.{name}", hint=hint)
    return found


def _objective(draft: Draft, metric: Any) -> None:
    name = metric.get("name") if isinstance(metric, dict) else metric if isinstance(metric, str) else None
    if not name or not str(name).strip():
        draft.of_objective.append("No metric is named there: say which value of the program is to be small.")
        return
    draft.objective = str(name)
    if isinstance(metric, dict) and metric.get("goal") == "maximize":
        draft.objective = f"minus_{re.sub(r'[^0-9A-Za-z]+', '_', str(name)).strip('_')}"
        draft.of_objective.append(
            f"{name} is maximised there, and cpd minimises: let the program write {draft.objective}, its negative. "
            f'Where {name} has to reach a level, it may be a constraint instead: {text(name)}: ">= LEVEL".'
        )
    if isinstance(metric, dict) and metric.get("target") is not None:
        draft.lose(f"metric.target: {metric['target']}", "cpd trains all settings; a level is a constraint")


def _early(draft: Draft, raw: Any) -> None:
    if isinstance(raw, dict):
        said = ", ".join(f"{key} {value}" for key, value in raw.items())
        why = "give cpd sweep --halving 3, or --prune, for a program that writes curves: cpd.log(step, loss=...)"
        draft.lose(f"early_terminate ({said})", why)


class _Flags:
    """The parameters as words of a command, as W&B hands them over.

    Args:
        draft: Takes what is swept.
        parameters: Of the sweep.
    """

    def __init__(self, draft: Draft, parameters: Mapping[str, Any]) -> None:
        self.draft = draft
        self.parameters = parameters

    def words(self, style: str) -> Iterator[str]:
        """All of them, in one of W&B's styles."""
        if style.startswith("args_json"):
            yield self._mapping(self.parameters, "", JSON)
            return
        for key, spec in self.parameters.items():
            value = (
                self._nested(key, spec) if isinstance(spec.get("parameters"), dict) else self._value(key, spec, style)
            )
            if value is None:
                continue
            if style == "args_no_equals":
                yield from (f"--{escaped(key)}", value)
            elif style == "args_no_boolean_flags" and value in ("True", "False"):
                yield from [f"--{escaped(key)}"] if value == "True" else []
            else:
                yield f"{'' if style == 'args_no_hyphens' else '--'}{escaped(key)}={value}"

    def _nested(self, key: str, spec: Mapping[str, Any]) -> str:
        self.draft.about.append(
            f"{key} is nested: W&B hands it over as one flag that holds a dict. Where the program wants "
            f"--{key}.NAME=VALUE, write that."
        )
        return self._mapping(spec["parameters"], f"{key}.", PYTHON)

    def _mapping(self, parameters: Mapping[str, Any], prefix: str, style: _Style) -> str:
        parts = []
        for key, spec in parameters.items():
            if not isinstance(spec, dict):
                self.draft.lose(f"{prefix}{key}", "it has no values")
            elif isinstance(spec.get("parameters"), dict):
                parts.append((key, self._mapping(spec["parameters"], f"{prefix}{key}.", style)))
            elif (value := self._inside(f"{prefix}{key}", spec, style)) is not None:
                parts.append((key, value))
        inner = ", ".join(f"{escaped(style.dump(key))}: {value}" for key, value in parts)
        return f"{{{{{inner}}}}}"

    def _read(self, key: str, spec: Mapping[str, Any]) -> tuple[Grid | Fixed, list[str]] | None:
        try:
            return read_distribution(spec, self.draft.grid)
        except Lost as lost:
            self.draft.lose(key, str(lost))
            return None

    def _value(self, key: str, spec: Mapping[str, Any], style: str) -> str | None:
        """What a flag says: a constant, or a placeholder."""
        read = self._read(key, spec)
        if read is None:
            return None
        found, notes = read
        if isinstance(found, Fixed) and not _is_seed(self.draft, key, found.value):
            return escaped(str(found.value))
        grid = Values((found.value,)) if isinstance(found, Fixed) else found
        if isinstance(grid, Values):
            grid = Values(tuple(v if is_number(v) or isinstance(v, str) else str(v) for v in grid.values))
            if style == "args_no_boolean_flags" and set(grid.values) <= {"True", "False"}:
                why = f"W&B writes --{key} or nothing; here it is --{key}=True or --{key}=False"
                self.draft.lose(f"{key} as a flag without a value", why)
                style = ARGS
        return f"{{{self.draft.take(key, grid, notes)}}}"

    def _inside(self, key: str, spec: Mapping[str, Any], style: _Style) -> str | None:
        """A value within a dict of Python's or JSON's."""
        read = self._read(key, spec)
        if read is None:
            return None
        found, notes = read
        if isinstance(found, Fixed) and not _is_seed(self.draft, key, found.value):
            return escaped(style.dump(found.value))
        grid = Values((found.value,)) if isinstance(found, Fixed) else found
        quote = ""
        if isinstance(grid, Values) and not all(map(is_number, grid.values)):
            if all(isinstance(v, str) and not set(v) & set("'\"\\") for v in grid.values):
                quote = style.quote
            else:
                grid = Values(tuple(style.dump(v) for v in grid.values))
        return f"{quote}{{{self.draft.take(key, grid, notes)}}}{quote}"


def _is_seed(draft: Draft, key: str, value: Any) -> bool:
    from cpd.spec.foreign.draft import SEEDS, seeds_of

    return bool(SEEDS.search(key)) and not draft.seeds and bool(seeds_of(Values((value,))))


def _words(draft: Draft, raw: Mapping[str, Any], program: Any, flags: _Flags, place: str) -> Iterator[str]:
    command = raw.get("command") or list(DEFAULT)
    if isinstance(command, str):
        try:
            command = shlex.split(command)
        except ValueError as error:
            raise CpdError(f"{str(error).lower()}", place=f"{place}: command", hint="write a list of words") from None
    if not isinstance(command, list):
        raise CpdError("is no list of words", place=f"{place}: command", hint="write - ${program} and - ${args}")
    if not program and "${program}" in command:
        draft.about.append(f"FILL IN the program, which is not named there: {PROGRAM} stands for it.")
    shown = False
    for one in map(str, command):
        style = one[2:-1] if one.startswith("${") and one.endswith("}") else ""
        if style == "interpreter":
            yield "python"
        elif style == "program":
            yield escaped(str(program or PROGRAM))
        elif style in STYLES:
            if style == "args_json_file":
                draft.lose("${args_json_file}", "the parameters come as JSON in a word, not in a file")
            shown = True
            yield from flags.words(style)
        elif style.startswith("envvar:") or _ENVIRONMENT.search(one):
            yield _ENVIRONMENT.sub(lambda match: _of_environment(draft, match[1]), escaped_but_environment(one))
        elif style and style != "env":
            draft.lose(one, "W&B puts nothing in its place")
        elif not style:
            yield escaped(one)
    if not shown:
        draft.about.append(
            "W&B gives this program its parameters through wandb.config alone. Here they are flags: let the program "
            "read them."
        )
        yield from flags.words(ARGS)


def escaped_but_environment(word: str) -> str:
    """A word whose braces are meant, those around variables of the environment aside."""
    parts = _ENVIRONMENT.split(word)
    kept = [escaped(part) if k % 2 == 0 else f"${{envvar:{part}}}" for k, part in enumerate(parts)]
    return "".join(kept)


def _of_environment(draft: Draft, name: str) -> str:
    """A variable of the environment as it is now: no shell reads the command."""
    value = os.environ.get(name)
    if value is None:
        draft.about.append(
            f"The environment had no {name} when this was made: its name stands in its place, as with W&B."
        )
        return name
    draft.about.append(f"{name} of the environment was {value} when this was made.")
    return escaped(value)
