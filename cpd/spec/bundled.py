"""The tasks and sweeps that come with cpd, in a checkout and in an installed wheel; what a spec's name means."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cpd.errors import CpdError, closest

_EDITOR = "# yaml-language-server:"


class Bundled(NamedTuple):
    """A bundled YAML file; ``description`` is its first comment line."""

    kind: str
    name: str
    description: str
    path: Path

    @property
    def shown(self) -> str:
        """Its name in errors."""
        return f"{self.kind}s/{self.path.name}"


def bundled() -> list[Bundled]:
    """All bundled tasks, then all sweeps, by name."""
    return [
        Bundled(folder[:-1], path.stem, describe(path.read_text(encoding="utf-8")), path)
        for folder in ("tasks", "sweeps")
        for path in sorted(_folder(folder).glob("*.yaml"))
    ]


def describe(text: str) -> str:
    """The first comment line of a YAML text, empty if it starts with anything else; an editor's line is none."""
    lines = (line.lstrip("\ufeff").strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith(_EDITOR)), "")
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def find(name: str, beside: Path | None = None) -> tuple[Path, str]:
    """The file that a name or path means, and what to call it in errors.

    Args:
        name: A path (with a separator, or ending in .yaml or .yml), else a bundled name, else any file, else a bundled
            name with ``-`` for ``_`` or the other way round. ``sweeps/table1.yaml`` means the bundled one where there
            is no such file.
        beside: The folder that a relative path starts from; default: the current one.

    Raises:
        CpdError: Neither a file nor a bundled name.
    """
    known = bundled()
    if name.lower().endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        path = (beside or Path()) / name
        same = [b for b in known if name == b.shown]
        return (same[0].path, same[0].shown) if same and not path.exists() else (path, name)
    for one in known:
        if one.name == name:
            return one.path, one.shown
    if (path := (beside or Path()) / name).exists():
        return path, name
    for one in known:
        if _words(one.name) == _words(name):
            return one.path, one.shown
    names = [one.name for one in known]
    raise CpdError(f"no bundled task or sweep '{name}'", hint=f"{closest(name, names)}; or a path to a YAML file")


def is_spec(word: str) -> bool:
    """Whether a word of a command is a task: a bundled one, a path, what is piped in, or a file that is there."""
    is_path = word.lower().endswith((".yaml", ".yml")) or "/" in word or "\\" in word
    return word == "-" or is_path or any(_words(b.name) == _words(word) for b in bundled()) or Path(word).is_file()


def _words(name: str) -> str:
    return name.replace("_", "-")


def _folder(name: str) -> Path:
    """Inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / name if (package / name).is_dir() else package.parent / name
