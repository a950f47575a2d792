"""Remake the table of the gallery: ``python docs/make_gallery.py``, with words of ``cpd gallery`` or those it had.

It stands between ``<!-- gallery: cpd gallery WORDS -->`` and ``<!-- end -->``. Runs are found in the store.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "gallery.md"
BLOCK = re.compile(r"<!-- gallery: cpd gallery(.*?)-->\n.*?(<!-- end -->)", re.DOTALL)


def main(words: list[str]) -> int:
    """Run the command, that of the page where there are no words, and put what it prints there; its exit code."""
    text = PAGE.read_text(encoding="utf-8")
    words = words or [word for found in BLOCK.finditer(text) for word in shlex.split(found[1])]
    line = [sys.executable, "-m", "cpd", "gallery", *words, "--format", "markdown"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode not in (0, 1):
        return done.returncode
    asked = f"cpd gallery {shlex.join(words)}".strip()
    PAGE.write_text(BLOCK.sub(lambda found: f"<!-- gallery: {asked} -->\n{done.stdout}{found[2]}", text), "utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
