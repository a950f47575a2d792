"""What the site needs beyond its pages: equations, files that they link to, and pages that are not there yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(\.\./([\w./-]+)(#[\w-]+)?\)")
"""A link from a page to a file of the repository outside of ``docs/``, as GitHub has it."""
CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
"""A cell of a table, in which GitHub takes the backslash from a ``|`` in code, and Python's Markdown does not."""
HOME = {"README.md": "index.md"}
"""Files of which the site has a page of its own."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Headings have GitHub's anchors, and the fence ``math`` is an equation that browsers draw without a script."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [{"name": "math", "class": "math", "format": fence}]}
    return config


def fence(source: str, *_: Any, **__: Any) -> str:
    """An equation in LaTeX as a block of MathML."""
    return f'<div class="math">{convert(source, display="block")}</div>'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the executed notebooks along."""
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to files outside of ``docs/`` lead to what the site has of them."""
    return OUTSIDE.sub(lambda link: f"]({HOME.get(link[1], link[1])}{link[2] or ''})", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """A ``|`` in a table's code stands without the backslash that kept it from ending the cell."""
    return CELL.sub(lambda cell: cell[0].replace("\\|", "|"), html)
