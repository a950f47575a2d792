"""What the pages show: their fenced blocks, and whether a block's lines are printed."""

import re
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block and the marker above it."""

    marker: str
    language: str
    text: str

    def commands(self) -> list[str]:
        """Its commands; of a transcript, the lines after the prompt."""
        text = self.text.replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return [line.removeprefix("$ ") for line in lines if self.language == "bash" or line.startswith("$ ")]


def blocks(page: Path) -> list[Block]:
    return [Block(m[1] or "", m[2], m[3]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def unprinted(page: Path, printed: dict[str, str]) -> list[str]:
    """The lines that a page says a command prints, and that it did not; numbers aside."""
    said = [(b.marker, b.text) for b in blocks(page) if b.marker.startswith("printed by: ")]
    return [
        f"{command}: {line}"
        for command, text in ((marker.removeprefix("printed by: "), text) for marker, text in said)
        for line in text.splitlines()
        if masked(line) not in map(masked, printed.get(command, "").splitlines())
    ]


def masked(line: str) -> str:
    """A line with every number as ``#`` and every stretch of spaces as one."""
    return " ".join(re.sub(r"[+-]?\d[\d.e-]*", "#", line).split())
