"""Execute the examples: ``python examples/execute.py [NAME ...] [--to FOLDER]`` makes NAME.ipynb of each NAME.py.

A source has ``# %%`` above each cell of code, and ``# %% [markdown]`` above text. A notebook runs in an empty folder.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent
PICTURES = EXAMPLES.parent / "docs" / "pictures"
CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def names() -> list[str]:
    """The examples that are notebooks: their sources have cells."""
    return sorted(path.stem for path in EXAMPLES.glob("*.py") if path.read_text(encoding="utf-8").startswith("# %%"))


def cells(text: str) -> list[tuple[str, str]]:
    """The cells of a source: ``markdown`` or ``code``, and what is in them."""
    _, *parts = CELL.split(text)
    return [cell(kind, body.strip()) for kind, body in zip(parts[::2], parts[1::2], strict=True)]


def cell(kind: str | None, body: str) -> tuple[str, str]:
    """A cell; text is without the comment signs that it has in the source."""
    return ("markdown", re.sub(r"^# ?", "", body, flags=re.MULTILINE)) if kind else ("code", body)


def notebook(text: str) -> Any:
    """A source as a notebook that has not run."""
    from nbformat import v4

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = v4.new_notebook(metadata={"kernelspec": kernel})
    new = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    made.cells = [new[kind](body, id=f"cell-{k}") for k, (kind, body) in enumerate(cells(text))]
    return made


def executed(text: str, timeout: int = 600) -> Any:
    """A source as a notebook that has run from top to bottom, in an empty folder and with no settings of the user's.

    Raises:
        CellExecutionError: A cell raised.
    """
    from nbclient import NotebookClient

    made = notebook(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CPD_") or name == "CPD_CACHE"}
    with tempfile.TemporaryDirectory(prefix="cpd-example-") as folder:
        NotebookClient(made, timeout=timeout, resources={"metadata": {"path": folder}}).execute(env=kept)
    made.metadata.pop("language_info", None)
    for one in made.cells:
        one.metadata.clear()  # when it ran
        if "outputs" in one:
            one.outputs = [output for output in one.outputs if output.get("data") != {"text/plain": ""}]  # a bar's end
        for data in [output["data"] for output in one.get("outputs", []) if "image/png" in output.get("data", {})]:
            data["image/png"] = base64.b64encode(smaller(base64.b64decode(data["image/png"]))).decode()
    return made


def smaller(picture: bytes) -> bytes:
    """A picture with as many colours as a diagram has, so that it is a third as large."""
    from PIL import Image

    made = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as opened:
        opened.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(made, "png", optimize=True)
    return made.getvalue()


def picture(made: Any) -> bytes:
    """The first picture of a notebook, for the page that lists them."""
    shown = [output["data"] for one in made.cells for output in one.get("outputs", []) if "data" in output]
    return base64.b64decode(next(data["image/png"] for data in shown if "image/png" in data))


def main() -> int:
    """Execute the examples that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--to", type=Path, default=EXAMPLES, metavar="FOLDER", help="default: beside the sources")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names()):
        parser.error(f"no example {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    for name in asked.names or names():
        import nbformat

        made = executed((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
        nbformat.write(made, asked.to / f"{name}.ipynb")
        if asked.to == EXAMPLES:
            (PICTURES / f"example-{name}.png").write_bytes(picture(made))
        print(f"executed: {name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
