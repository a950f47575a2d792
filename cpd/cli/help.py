"""Help as people read it: options in groups, with what a value looks like and what it is by default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from cpd.spec.option import KEPT, OUTPUT, TRAIN, VERDICT, WHERE

OTHER = "Other options"

ORDER = (TRAIN, VERDICT, WHERE, KEPT, OUTPUT, OTHER)
"""Groups of options, in the order in which a help shows them; any others come before the last."""

COMMANDS = {
    "Train": ("sweep", "compare", "bisect", "gallery"),
    "Prepare": ("tasks", "check", "import", "schema", "completion"),
    "Look": ("show", "best", "diff", "plot", "report", "watch", "runs"),
    "Take out and judge": ("model", "judge", "export"),
    "Look after the store": ("tag", "rm", "gc", "store"),
}
"""Groups of commands; those that are in none come last."""

GROUPS = {
    "tolerance": VERDICT,
    "gap": VERDICT,
    "judge": VERDICT,
    "confidence": VERDICT,
    "judgement": VERDICT,
    "to": OUTPUT,
    "kind": OUTPUT,
    "chosen": OUTPUT,
    "constraints": OUTPUT,
    "style": OUTPUT,
    "title": OUTPUT,
    "quiet": OUTPUT,
}
"""The groups of options that name none themselves."""

METAVARS = {
    "to": "FILE",
    "sort": "COLUMN[,-COLUMN]",
    "top": "N",
    "columns": "COLUMN,...",
    "title": "WORDS",
    "tolerance": "NUMBER",
    "confidence": "SHARE",
    "seed": "N",
    "setting": "NAME=VALUE",
    "level": "NAME=VALUE",
    "data": "FILE.py:NAME",
    "every": "SECONDS",
    "chosen": "RUNS",
}
"""What values look like of options that do not say so themselves."""

FEW = 8
"""Options up to which a help needs no groups."""

Row = tuple[str, str]


class Command(TyperCommand):
    """A command whose options are shown in groups."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does; its example is a line of its own, to be copied."""
        self.help = (self.help or "").replace("\n\nExample:", "\n\n\b\nExample:")
        super().format_help_text(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``TASK [OPTIONS]``: what must be given, what may be left out in brackets."""
        return [*(_argument(one) for one in _shown(self, ctx) if _is_argument(one)), "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then each group of options."""
        shown = _shown(self, ctx)
        _write(formatter, "Arguments", [_row(one) for one in shown if _is_argument(one)])
        groups: dict[str, list[Any]] = {}
        for one in shown:
            if not _is_argument(one):
                groups.setdefault(_group(one), []).append(one)
        if sum(map(len, groups.values())) <= FEW:
            groups = {"Options": [one for name in sorted(groups, key=_place) for one in groups[name]]}
        for name in sorted(groups, key=_place):
            _write(formatter, name, [_row(one) for one in groups[name]])


class Group(TyperGroup):
    """The commands in groups, each with the whole of its short help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each group."""
        commands: dict[str, Any] = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        commands = {name: command for name, command in commands.items() if not command.hidden}
        grouped = {name for names in COMMANDS.values() for name in names}
        groups = {**COMMANDS, "Other commands": [name for name in commands if name not in grouped]}
        width = max(map(len, commands), default=0)
        for group, names in groups.items():
            rows = [(name.ljust(width), _short(commands[name])) for name in names if name in commands]
            _write(formatter, group, rows)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        _write(formatter, "Options", [_row(one) for one in _shown(self, ctx)])


def choices(words: Sequence[Any]) -> str:
    """Words of which one is to be given, as a help shows them."""
    return "|".join(map(str, words))


def _shown(command: Any, ctx: Any) -> list[Any]:
    """The parameters that a help shows."""
    return [one for one in command.get_params(ctx) if not getattr(one, "hidden", False)]


def _short(command: Any) -> str:
    return str(command.get_short_help_str(limit=1000))


def _write(formatter: Any, name: str, rows: Sequence[Row]) -> None:
    if rows:
        with formatter.section(name):
            formatter.write_dl(rows)


def _place(group: str) -> float:
    return ORDER.index(group) if group in ORDER else len(ORDER) - 1.5


def _is_argument(one: Any) -> bool:
    return bool(one.param_type_name == "argument")


def _group(one: Any) -> str:
    return str(getattr(one, "rich_help_panel", None) or GROUPS.get(one.name, OTHER))


def _argument(one: Any) -> str:
    """``TASK``, ``[SWEEP]`` or ``METHOD...``."""
    name = str(one.metavar or one.name.upper())
    several = "..." if one.nargs != 1 and not name.endswith("...") else ""
    return f"{name}{several}" if one.required else f"[{name}{several}]"


def _row(one: Any) -> Row:
    """What is typed, and what it does, with its default."""
    text = one.help or ""
    notes = _default(one) if "[default" not in text else ""
    whole = f"{text} {notes}".strip()
    return (_argument(one) if _is_argument(one) else _typed(one), whole)


def _typed(one: Any) -> str:
    names = [*sorted(one.opts, key=len), *one.secondary_opts]
    value = "" if one.is_flag or one.count else _metavar(one)
    return f"{', '.join(names)} {value}".strip()


def _metavar(one: Any) -> str:
    """What a value looks like: as declared, else its choices, else the option's name."""
    if one.metavar or one.name in METAVARS:
        return str(one.metavar or METAVARS[one.name])
    kinds = (getattr(one, name, None) for name in ("type_descriptor", "type"))  # of typer's own click, and of click's
    known = next((words for kind in kinds if (words := getattr(kind, "choices", None))), None)
    return choices([getattr(word, "value", word) for word in known]) if known else str(one.name).upper()


def _default(one: Any) -> str:
    """``[default: 1]``, of values that say something."""
    value = one.default
    if value is None or isinstance(value, bool) or callable(value) or value in ("", [], ()):
        return ""
    if not isinstance(value, str | int | float | list | tuple) or getattr(one, "show_default", True) is False:
        return ""
    words: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return f"[default: {', '.join(f'{word:g}' if isinstance(word, float) else str(word) for word in words)}]"
