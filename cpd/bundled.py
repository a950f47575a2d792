"""The tasks and sweeps that come with cpd, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cpd.errors import CpdError, closest


class Bundled(NamedTuple):
    """A bundled YAML file; ``description`` is its first comment line."""

    kind: str
    name: str
    description: str
    path: Path


def bundled() -> list[Bundled]:
    """All bundled tasks, then all sweeps, by name."""
    return [
        Bundled(folder[:-1], path.stem, describe(path.read_text(encoding="utf-8")), path)
        for folder in ("tasks", "sweeps")
        for path in sorted(_folder(folder).glob("*.yaml"))
    ]


def _folder(name: str) -> Path:
    """Inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return package / name if (package / name).is_dir() else package.parent / name


def describe(text: str) -> str:
    """The first comment line of a YAML text."""
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def find(name: str, beside: Path | None = None) -> tuple[Path, str]:
    """The file that a name or path means, and what to call it in errors.

    Args:
        name: A path (with a separator or ending in .yaml), or a bundled name.
        beside: The folder that a relative path starts from; default: the current one.

    Raises:
        CpdError: Neither a file nor a bundled name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name or "\\" in name:
        return (beside or Path()) / path, name
    known = {b.name: b for b in reversed(bundled())}
    if name not in known:
        raise CpdError(
            f"no bundled task or sweep '{name}'", hint=f"{closest(name, [b.name for b in bundled()])}; or a path to a YAML"
        )
    return known[name].path, f"{known[name].kind}s/{name}.yaml"
