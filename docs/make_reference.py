"""Remake the generated parts of the pages: ``python docs/make_reference.py`` (``--check`` only says what is stale).

A page keeps them between ``<!-- generated: NAME -->`` and ``<!-- end -->``; all else in it is written by hand.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import cli_reference
import json_reference
import python_reference
import shown_examples

from cpd.methods.growth import GROWTH
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method
from cpd.methods.registry import REGISTRY
from cpd.spec.schema import GRID_TITLE, file_schema
from cpd.verdict.diagnosis import DIAGNOSES, sentence

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SCHEMA = DOCS / "task.schema.json"


def keys() -> str:
    """The keys that a task file may have."""
    properties = file_schema()["properties"]
    return table(("key", "what it is"), [(f"`{name}`", part["description"]) for name, part in properties.items()])


def section(part: Mapping[str, Any]) -> str:
    """The keys of one section of a task file."""
    rows = [
        (f"`{name}`", kinds(one), code(one["default"]) if "default" in one else "", one.get("description", ""))
        for name, one in part["properties"].items()
    ]
    return table(("key", "value", "default", "what it is"), rows)


def constraint() -> str:
    """The keys of a constraint written out."""
    return section(file_schema()["properties"]["constraints"]["additionalProperties"]["anyOf"][1])


def train() -> str:
    """The keys of the training recipe."""
    return section(file_schema()["properties"]["train"])


def search() -> str:
    """The keys of a search."""
    return section(file_schema()["properties"]["search"])


def optimizers() -> str:
    """The optimizers that there are."""
    names = file_schema()["properties"]["train"]["properties"]["optimizer"]["anyOf"][0]["enum"]
    return ", ".join(f"`{name}`" for name in names) + "\n"


def methods() -> str:
    """Every method: its equations, where they are from, and its hyperparameters."""
    return "\n".join(method(one) for one in REGISTRY.values())


def overview() -> str:
    """Every method in a line."""
    rows = [
        (f"[`{one.name}`](#{one.name})", one.summary, f"`{next(iter(one.hyperparameters))}`")
        for one in REGISTRY.values()
    ]
    return table(("method", "what it does", "swept"), rows)


def method(one: Method) -> str:
    """A method's part of the page."""
    parts = [
        f"## {one.name}\n",
        f"{one.summary[0].upper()}{one.summary[1:]}.\n",
        "### What is added to the objective\n",
        markdown(one.penalty_term),
        "### What happens after each step\n",
        markdown(one.update),
        "### Hyperparameters\n",
        hyperparameters(one.hyperparameters),
    ]
    return "\n".join(parts)


def hyperparameters(declared: Mapping[str, Hyperparameter]) -> str:
    """A method's hyperparameters; the first one is the one to sweep."""
    rows = [
        (f"`{name}`", values(one), "must be given" if one.default is None else code(one.default), one.meaning)
        for name, one in declared.items()
    ]
    return table(("name", "value", "default", "what it does"), rows)


def growth() -> str:
    """The keys of a rule by which a penalty grows."""
    rows = [(f"`{name}`", values(one), one.meaning) for name, one in GROWTH.fields.items()]
    return table(("key", "value", "what it does"), rows)


def values(one: Hyperparameter) -> str:
    """The values that a hyperparameter takes."""
    if one.schedule:
        return " or ".join([*map(code, one.words), "a schedule"])
    words = [code(choice) for choice in (*one.choices, *one.words)]
    others = [*(words if len(words) < 5 else ["a name"]), *(["a mapping"] if one.fields else [])]
    return " or ".join([*([] if one.choices else [numbers(one)]), *others])


def numbers(one: Hyperparameter) -> str:
    """The numbers that it takes."""
    sign = "above" if one.exclusive else "from"
    bound = "" if one.minimum == float("-inf") else f" {sign} {one.minimum:g}" + ("" if one.exclusive else " on")
    below = "" if one.below == float("inf") else f", below {one.below:g}"
    kind = "whole number" if one.whole else "number"
    either = ", of either sign for equalities" if one.of_equalities else ""
    return f"{kind}{bound}{below}{either}" + (", or one per constraint" if one.per_constraint else "")


def diagnoses() -> str:
    """Every diagnosis and its meaning."""
    return table(("diagnosis", "what it means, and what to do"), [(f"`{n}`", sentence(n)) for n in DIAGNOSES])


def refusals() -> str:
    """Every operation that keeps runs from being fused, and what to write instead."""
    from cpd.engine.refusals import CHECKPOINT, REFUSALS

    rows = [(each.what.format("another operation"), each.instead) for each in [*REFUSALS, CHECKPOINT]]
    return table(("operation", "what to write instead"), rows)


def kinds(part: Mapping[str, Any]) -> str:
    """The values that a schema allows, in words."""
    if "anyOf" in part:
        values = [one for one in part["anyOf"] if one.get("title") != GRID_TITLE and one != {"type": "null"}]
        return " or ".join(dict.fromkeys(kinds(one) for one in values))
    if "enum" in part:
        return ", ".join(code(value) for value in part["enum"]) if len(part["enum"]) < 5 else "a name"
    if "const" in part:
        return code(part["const"])
    if "maximum" in part:
        return f"number above {part['exclusiveMinimum']}, up to {part['maximum']}"
    names = {"integer": "whole number", "object": "mapping", "string": "word", "array": "list"}
    text = names.get(part["type"], part["type"])
    if "minimum" in part:
        return f"{text} from {part['minimum']} on"
    return f"{text} above {part['exclusiveMinimum']}" if "exclusiveMinimum" in part else text


def markdown(documented: Callable[..., Any]) -> str:
    """A docstring as Markdown: its text, equations and sources, without its arguments."""
    text = (inspect.getdoc(documented) or "").replace("``", "`")
    text = re.sub(r"^(Args|Returns|Raises):\n(?:(?: .*)?(?:\n|$))+", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\.\. math::\s*((?:.+\n?)(?:^ {4}.*\n?)*)", equation, text, flags=re.MULTILINE)
    text = re.sub(r"^Source: ", "*Source:* ", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def equation(match: re.Match[str]) -> str:
    """An equation as Markdown has it."""
    return f"```math\n{inspect.cleandoc(match[1]).strip()}\n```\n"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(header), ["---"] * len(list(header)), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(value: Any) -> str:
    """A value as YAML would write it."""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


GENERATED: dict[str, Callable[[], str]] = {
    "keys": keys,
    "constraint": constraint,
    "train": train,
    "search": search,
    "optimizers": optimizers,
    "overview": overview,
    "methods": methods,
    "growth": growth,
    "diagnoses": diagnoses,
    "refusals": refusals,
    "cli": cli_reference.page,
    "json": json_reference.page,
    "python": python_reference.page,
    "examples": shown_examples.page,
}


def remade(page: str) -> str:
    """A page with its generated parts as they must be."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{GENERATED[match[2]]()}\n{match[3]}", page)


def stale() -> dict[Path, str]:
    """Pages that are not as they must be, and how they must be."""
    pages = {page: remade(page.read_text(encoding="utf-8")) for page in sorted(DOCS.glob("*.md"))}
    pages[SCHEMA] = json.dumps(file_schema(), indent=2) + "\n"
    return {page: text for page, text in pages.items() if not page.exists() or page.read_text(encoding="utf-8") != text}


def main() -> int:
    """Remake what is stale, or with ``--check`` only name it."""
    check = "--check" in sys.argv[1:]
    for page, text in stale().items():
        print(f"stale: {page.name}" if check else f"remade: {page.name}")
        if not check:
            page.write_text(text, encoding="utf-8")
    return int(check and bool(stale()))


if __name__ == "__main__":
    sys.exit(main())
