"""What the executed examples show, for the page that lists them: :mod:`make_reference` puts it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FIRST = ("paper-in-five-minutes", "fairness", "cnn")
"""The order to read them in; others follow."""
RESULT = "text/html"
"""What an output has that is a result, or a table."""


def page() -> str:
    """Each example: its title, what it is about, its first result and its first picture."""
    place = {name: k for k, name in enumerate(FIRST)}
    found = sorted(EXAMPLES.glob("*.ipynb"), key=lambda path: (place.get(path.stem, len(place)), path.stem))
    return "\n".join(part(path) for path in found)


def part(path: Path) -> str:
    """An example's part of the page."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    title, _, text = joined(notebook["cells"][0]["source"]).removeprefix("# ").partition("\n")
    shown = [output["data"] for cell in notebook["cells"] for output in cell.get("outputs", []) if "data" in output]
    results = [joined(one["text/plain"]) for one in shown if RESULT in one]
    parts = [f"## {title}\n", f"{text.strip()}\n"]
    parts += [f"```text\n{text}\n```\n" for text in results[:1]]
    parts += [f"![{title}: its first picture](pictures/example-{path.stem}.png)\n"] if has_picture(shown) else []
    return "\n".join([*parts, f"The whole: [{path.name}](../examples/{path.name})\n"])


def has_picture(shown: list[dict[str, Any]]) -> bool:
    """Whether there is one among the outputs."""
    return any("image/png" in one for one in shown)


def joined(text: str | list[str]) -> str:
    """Text of a notebook, which may be a list of lines."""
    return text if isinstance(text, str) else "".join(text)
