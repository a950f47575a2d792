"""The reference page of Python's names, made of their docstrings: :mod:`make_reference` puts it on its page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, get_type_hints, is_typeddict

import cpd
from cpd.spec.option import Option

SECTIONS = ("Args", "Attributes", "Example", "Raises", "Returns", "Source")
HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):(?: (.+))?$")
ENTRY = re.compile(r"^    (\*{0,2}[\w, ]+?)(?: \([^)]*\))?: (.*)$")
WIDTH = 100
"""The longest signature on one line."""
ITS_OWN = {"Overrides.layers", "Result.with_models", "Task.called", "Task.changed", "Task.may_change", "Task.read"}
"""Methods that only cpd itself calls."""
VERSION = "The version that is installed.\n\nExample:\n    >>> cpd.__version__\n    '...'"
SHARED = "Keywords of a task"
"""The heading under which the keywords stand that all commands take."""


@dataclass(frozen=True)
class Entry:
    """A public name: ``cpd.NAME``, or ``cpd.NAME.MEMBER``."""

    name: str
    what: Any
    owner: type | None = None

    @property
    def member(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]

    @cached_property
    def sections(self) -> dict[str, str]:
        """Its docstring's parts by their headings; what stands above them is under ``""``."""
        return sections_of(VERSION if isinstance(self.what, str) else inspect.getdoc(self.what))

    @property
    def example(self) -> str:
        """The lines of its example, as Python shows them at its prompt; empty without one."""
        return inspect.cleandoc(self.sections.get("Example", ""))


def sections_of(text: str | None) -> dict[str, str]:
    """A docstring's parts by their headings; what stands above them is under ``""``."""
    found: dict[str, list[str]] = {"": []}
    here = ""
    for line in (text or "").splitlines():
        heading = HEADING.match(line)
        if heading:
            here = heading[1]
            found[here] = [f"    {heading[2]}"] if heading[2] else []
        elif here and line and not line.startswith(" "):
            here = ""
            found[here] += ["", line]
        else:
            found[here].append(line)
    return {name: "\n".join(lines).strip("\n") for name, lines in found.items()}


def entries() -> list[Entry]:
    """Every public name of the package, and below each class the methods and properties that it has of its own."""
    found = []
    for name in sorted(cpd.__all__, key=str.lower):
        what = getattr(cpd, name)
        found.append(Entry(name, what))
        if isinstance(what, type):
            found += [Entry(f"{name}.{member}", value, what) for member, value in members(what)]
    return [one for one in found if one.name not in ITS_OWN]


def members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class, its bases of this package included."""
    seen = set()
    for base in [one for one in owner.__mro__ if one.__module__.partition(".")[0] == "cpd"]:
        for name, value in vars(base).items():
            documented = inspect.isfunction(value) or isinstance(value, property | cached_property | classmethod)
            if documented and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, value.__func__ if isinstance(value, classmethod) else value


def page() -> str:
    """All entries, one under the other, below the keywords that several of them take."""
    rows = [(f"`{name}`", what) for name, what in keywords(cpd.sweep).items()]
    note = "`sweep`, `compare` and `bisect` take the fields of [`cpd.Options`](#cpdoptions) too.\n"
    shared = [f"## {SHARED}\n", lines(("keyword", "what it is"), rows), note] if rows else []
    return "\n".join([*shared, *(part(one) for one in entries())])


def part(entry: Entry) -> str:
    """A name's part of the page: signature, text, arguments, what is returned and raised, and an example."""
    of = entry.sections
    level = "###" if entry.owner else "##"
    parts = [f"{level} `cpd.{entry.name}`\n", fenced("python", signature(entry)), prose(of[""])]
    parts += [options(entry.what)] if is_dataclass(entry.what) else []
    parts += [table(title, of[title]) for title in ("Args", "Attributes", "Raises") if title in of]
    parts += [further(entry)]
    parts += [f"Returns: {flat(of['Returns'])}\n"] if "Returns" in of else []
    parts += [f"*Source:* {flat(of['Source'])}\n"] if "Source" in of else []
    parts += [fenced("python", entry.example)] if entry.example else []
    return "\n".join(one for one in parts if one)


def signature(entry: Entry) -> str:
    """How a name is written where it is used."""
    what = entry.what
    if isinstance(what, property | cached_property):
        given = what.fget if isinstance(what, property) else what.func
        return f"{entry.member}: {annotation(inspect.signature(given).return_annotation)}"  # type: ignore[arg-type]
    if isinstance(what, type) and "Args" not in entry.sections and "Attributes" in entry.sections:
        return f"cpd.{entry.name}"  # nobody makes one but cpd
    if not callable(what):
        return f"cpd.{entry.name}: {type(what).__name__}"
    called = inspect.signature(what)
    given = [shown(one) for one in called.parameters.values() if not (entry.owner and one.name in ("self", "cls"))]
    starred = [one.kind for one in called.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in starred and inspect.Parameter.VAR_POSITIONAL not in starred:
        given.insert(starred.index(inspect.Parameter.KEYWORD_ONLY) - bool(entry.owner), "*")
    name = entry.member if entry.owner else f"cpd.{entry.name}"
    returned = called.return_annotation
    ends = "" if isinstance(what, type) or returned is inspect.Signature.empty else f" -> {annotation(returned)}"
    line = f"{name}({', '.join(given)}){ends}"
    return line if len(line) <= WIDTH else f"{name}(\n" + "".join(f"    {one},\n" for one in given) + f"){ends}"


def further(entry: Entry) -> str:
    """The keywords that a name takes beside its arguments."""
    shared, own = keywords(cpd.sweep), keywords(entry.what)
    rows = [(f"`{name}`", what) for name, what in own.items() if name not in shared]
    link = (
        f"Keywords: [those of a task](#{SHARED.lower().replace(' ', '-')}){', and' if rows else '.'}\n" if own else ""
    )
    return "\n".join([link, lines(("keyword", "what it is"), rows)]) if rows else link


def keywords(what: Any) -> dict[str, str]:
    """What a function's, or a class's, ``**words: Unpack[...]`` may be, by name."""
    called = what.__init__ if isinstance(what, type) else what
    given = [str(typed) for typed in getattr(called, "__annotations__", {}).values()]
    named = [found[1] for found in map(re.compile(r"^Unpack\[(\w+)\]$").match, given) if found]
    return attributes(called.__globals__[named[0]], called.__globals__) if named else {}


def attributes(words: Any, names: Mapping[str, Any]) -> dict[str, str]:
    """What a typed dictionary says of its keys, and those that it derives from, which Python has forgotten."""
    bases = [
        one for one in names.values() if is_typeddict(one) and one.__annotations__.keys() < words.__annotations__.keys()
    ]
    found: dict[str, str] = {}
    for one in [*sorted(bases, key=lambda base: len(base.__annotations__)), words]:
        found |= dict(entries_of(sections_of(inspect.getdoc(one)).get("Attributes", "")))
    return {name: found[name] for name in words.__annotations__ if name in found}


def shown(one: inspect.Parameter) -> str:
    """A parameter as it is declared."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(one.kind, "")
    typed = "" if one.annotation is one.empty else f": {annotation(one.annotation)}"
    if one.default is one.empty:
        return f"{stars}{one.name}{typed}"
    default = "..." if "<" in repr(one.default) else repr(one.default)
    return f"{one.name}{typed} = {default}" if typed else f"{one.name}={default}"


def annotation(given: Any) -> str:
    """A type as it is written in the source."""
    text = given if isinstance(given, str) else inspect.formatannotation(given)
    return re.sub(r"Annotated\[(.+?), Option\(.*", r"\1", text.replace("\n", " "))


def options(owner: type) -> str:
    """The fields of a class that say themselves what they are, as those of the command line do."""
    hints = get_type_hints(owner, include_extras=True) if any("Option(" in str(f.type) for f in fields(owner)) else {}
    rows = []
    for one in fields(owner):
        said = [each for each in getattr(hints.get(one.name), "__metadata__", ()) if isinstance(each, Option)]
        default = "" if one.default is MISSING else f"`{one.default!r}`"
        flag = "False: " if one.default is True else ""  # the option of the command line says the opposite
        rows += [(f"`{one.name}`", default, flag + said[0].help)] if said else []
    return lines(("field", "default", "what it is"), rows) if rows else ""


def table(title: str, text: str) -> str:
    """A section of names and what they are, as a table."""
    header = {"Args": "argument", "Attributes": "attribute", "Raises": "raises"}[title]
    rows = [(f"`{name}`", what) for name, what in entries_of(text)]
    return lines((header, "what it is" if title != "Raises" else "when"), rows)


def entries_of(text: str) -> list[tuple[str, str]]:
    """The names of a section, each with what it is."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        found = ENTRY.match(line)
        if found:
            rows.append([found[1], found[2]])
        elif rows:
            rows[-1][1] += f" {line.strip()}"
    return [(name, prose(what).strip()) for name, what in rows]


def lines(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    cells = [header, ("---",) * len(header), *rows]
    return "".join("| " + " | ".join(one.strip().replace("|", "\\|") for one in row) + " |\n" for row in cells)


def flat(text: str) -> str:
    """A section of one thing on one line."""
    return " ".join(prose(text).split())


def prose(text: str) -> str:
    """Text of a docstring as Markdown."""
    text = re.sub(r":(?:meth|class|func|mod|data|attr):`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
    text = re.sub(r"^\.\. math::\s*((?:.+\n?)(?:^ {4}.*\n?)*)", equation, text, flags=re.MULTILINE)
    return text.strip() + "\n" if text.strip() else ""


def equation(match: re.Match[str]) -> str:
    """An equation as Markdown has it."""
    return fenced("math", inspect.cleandoc(match[1]).strip())


def fenced(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text}\n```\n"


def without_example(found: list[Entry]) -> list[str]:
    """The names that no example shows: neither their own, nor, of a method or property, that of their class."""
    of_class: Mapping[str, str] = {one.name: one.example for one in found}
    return [one.name for one in found if not (one.example or told(one, of_class))]


def told(entry: Entry, examples: Mapping[str, str]) -> bool:
    """Whether the example of its class uses or writes a member."""
    written = examples.get(entry.name.partition(".")[0], "") if entry.owner else ""
    return re.search(rf"(?:\.|def ){entry.member}\b", written) is not None
